//! What the publisher and the verifier need of the chain. [`Live`] speaks to a real
//! one.

mod live;

use std::collections::BTreeMap;
use std::future::Future;

use protocol::claims::MerkleHash;
use protocol::ss58::Address;
use serde::{Deserialize, Serialize};

use crate::Rao;

pub use live::Live;

/// The claim contract on a chain, seen by one account.
pub trait Chain: Send + Sync {
    /// The contract's address.
    fn contract(&self) -> Address;

    /// The newest published epoch in finalized state.
    fn latest_epoch(&self) -> impl Future<Output = Result<Option<u64>, ChainError>> + Send;

    /// An epoch in finalized state, and the block of that state: one reading, so
    /// that what is not there at that block was not included before it.
    fn epoch(&self, epoch: u64) -> impl Future<Output = Result<Seen, ChainError>> + Send;

    /// Where the file of a published epoch is, as its publisher said.
    fn uri(
        &self,
        epoch: u64,
        published: &Published,
    ) -> impl Future<Output = Result<String, ChainError>> + Send;

    /// The contract's books in finalized state.
    fn books(&self) -> impl Future<Output = Result<BooksSeen, ChainError>> + Send;

    /// What each of these hotkeys was paid in all, and the books: everything in the
    /// state of one finalized block.
    fn paid(&self, hotkeys: &[Address]) -> impl Future<Output = Result<Paid, ChainError>> + Send;

    /// Signs a transaction of this call that can be included for a bounded number
    /// of blocks only. A call that the contract would refuse is refused here, by a
    /// dry run. Sends nothing.
    fn sign(&self, call: &Call) -> impl Future<Output = Result<SignedCall, ChainError>> + Send;

    /// Hands a signed transaction to the chain. One that it has already is no
    /// error; success promises nothing.
    fn submit(&self, signed: &SignedCall) -> impl Future<Output = Result<(), ChainError>> + Send;
}

/// A call to the claim contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum Call {
    /// `publish_epoch`.
    PublishEpoch {
        /// The epoch.
        epoch: u64,
        /// Its root.
        root: MerkleHash,
        /// How many leaves it has.
        num_of_leaves: u32,
        /// The sum of its leaves.
        total_rao: Rao,
        /// Where its epoch file is; ends with the file's digest.
        uri: String,
    },
    /// `challenge_epoch`.
    ChallengeEpoch {
        /// The epoch.
        epoch: u64,
        /// The digest of the evidence.
        evidence_hash: MerkleHash,
    },
}

/// A published epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Its root.
    pub root: MerkleHash,
    /// How many leaves it has.
    pub num_of_leaves: u32,
    /// The sum of its leaves.
    pub total_rao: Rao,
    /// Whether it is challenged, and claims are closed.
    pub is_disputed: bool,
    /// Whether it was struck down, and can never be claimed.
    pub is_void: bool,
    /// The block from which it can be claimed.
    pub claims_open_at: u64,
}

/// What finalized state says about an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The number of the finalized block.
    pub finalized_block: u64,
    /// The epoch, if it is published.
    pub epoch: Option<Published>,
}

/// How the contract's books stand. While they stand the same, nobody was paid: the sum
/// of all payments is the newest epoch's total, which never changes, less what is
/// owed, and every payment raises it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Books {
    /// The newest epoch that was not struck down.
    pub latest_epoch: Option<u64>,
    /// That epoch's total less everything that was paid.
    pub outstanding_rao: Rao,
}

/// What finalized state says about the contract's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BooksSeen {
    /// The number of the finalized block.
    pub finalized_block: u64,
    /// The books.
    pub books: Books,
}

/// What finalized state says about payments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// The block of that state, and the books in it.
    pub seen: BooksSeen,
    /// What each hotkey was paid in all.
    pub amounts: BTreeMap<Address, Rao>,
}

/// A signed transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedCall {
    /// Its bytes in hex.
    pub hex: String,
    /// The last block that can include it.
    pub valid_until_block: u64,
}

/// Why the chain did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// No answer, or none that can be read; try again.
    #[error("the chain does not answer: {0}")]
    Unreachable(String),
    /// The contract or the chain would refuse the call.
    #[error("the chain refuses: {0}")]
    Refused(String),
    /// The block on which an epoch was published tells nothing of it.
    #[error("where the file of epoch {epoch} is cannot be told: {problem}")]
    NoUri {
        /// Which epoch.
        epoch: u64,
        /// Why not, and what helps.
        problem: String,
    },
}
