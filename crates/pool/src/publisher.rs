//! Puts built epochs on the chain, one after another, each once.

use protocol::Sha256Digest;
use protocol::ss58::Address;

use crate::blobs::{BlobError, Blobs};
use crate::chain::{Call, Chain};
use crate::delivery::{DeliveryError, Progress, advance};
use crate::epoch::{EpochFile, FileError};
use crate::store::{EpochRow, State, Store, StoreError};

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
        let next = epochs.iter().find(|row| row.state != State::Published);
        // An epoch after one that is still being built waits for it.
        let Some((row, file)) = next.and_then(|row| row.file_sha256.map(|file| (row, file))) else {
            return Ok(Step::Idle);
        };
        let call = self.call(row, file)?;
        match advance(&self.store, &self.chain, &call).await? {
            Progress::Waiting => Ok(Step::Waiting(row.epoch)),
            Progress::Done => {
                self.store.set_published(row.epoch).await?;
                Ok(Step::Published(row.epoch))
            }
        }
    }

    fn call(&self, row: &EpochRow, digest: Sha256Digest) -> Result<Call, PublishError> {
        let file = EpochFile::parse(&self.blobs.get(digest)?)?;
        Ok(Call::PublishEpoch {
            epoch: row.epoch,
            root: file.root,
            num_of_leaves: file.num_of_leaves,
            total_rao: file.total_rao,
            uri: format!("{}{digest}", self.uri_prefix),
        })
    }
}
