//! Keeps what the contract has paid each miner, for the service, which has no chain
//! connection: one reading at a time, all of it of one finalized block.

use protocol::ss58::Address;

use crate::blobs::{BlobError, Blobs};
use crate::chain::{Chain, ChainError};
use crate::epoch::{EpochFile, FileError};
use crate::store::{State, Store, StoreError};

/// What a look at the contract did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// No epoch of this contract is published, so that nobody was paid.
    Nothing,
    /// Nothing newer than what is kept can be told.
    Current,
    /// The amounts were read, and are kept.
    Read {
        /// The number of the finalized block.
        finalized_block: u64,
        /// How many hotkeys were asked about.
        hotkeys: usize,
    },
}

/// Why the amounts were not read. What was kept before is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimedError {
    /// The chain did not answer.
    #[error("what was claimed is not known: {0}")]
    Chain(#[from] ChainError),
    /// The database failed.
    #[error("what was claimed is not known: {0}")]
    Store(#[from] StoreError),
    /// The epoch file cannot be had.
    #[error("whose claims to read is not known: {0}")]
    Blob(#[from] BlobError),
    /// The epoch file is unreadable.
    #[error("whose claims to read is not known: {0}")]
    File(#[from] FileError),
}

/// Looks at the contract's books, and if anybody can have been paid since the kept
/// reading, or other miners have leaves now, reads what each was paid. Miners without
/// a leaf are left out: a mapping is never taken back, so they never had one.
///
/// # Errors
/// [`ClaimedError`]; it may always be called again.
pub async fn keep<C: Chain>(store: &Store, blobs: &Blobs, chain: &C) -> Result<Look, ClaimedError> {
    let contract = chain.contract();
    let epochs = store.epochs().await?;
    let mut newest_first = epochs.iter().rev();
    let standing = newest_first
        .find(|row| row.state == State::Published && row.frozen.contract == contract)
        .and_then(|row| row.file_sha256);
    let Some(digest) = standing else {
        return Ok(Look::Nothing);
    };
    let kept = store.claimed_reading().await?;
    let kept = kept.filter(|kept| kept.file_sha256 == digest);
    // A node that is behind the one that was asked before has nothing new to tell.
    let is_behind = |block| kept.is_some_and(|kept| block < kept.seen.finalized_block);
    let seen = chain.books().await?;
    if is_behind(seen.finalized_block) {
        return Ok(Look::Current);
    }
    if kept.is_some_and(|kept| kept.seen.books == seen.books) {
        store
            .claimed_still_holds(digest, seen.finalized_block)
            .await?;
        return Ok(Look::Current);
    }
    let file = EpochFile::parse(&blobs.get(digest)?)?;
    let hotkeys: Vec<Address> = file.leaves.iter().map(|leaf| leaf.hotkey).collect();
    let paid = chain.paid(&hotkeys).await?;
    let finalized_block = paid.seen.finalized_block;
    if is_behind(finalized_block) {
        return Ok(Look::Current);
    }
    store.keep_claimed(digest, &paid).await?;
    Ok(Look::Read {
        finalized_block,
        hotkeys: hotkeys.len(),
    })
}
