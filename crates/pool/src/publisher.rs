//! Puts built epochs on the chain, one after another, each once.

use protocol::Sha256Digest;
use protocol::ss58::Address;

use crate::blobs::{BlobError, Blobs};
use crate::chain::{Call, Chain};
use crate::delivery::{DeliveryError, Progress, advance};
use crate::epoch::{EpochFile, FileError};
use crate::store::{EpochRow, State, Store, StoreError, standing};

/// The publisher's name among the pool's processes.
pub const NAME: &str = "publisher";

/// The publisher: of an operator's processes, the only one with its key.
#[derive(Debug)]
pub struct Publisher<C> {
    /// Where the epochs are.
    pub store: Store,
    /// Where the epoch files are.
    pub blobs: Blobs,
    /// The chain.
    pub chain: C,
    /// What the address of an epoch file begins with; its digest follows.
    pub uri_prefix: String,
    /// The account that signs, for monitors.
    pub account: Address,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is nothing to publish.
    Idle,
    /// This epoch is on its way.
    Waiting(u64),
    /// The chain has this epoch for good.
    Published(u64),
    /// This epoch was struck down: the next one stands on the one before it.
    StruckDown(u64),
}

/// Why an epoch is not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Bringing it to the chain failed.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The epoch file cannot be had.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The epoch file is unreadable.
    #[error(transparent)]
    File(#[from] FileError),
    /// The epoch before it was struck down after this one was built.
    #[error(
        "epoch {0} stands on an epoch that was struck down; take it back (`pool epoch thaw {0}`) and build it again"
    )]
    Baseless(u64),
    /// The epoch is for another contract: nobody could ever claim from it.
    #[error(
        "epoch {epoch} was built for the contract {built}, and this publisher serves {served}; nothing is sent"
    )]
    Contract {
        /// Which epoch.
        epoch: u64,
        /// Its contract.
        built: Address,
        /// The one of the options.
        served: Address,
    },
}

impl<C: Chain> Publisher<C> {
    /// Takes the next step with the oldest epoch that is not published.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn step(&self) -> Result<Step, PublishError> {
        let account = self.account.to_string();
        self.store.seen(NAME, Some(&account)).await?;
        let epochs = self.store.epochs().await?;
        if let Some(epoch) = self.struck_down(&epochs).await? {
            self.store.set_void(epoch).await?;
            return Ok(Step::StruckDown(epoch));
        }
        let next = epochs
            .iter()
            .position(|row| matches!(row.state, State::Frozen | State::Built));
        let (before, next) = (
            &epochs[..next.unwrap_or(0)],
            next.map(|place| &epochs[place]),
        );
        // An epoch after one that is still being built waits for it.
        let Some((row, file)) = next.and_then(|row| row.file_sha256.map(|file| (row, file))) else {
            return Ok(Step::Idle);
        };
        let call = self.call(row, file, before)?;
        match advance(&self.store, &self.chain, &call).await {
            Ok(Progress::Waiting) => Ok(Step::Waiting(row.epoch)),
            Err(DeliveryError::StruckDown(epoch)) => {
                self.store.set_void(epoch).await?;
                Ok(Step::StruckDown(epoch))
            }
            Err(error) => Err(error.into()),
            Ok(Progress::Done) => {
                self.store.set_published(row.epoch).await?;
                Ok(Step::Published(row.epoch))
            }
        }
    }

    /// The newest epoch that the chain had for good, if it was struck down since.
    /// Those before it were settled when it was published.
    async fn struck_down(&self, epochs: &[EpochRow]) -> Result<Option<u64>, PublishError> {
        let mut published = epochs.iter().rev();
        let Some(row) = published.find(|row| row.state == State::Published) else {
            return Ok(None);
        };
        let seen = self.chain.epoch(row.epoch).await;
        let seen = seen.map_err(DeliveryError::from)?;
        let Some(there) = seen.epoch else {
            return Ok(None);
        };
        if there.is_void {
            return Ok(Some(row.epoch));
        }
        self.store
            .saw_contract(seen.finalized_block, &there)
            .await?;
        Ok(None)
    }

    fn call(
        &self,
        row: &EpochRow,
        digest: Sha256Digest,
        before: &[EpochRow],
    ) -> Result<Call, PublishError> {
        let file = EpochFile::parse(&self.blobs.get(digest)?)?;
        let standing = standing(before).and_then(|row| row.file_sha256);
        if file.inputs.previous_sha256 != standing {
            return Err(PublishError::Baseless(row.epoch));
        }
        let served = self.chain.contract();
        if file.contract != served {
            return Err(PublishError::Contract {
                epoch: row.epoch,
                built: file.contract,
                served,
            });
        }
        Ok(Call::PublishEpoch {
            epoch: row.epoch,
            root: file.root,
            num_of_leaves: file.num_of_leaves,
            total_rao: file.total_rao,
            uri: format!("{}{digest}", self.uri_prefix),
        })
    }
}
