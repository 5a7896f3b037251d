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
    /// The epoch before, if there was one.
    pub previous: Option<Previous<'a>>,
}

/// The epoch on which another one stands.
#[derive(Debug, Clone, Copy)]
pub struct Previous<'a> {
    /// The bytes of its file.
    pub file: &'a [u8],
    /// The bytes of its recipient mappings.
    pub recipients: &'a [u8],
}

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
    /// What was published is taken from somebody.
    #[error("{hotkey} has a leaf in epoch {previous}, and would have none")]
    Dropped {
        /// Whose leaf.
        hotkey: Address,
        /// The number before.
        previous: u64,
    },
    /// A miner's decision is taken back.
    #[error(
        "the mapping of {hotkey} was signed at {signed_at}, and epoch {previous} has one of {newer}"
    )]
    OlderMapping {
        /// Whose mapping.
        hotkey: Address,
        /// When this one was signed, in Unix seconds.
        signed_at: u64,
        /// The number before.
        previous: u64,
        /// When its mapping was signed.
        newer: u64,
    },
    /// The mappings of the epoch before are not given, or others are.
    #[error("the mappings of epoch {0} are needed, and are not those that its file names")]
    PreviousRecipients(u64),
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
    let mut balances = Balances::default();
    if let Some(previous) = &given.previous {
        let file = file_before(given, previous.file)?;
        nothing_is_taken(&file, previous.recipients, &recipients)?;
        balances = file.balances()?;
    }
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
            previous_sha256: given.previous.map(|one| Sha256Digest::of(one.file)),
        },
        leaves,
        unassigned,
    };
    Ok(EpochFile::of(content)?)
}

fn file_before(given: &Given<'_>, bytes: &[u8]) -> Result<EpochFile, EpochError> {
    let previous = EpochFile::parse(bytes)?;
    if previous.epoch >= given.epoch {
        return Err(EpochError::Order {
            epoch: given.epoch,
            previous: previous.epoch,
        });
    }
    if previous.contract != given.contract {
        return Err(EpochError::Contract {
            contract: given.contract,
            previous: previous.contract,
        });
    }
    Ok(previous)
}

/// Whoever could claim can still, and is paid by a mapping that is not older: the
/// contract sees totals only, and a leaf left out would make room for another's.
fn nothing_is_taken(
    previous: &EpochFile,
    recipients_before: &[u8],
    recipients: &Recipients,
) -> Result<(), EpochError> {
    if Sha256Digest::of(recipients_before) != previous.inputs.recipients_sha256 {
        return Err(EpochError::PreviousRecipients(previous.epoch));
    }
    let before = Recipients::parse(recipients_before)?;
    for leaf in &previous.leaves {
        let hotkey = leaf.hotkey;
        let Some(signed_at) = recipients.signed_at(&hotkey) else {
            return Err(EpochError::Dropped {
                hotkey,
                previous: previous.epoch,
            });
        };
        if let Some(newer) = before
            .signed_at(&hotkey)
            .filter(|before| signed_at < *before)
        {
            return Err(EpochError::OlderMapping {
                hotkey,
                signed_at,
                previous: previous.epoch,
                newer,
            });
        }
    }
    Ok(())
}

fn total(leaves: &[Entry]) -> Result<Rao, EpochError> {
    leaves.iter().try_fold(Rao(0), |sum, leaf| {
        sum.checked_add(leaf.amount_rao).ok_or(EpochError::Total)
    })
}
