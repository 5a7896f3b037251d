//! Builds an epoch: fixes its inputs in one transaction, then computes what
//! follows from them. A crash after the first is mended by doing the second again.

use std::collections::BTreeSet;

use protocol::Sha256Digest;
use protocol::ss58::Address;

use crate::Rao;
use crate::blobs::{BlobError, Blobs};
use crate::epoch::{EpochError, EpochFile, FileError, Given, Previous, Recipients, compute};
use crate::ledger::{BalanceError, Shares, SnapshotError};
use crate::store::{EpochRow, Frozen, State, Store, StoreError, standing};

/// By how much an epoch's number may be above the newest one's, or above 0. Whoever
/// watches the contract has to find each epoch by its number.
pub const LARGEST_LEAP: u64 = 1_000;

/// What an operator chooses for an epoch.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its number.
    pub epoch: u64,
    /// The contract that pays it.
    pub contract: Address,
    /// What is divided.
    pub budget_rao: Rao,
    /// The bytes of the reward snapshot.
    pub snapshot: Vec<u8>,
    /// Whether its number may be more than [`LARGEST_LEAP`] above this pool's newest:
    /// somebody else published, and had struck down, one that is not this pool's.
    pub may_leap: bool,
}

/// Why no epoch is built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The database failed, or the epoch's state does not allow it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document could not be kept or had.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// No epoch follows from the inputs.
    #[error(transparent)]
    Epoch(#[from] EpochError),
    /// The snapshot cannot be paid by.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The epoch before is unreadable.
    #[error("the previous epoch: {0}")]
    Previous(#[from] FileError),
    /// The epoch before has impossible balances.
    #[error("the previous epoch: {0}")]
    Balance(#[from] BalanceError),
    /// There is no epoch of that number.
    #[error("there is no epoch {0}")]
    Unknown(u64),
    /// Nobody would find it.
    #[error(
        "epoch {epoch} is more than {LARGEST_LEAP} above {newest}, the newest one; number the epochs one after another (--may-leap if the chain has struck down a higher one)"
    )]
    Leap {
        /// Its number.
        epoch: u64,
        /// The newest epoch's, void or not, or 0.
        newest: u64,
    },
}

/// Freezes an epoch and builds it.
///
/// # Errors
/// [`BuildError`]. When the inputs are refused, nothing stays frozen.
pub async fn build(store: &Store, blobs: &Blobs, order: &Order) -> Result<EpochFile, BuildError> {
    let previous = previous(store, order).await?;
    let previous_bytes = previous.map(|digest| blobs.get(digest)).transpose()?;
    let frozen = Frozen {
        contract: order.contract,
        budget_rao: order.budget_rao,
        snapshot_sha256: blobs.put(&order.snapshot)?,
        previous_sha256: previous,
    };
    let earned = earned(&order.snapshot, previous_bytes.as_deref())?;
    let keep = |mappings| -> Result<_, BuildError> {
        Ok(blobs.put(&Recipients::of(mappings).to_bytes())?)
    };
    store.freeze(order.epoch, frozen, &earned, keep).await?;
    let built = finish(store, blobs, order.epoch).await;
    if matches!(built, Err(BuildError::Epoch(_))) {
        // What is refused must not keep miners from changing their recipients.
        store.thaw(order.epoch).await?;
    }
    built
}

/// Builds an epoch that is frozen; one that is built already is only read.
///
/// # Errors
/// [`BuildError`].
pub async fn finish(store: &Store, blobs: &Blobs, epoch: u64) -> Result<EpochFile, BuildError> {
    let row = store
        .epoch(epoch)
        .await?
        .ok_or(BuildError::Unknown(epoch))?;
    if let Some(digest) = row.file_sha256 {
        return Ok(EpochFile::parse(&blobs.get(digest)?)?);
    }
    let file = from_row(blobs, &row)?;
    let digest = blobs.put(&file.to_bytes())?;
    store.set_built(epoch, digest).await?;
    Ok(file)
}

fn from_row(blobs: &Blobs, row: &EpochRow) -> Result<EpochFile, BuildError> {
    let get = |digest: Sha256Digest| blobs.get(digest);
    let previous = row.frozen.previous_sha256.map(get).transpose()?;
    let recipients_before = match &previous {
        Some(file) => get(EpochFile::parse(file)?.inputs.recipients_sha256)?,
        None => Vec::new(),
    };
    Ok(compute(&Given {
        epoch: row.epoch,
        contract: row.frozen.contract,
        budget_rao: row.frozen.budget_rao,
        snapshot: &get(row.frozen.snapshot_sha256)?,
        recipients: &get(row.recipients_sha256)?,
        previous: previous.as_deref().map(|file| Previous {
            file,
            recipients: &recipients_before,
        }),
    })?)
}

/// The newest epoch file that was not struck down, on which the next epoch stands.
async fn previous(store: &Store, order: &Order) -> Result<Option<Sha256Digest>, BuildError> {
    let epoch = order.epoch;
    let epochs = store.epochs().await?;
    let newest = epochs.last().map_or(0, |row| row.epoch);
    if !order.may_leap && epoch.saturating_sub(newest) > LARGEST_LEAP {
        return Err(BuildError::Leap { epoch, newest });
    }
    let Some(newest) = epochs.last() else {
        return Ok(None);
    };
    if newest.state == State::Frozen {
        let why = format!(
            "epoch {0} is frozen and not built; `pool epoch finish {0}` builds it, `pool epoch thaw {0}` takes it back",
            newest.epoch
        );
        return Err(StoreError::Order { epoch, why }.into());
    }
    Ok(standing(&epochs).and_then(|row| row.file_sha256))
}

/// Whose mappings the epoch needs: nobody can make it larger by naming
/// recipients for hotkeys that earned nothing.
fn earned(snapshot: &[u8], previous: Option<&[u8]>) -> Result<BTreeSet<Address>, BuildError> {
    let shares = Shares::parse(snapshot)?;
    let mut hotkeys: BTreeSet<_> = shares.iter().map(|(hotkey, _)| hotkey).collect();
    if let Some(bytes) = previous {
        let balances = EpochFile::parse(bytes)?.balances()?;
        hotkeys.extend(balances.iter().map(|(hotkey, _)| hotkey));
    }
    Ok(hotkeys)
}
