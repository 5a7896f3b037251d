//! Waiting until an extrinsic is on a finalized block, or can never be.

use std::time::Duration;

use subxt::error::DispatchError;
use subxt::events::Phase;

use crate::error::one_line;
use crate::{At, Chain, ChainError, Signed};

/// Where an extrinsic succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// The finalized block.
    pub block: u64,
    /// Its hash.
    pub block_hash: [u8; 32],
    /// The extrinsic's place on it.
    pub index: u32,
    /// The names of the events that it caused: `Pallet.Event`.
    pub events: Vec<String>,
}

impl Chain {
    /// Follows finalized blocks until one holds `signed`, for at most `patience`.
    ///
    /// A failure of all nodes is waited out: the extrinsic goes its way meanwhile.
    ///
    /// # Errors
    /// [`ChainError::Failed`]: it is on a block and failed; [`ChainError::Expired`]:
    /// it is on none, and never will be; [`ChainError::Unknown`]: patience ended
    /// first.
    pub async fn wait_for(
        &self,
        signed: &Signed,
        patience: Duration,
    ) -> Result<Inclusion, ChainError> {
        let followed = tokio::time::timeout(patience, self.follow(signed)).await;
        followed.unwrap_or(Err(ChainError::Unknown {
            call: signed.call,
            seconds: patience.as_secs(),
        }))
    }

    async fn follow(&self, signed: &Signed) -> Result<Inclusion, ChainError> {
        let mut next = signed.born_at.saturating_add(1);
        loop {
            match self.look(signed, &mut next).await {
                Ok(Some(inclusion)) => return Ok(inclusion),
                Ok(None) => {}
                Err(error @ (ChainError::Failed { .. } | ChainError::Expired { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(%error, "following finalized blocks; trying again");
                    // What one node cannot answer, another may.
                    self.nodes.turn();
                }
            }
            tokio::time::sleep(self.poll).await;
        }
    }

    /// Looks at the finalized blocks from `next` on, and moves it.
    async fn look(&self, signed: &Signed, next: &mut u64) -> Result<Option<Inclusion>, ChainError> {
        let newest = self.newest().await?.block_number();
        while *next <= newest.min(signed.last_block) {
            if let Some(inclusion) = self.at(*next).await?.find(signed).await? {
                return Ok(Some(inclusion));
            }
            *next += 1;
        }
        if newest > signed.last_block {
            return Err(ChainError::Expired {
                call: signed.call,
                last_block: signed.last_block,
            });
        }
        Ok(None)
    }
}

impl At {
    /// Looks for an extrinsic on this block.
    async fn find(&self, signed: &Signed) -> Result<Option<Inclusion>, ChainError> {
        let extrinsics = self
            .client()
            .extrinsics()
            .fetch()
            .await
            .map_err(|error| ChainError::read("a block's extrinsics", &error))?;
        // One that cannot be decoded is somebody else's.
        let position = extrinsics
            .iter()
            .filter_map(Result::ok)
            .find(|extrinsic| extrinsic.bytes() == signed.bytes)
            .map(|extrinsic| extrinsic.index());
        match position.and_then(|place| u32::try_from(place).ok()) {
            None => Ok(None),
            Some(index) => self.outcome(signed, index).await.map(Some),
        }
    }

    /// Reads in the block's events what became of its extrinsic number `index`.
    async fn outcome(&self, signed: &Signed, index: u32) -> Result<Inclusion, ChainError> {
        const WHAT: &str = "the events of a block";
        let events = self
            .client()
            .events()
            .fetch()
            .await
            .map_err(|error| ChainError::read(WHAT, &error))?;
        let mut names = Vec::new();
        let mut succeeded = false;
        for event in events.iter() {
            let event = event.map_err(|error| ChainError::read(WHAT, &error))?;
            if event.phase() != Phase::ApplyExtrinsic(index) {
                continue;
            }
            match (event.pallet_name(), event.event_name()) {
                ("System", "ExtrinsicSuccess") => succeeded = true,
                ("System", "ExtrinsicFailed") => {
                    return Err(ChainError::Failed {
                        call: signed.call,
                        block: self.block_number(),
                        reason: self.dispatch_error(event.field_bytes()),
                    });
                }
                (pallet, name) => names.push(format!("{pallet}.{name}")),
            }
        }
        if !succeeded {
            return Err(ChainError::Read {
                what: WHAT,
                problem: format!("extrinsic {index} neither succeeded nor failed"),
            });
        }
        Ok(Inclusion {
            block: self.block_number(),
            block_hash: self.block_hash(),
            index,
            events: names,
        })
    }

    /// The chain's name of an error, from the fields of `ExtrinsicFailed`.
    pub(crate) fn dispatch_error(&self, fields: &[u8]) -> String {
        match DispatchError::decode_from(fields, self.client().metadata()) {
            Ok(error) => one_line(&error.to_string()),
            Err(_) => format!(
                "an error this program does not know: 0x{}",
                hex::encode(fields)
            ),
        }
    }
}
