//! An epoch: a published root, its challenge window, and what was paid under it.
//!
//! ```text
//! published ── window over ──────────────▶ open for claims
//!     │ challenge                             ▲
//!     ▼                                       │ dismissed
//!  disputed ──────────────────────────────────┤
//!                                             └ struck down ▶ void, for ever
//! ```

#![deny(clippy::arithmetic_side_effects)]

use ink::primitives::Hash;

use crate::error::{Error, Result};

/// How many blocks an epoch can be challenged for: half a day.
pub const CHALLENGE_BLOCKS: u32 = 3_600;

/// The longest address of an epoch's file, in bytes. It goes into an event, whose size the chain limits.
pub const MAX_URI_BYTES: usize = 512;

/// The block that never comes: where the claims of a void epoch open.
pub const NEVER: u32 = u32::MAX;

/// A published epoch, as clients read it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[ink::scale_derive(Encode, Decode, TypeInfo)]
#[cfg_attr(feature = "std", derive(ink::storage::traits::StorageLayout))]
pub struct Epoch {
    /// The Merkle root of its leaves.
    pub root: [u8; 32],
    /// How many leaves it has.
    pub num_of_leaves: u32,
    /// The sum of its leaves, in rao. Leaves are cumulative, so this is everything earned since the beginning.
    pub total_rao: u64,
    /// What was paid by proofs of this epoch, in rao.
    pub spent_rao: u64,
    /// It was challenged and the challenge was not dismissed.
    pub disputed: bool,
    /// The first block in which it can be claimed, and the first in which it cannot be challenged; [`NEVER`] when void.
    pub claims_open_at: u32,
    /// Always 0: publishing takes no bond. Clients expect the field.
    pub bond_rao: u64,
}

impl Epoch {
    /// An epoch published in block `now`.
    ///
    /// # Errors
    ///
    /// [`Error::EpochEmpty`] without a leaf or a rao; [`Error::Overflow`] at the end of block numbers.
    pub fn published(root: Hash, num_of_leaves: u32, total_rao: u64, now: u32) -> Result<Self> {
        if num_of_leaves == 0 || total_rao == 0 {
            return Err(Error::EpochEmpty);
        }
        let claims_open_at = now
            .checked_add(CHALLENGE_BLOCKS)
            .filter(|block| *block < NEVER)
            .ok_or(Error::Overflow)?;
        Ok(Self {
            root: root.into(),
            num_of_leaves,
            total_rao,
            spent_rao: 0,
            disputed: false,
            claims_open_at,
            bond_rao: 0,
        })
    }

    /// Whether it was struck down.
    pub fn is_void(&self) -> bool {
        self.claims_open_at == NEVER
    }

    /// Whether it can be claimed in block `now`.
    ///
    /// # Errors
    ///
    /// [`Error::EpochVoid`], [`Error::EpochDisputed`], [`Error::ClaimsNotOpen`]: why not.
    pub fn ensure_open(&self, now: u32) -> Result<()> {
        if self.is_void() {
            Err(Error::EpochVoid)
        } else if self.disputed {
            Err(Error::EpochDisputed)
        } else if now < self.claims_open_at {
            Err(Error::ClaimsNotOpen)
        } else {
            Ok(())
        }
    }

    /// Closes it until somebody has decided.
    ///
    /// # Errors
    ///
    /// [`Error::EpochVoid`], [`Error::AlreadyDisputed`], or [`Error::ChallengeWindowOver`]: whoever could have claimed
    /// may have done so, and relies on it.
    pub fn challenge(&mut self, now: u32) -> Result<()> {
        if self.is_void() {
            return Err(Error::EpochVoid);
        }
        if self.disputed {
            return Err(Error::AlreadyDisputed);
        }
        if now >= self.claims_open_at {
            return Err(Error::ChallengeWindowOver);
        }
        self.disputed = true;
        Ok(())
    }

    /// Ends a dispute in favour of the epoch. What is left of the window stays.
    ///
    /// # Errors
    ///
    /// [`Error::NotDisputed`], [`Error::EpochVoid`].
    pub fn dismiss(&mut self, now: u32) -> Result<()> {
        self.ensure_undecided()?;
        self.disputed = false;
        self.claims_open_at = self.claims_open_at.max(now);
        Ok(())
    }

    /// Ends a dispute against the epoch: it can never be claimed.
    ///
    /// # Errors
    ///
    /// [`Error::NotDisputed`], [`Error::EpochVoid`].
    pub fn strike_down(&mut self) -> Result<()> {
        self.ensure_undecided()?;
        self.claims_open_at = NEVER;
        Ok(())
    }

    /// Notes a payment of `rao`.
    ///
    /// # Errors
    ///
    /// [`Error::EpochExhausted`] when it does not fit into what the epoch declared.
    pub fn spend(&mut self, rao: u64) -> Result<()> {
        let spent = self.spent_rao.checked_add(rao).ok_or(Error::Overflow)?;
        if spent > self.total_rao {
            return Err(Error::EpochExhausted);
        }
        self.spent_rao = spent;
        Ok(())
    }

    fn ensure_undecided(&self) -> Result<()> {
        if self.is_void() {
            Err(Error::EpochVoid)
        } else if self.disputed {
            Ok(())
        } else {
            Err(Error::NotDisputed)
        }
    }
}
