//! The books: what was declared, what was paid, and what may be promised next.
//!
//! Declared totals are cumulative, and one epoch at a time may be unsettled (open to challenge, or disputed). So what
//! the contract owes is simply the newest total less everything ever paid; striking the newest epoch down takes back
//! exactly what that epoch added, and nobody can have been paid by it.

#![deny(clippy::arithmetic_side_effects)]

use crate::error::{Error, Result};

/// An epoch in the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[ink::scale_derive(Encode, Decode, TypeInfo)]
#[cfg_attr(feature = "std", derive(ink::storage::traits::StorageLayout))]
pub struct Entry {
    /// Its number.
    pub epoch: u64,
    /// What it declared, in rao, since the beginning.
    pub total_rao: u64,
}

/// The contract's books.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[ink::scale_derive(Encode, Decode, TypeInfo)]
#[cfg_attr(feature = "std", derive(ink::storage::traits::StorageLayout))]
pub struct Books {
    settled: Option<Entry>,
    unsettled: Option<Entry>,
    /// The highest number ever published. A number has one root, also after it was struck down.
    newest: Option<u64>,
    paid_rao: u64,
    reserve_floor_rao: u64,
}

impl Books {
    /// The newest epoch that was not struck down.
    pub fn latest(&self) -> Option<u64> {
        self.unsettled.or(self.settled).map(|entry| entry.epoch)
    }

    /// The epoch that may still be struck down, as far as the books know; see [`Books::settle`].
    pub fn unsettled(&self) -> Option<u64> {
        self.unsettled.map(|entry| entry.epoch)
    }

    /// What claimants can be paid before anything is settled or published, in rao.
    pub fn outstanding_rao(&self) -> u64 {
        let declared = self.unsettled.or(self.settled);
        // Payments are never allowed to pass what was settled, and totals never fall: the difference is not negative.
        declared.map_or(0, |entry| entry.total_rao.saturating_sub(self.paid_rao))
    }

    /// What of `owned_rao` is owed to nobody.
    pub fn free_reserve_rao(&self, owned_rao: u64) -> u64 {
        owned_rao.saturating_sub(self.outstanding_rao())
    }

    /// What of `owned_rao` a new epoch may promise.
    pub fn publishable_rao(&self, owned_rao: u64) -> u64 {
        self.free_reserve_rao(owned_rao)
            .saturating_sub(self.reserve_floor_rao)
    }

    /// The stake that is neither promised nor paid by claims, in rao.
    pub fn reserve_floor_rao(&self) -> u64 {
        self.reserve_floor_rao
    }

    /// Notes that the unsettled epoch can be struck down no more.
    pub fn settle(&mut self) {
        if let Some(entry) = self.unsettled.take() {
            self.settled = Some(entry);
        }
    }

    /// Enters a new epoch with its cumulative total.
    ///
    /// # Errors
    ///
    /// [`Error::EpochNotNewer`], [`Error::PreviousEpochUnsettled`], [`Error::TotalDecreased`], [`Error::NotFunded`].
    pub fn publish(&mut self, epoch: u64, total_rao: u64, owned_rao: u64) -> Result<()> {
        if self.newest.is_some_and(|newest| epoch <= newest) {
            return Err(Error::EpochNotNewer);
        }
        if self.unsettled.is_some() {
            return Err(Error::PreviousEpochUnsettled);
        }
        let before = self.settled.map_or(0, |entry| entry.total_rao);
        let added = total_rao.checked_sub(before).ok_or(Error::TotalDecreased)?;
        if added > self.publishable_rao(owned_rao) {
            return Err(Error::NotFunded);
        }
        self.unsettled = Some(Entry { epoch, total_rao });
        self.newest = Some(epoch);
        Ok(())
    }

    /// Takes the unsettled epoch out of the books.
    pub fn strike_down(&mut self) {
        self.unsettled = None;
    }

    /// Notes a payment of `rao` by a contract that has `owned_rao`.
    ///
    /// # Errors
    ///
    /// [`Error::DeclaredExhausted`] beyond what settled epochs declared, [`Error::StakeTooLow`] below the reserve floor.
    pub fn pay(&mut self, rao: u64, owned_rao: u64) -> Result<()> {
        let paid = self.paid_rao.checked_add(rao).ok_or(Error::Overflow)?;
        if paid > self.settled.map_or(0, |entry| entry.total_rao) {
            return Err(Error::DeclaredExhausted);
        }
        if rao > owned_rao.saturating_sub(self.reserve_floor_rao) {
            return Err(Error::StakeTooLow);
        }
        self.paid_rao = paid;
        Ok(())
    }

    /// Sets the reserve floor.
    ///
    /// # Errors
    ///
    /// [`Error::FloorTooHigh`]: raising it into what is owed would be a way to refuse claims.
    pub fn set_reserve_floor(&mut self, floor_rao: u64, owned_rao: u64) -> Result<()> {
        if floor_rao > self.reserve_floor_rao && floor_rao > self.free_reserve_rao(owned_rao) {
            return Err(Error::FloorTooHigh);
        }
        self.reserve_floor_rao = floor_rao;
        Ok(())
    }

    /// Makes everything that is owed to nobody the reserve floor, and says how much that is.
    pub fn capture_reserve_floor(&mut self, owned_rao: u64) -> u64 {
        self.reserve_floor_rao = self.free_reserve_rao(owned_rao);
        self.reserve_floor_rao
    }

    /// Notes that the owner takes `rao` out of `owned_rao`. The floor sinks where it would otherwise reach into what is
    /// owed.
    ///
    /// # Errors
    ///
    /// [`Error::Owed`] when so much is not free.
    pub fn withdraw(&mut self, rao: u64, owned_rao: u64) -> Result<()> {
        let left = self
            .free_reserve_rao(owned_rao)
            .checked_sub(rao)
            .ok_or(Error::Owed)?;
        self.reserve_floor_rao = self.reserve_floor_rao.min(left);
        Ok(())
    }
}
