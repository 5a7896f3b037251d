//! How an epoch follows from its inputs. Building and verifying are this one
//! function, which reads no clock, no file and no network.

use protocol::Sha256Digest;
use protocol::ss58::Address;

use super::file::{Balance, Content, Entry, EpochFile, FileError, Inputs};
use super::recipients::{Recipients, RecipientsError};
use crate::Rao;
use crate::ledger::{BalanceError, Balances, Shares, SnapshotError};
use crate::merkle::TreeError;

/// The inputs of an epoch.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Its number.
    pub epoch: u64,
    /// The contract that pays it.
    pub contract: Address,
    /// What is divided by the snapshot.
    pub budget_rao: Rao,
    /// The bytes of the reward snapshot.
    pub snapshot: &'a [u8],
    /// The bytes of the recipient mappings.
    pub recipients: &'a [u8],
    /// The bytes of the epoch file before.
    pub previous: Option<&'a [u8]>,
}

/// By how much an epoch's number may be above the one before it, or above 0.
/// Whoever watches the contract has to find each epoch by its number.
pub const LARGEST_LEAP: u64 = 1_000;

/// Why no epoch follows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EpochError {
    /// The snapshot cannot be paid by.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The mappings are refused.
    #[error(transparent)]
    Recipients(#[from] RecipientsError),
    /// The epoch before is unreadable.
    #[error("the previous epoch: {0}")]
    Previous(#[from] FileError),
    /// A balance is impossible.
    #[error(transparent)]
    Balance(#[from] BalanceError),
    /// Nobody with a balance has named a recipient, or too many have.
    #[error("nothing to publish: no miner with a balance has named a recipient coldkey")]
    Tree(#[from] TreeError),
    /// Epochs go up.
    #[error("epoch {epoch} does not come after epoch {previous}")]
    Order {
        /// Its number.
        epoch: u64,
        /// The number before.
        previous: u64,
    },
    /// Nobody would find it.
    #[error(
        "epoch {epoch} is more than {LARGEST_LEAP} above {previous}, the one before it; number the epochs one after another"
    )]
    Leap {
        /// Its number.
        epoch: u64,
        /// The number before, or 0.
        previous: u64,
    },
    /// Cumulative amounts are by contract.
    #[error("the previous epoch is paid by the contract {previous}, and this one by {contract}")]
    Contract {
        /// This epoch's.
        contract: Address,
        /// The one before.
        previous: Address,
    },
    /// More than 64 bits in all.
    #[error("the epoch's amounts add up to more than 2^64 rao")]
    Total,
}

/// Computes an epoch.
///
/// # Errors
/// [`EpochError`].
pub fn compute(given: &Given<'_>) -> Result<EpochFile, EpochError> {
    let shares = Shares::parse(given.snapshot)?;
    let recipients = Recipients::parse(given.recipients)?;
    let mut balances = balances_before(given)?;
    balances.credit(&shares, given.budget_rao)?;
    let mut leaves = Vec::new();
    let mut unassigned = Vec::new();
    for (hotkey, amount_rao) in balances.iter() {
        match recipients.of_hotkey(&hotkey)? {
            Some(recipient_coldkey) => leaves.push(Entry {
                hotkey,
                recipient_coldkey,
                amount_rao,
            }),
            None => unassigned.push(Balance { hotkey, amount_rao }),
        }
    }
    let content = Content {
        epoch: given.epoch,
        contract: given.contract,
        total_rao: total(&leaves)?,
        budget_rao: given.budget_rao,
        inputs: Inputs {
            snapshot_sha256: Sha256Digest::of(given.snapshot),
            recipients_sha256: Sha256Digest::of(given.recipients),
            previous_sha256: given.previous.map(Sha256Digest::of),
        },
        leaves,
        unassigned,
    };
    Ok(EpochFile::of(content)?)
}

fn balances_before(given: &Given<'_>) -> Result<Balances, EpochError> {
    let Some(bytes) = given.previous else {
        not_too_far(given.epoch, 0)?;
        return Ok(Balances::default());
    };
    let previous = EpochFile::parse(bytes)?;
    if previous.epoch >= given.epoch {
        return Err(EpochError::Order {
            epoch: given.epoch,
            previous: previous.epoch,
        });
    }
    not_too_far(given.epoch, previous.epoch)?;
    if previous.contract != given.contract {
        return Err(EpochError::Contract {
            contract: given.contract,
            previous: previous.contract,
        });
    }
    Ok(previous.balances()?)
}

fn not_too_far(epoch: u64, previous: u64) -> Result<(), EpochError> {
    if epoch.saturating_sub(previous) > LARGEST_LEAP {
        return Err(EpochError::Leap { epoch, previous });
    }
    Ok(())
}

fn total(leaves: &[Entry]) -> Result<Rao, EpochError> {
    leaves.iter().try_fold(Rao(0), |sum, leaf| {
        sum.checked_add(leaf.amount_rao).ok_or(EpochError::Total)
    })
}
