//! The epoch file: the one document that says what an epoch pays, and by which
//! inputs anyone can recompute it.

use protocol::Sha256Digest;
use protocol::claims::{ClaimPackage, Leaf, MerkleHash};
use protocol::ss58::Address;
use serde::{Deserialize, Serialize};

use crate::Rao;
use crate::ledger::{BalanceError, Balances};
use crate::merkle::{Tree, TreeError};

/// The name and version of the format.
const FORMAT: &str = "pool-epoch-v1";

/// An epoch. The same content is always the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochFile {
    format: String,
    /// Its number.
    pub epoch: u64,
    /// The claim contract that pays it.
    pub contract: Address,
    /// The root over its leaves.
    pub root: MerkleHash,
    /// How many leaves it has.
    pub num_of_leaves: u32,
    /// The sum of its leaves: what the contract declares with the epoch, and pays
    /// less what it has paid before.
    pub total_rao: Rao,
    /// What this epoch added to all balances together.
    pub budget_rao: Rao,
    /// What it was computed from.
    pub inputs: Inputs,
    /// What can be claimed, in the order of the hotkeys' bytes; a leaf's place
    /// is its index.
    pub leaves: Vec<Entry>,
    /// Miners who had named no recipient: carried on, claimable in a later epoch.
    pub unassigned: Vec<Balance>,
}

/// The SHA-256 digests of an epoch's inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The reward snapshot, as it was received.
    pub snapshot_sha256: Sha256Digest,
    /// The recipient mappings as they were when the epoch froze.
    pub recipients_sha256: Sha256Digest,
    /// The epoch file before this one, unless it is the first.
    pub previous_sha256: Option<Sha256Digest>,
}

/// A leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Whose reward it is.
    pub hotkey: Address,
    /// Who is paid.
    pub recipient_coldkey: Address,
    /// Everything earned so far.
    pub amount_rao: Rao,
}

/// A balance without a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// Whose reward it is.
    pub hotkey: Address,
    /// Everything earned so far.
    pub amount_rao: Rao,
}

/// Why bytes are no epoch file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Not JSON with exactly the fields of the format.
    #[error("the epoch file is unreadable: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Another format.
    #[error("the epoch file's format is {0:?}, and not {FORMAT:?}")]
    Format(String),
    /// Another spelling of an epoch file: its digest would be another.
    #[error("the epoch file is not written as this pool writes it")]
    Spelling,
    /// A list is not in strictly rising order of hotkeys.
    #[error("{list}: the hotkeys are not in rising order, each once, at place {place}")]
    Order {
        /// Which list.
        list: &'static str,
        /// From 0.
        place: usize,
    },
}

/// What an epoch says, before its root is known.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) epoch: u64,
    pub(super) contract: Address,
    pub(super) total_rao: Rao,
    pub(super) budget_rao: Rao,
    pub(super) inputs: Inputs,
    pub(super) leaves: Vec<Entry>,
    pub(super) unassigned: Vec<Balance>,
}

impl EpochFile {
    /// The file of this content.
    pub(super) fn of(content: Content) -> Result<Self, TreeError> {
        let tree = tree(content.contract, content.epoch, &content.leaves)?;
        Ok(Self {
            format: FORMAT.to_owned(),
            epoch: content.epoch,
            contract: content.contract,
            root: tree.root(),
            num_of_leaves: tree.num_of_leaves(),
            total_rao: content.total_rao,
            budget_rao: content.budget_rao,
            inputs: content.inputs,
            leaves: content.leaves,
            unassigned: content.unassigned,
        })
    }

    /// Reads a file. Its root and amounts are what it says, not what is true:
    /// [`crate::verify`] recomputes them.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FileError> {
        let file: Self = serde_json::from_slice(bytes)?;
        if file.format != FORMAT {
            return Err(FileError::Format(file.format.chars().take(80).collect()));
        }
        in_order("leaves", file.leaves.iter().map(|one| one.hotkey))?;
        in_order("unassigned", file.unassigned.iter().map(|one| one.hotkey))?;
        if file.to_bytes() != bytes {
            return Err(FileError::Spelling);
        }
        Ok(file)
    }

    /// The file's bytes: compact JSON in the order of the fields, and a line feed.
    #[expect(clippy::missing_panics_doc, reason = "never: see the expectation")]
    pub fn to_bytes(&self) -> Vec<u8> {
        let written = serde_json::to_vec(self);
        let mut bytes = written.expect("strings, numbers and lists are always JSON");
        bytes.push(b'\n');
        bytes
    }

    /// The file's digest: its name in the store, and in what is published.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.to_bytes())
    }

    /// The tree above the leaves.
    ///
    /// # Errors
    /// [`TreeError`] for a file without leaves.
    pub fn tree(&self) -> Result<Tree, TreeError> {
        tree(self.contract, self.epoch, &self.leaves)
    }

    /// All balances, with and without a leaf.
    ///
    /// # Errors
    /// [`BalanceError::Twice`] for a hotkey in both lists.
    pub fn balances(&self) -> Result<Balances, BalanceError> {
        let leaves = self.leaves.iter().map(|one| (one.hotkey, one.amount_rao));
        let others = self
            .unassigned
            .iter()
            .map(|one| (one.hotkey, one.amount_rao));
        Balances::of(leaves.chain(others))
    }

    /// The claim package of `hotkey`, with its proof from this file's `tree`.
    pub fn package(&self, tree: &Tree, hotkey: &Address) -> Option<ClaimPackage> {
        let place = self
            .leaves
            .binary_search_by_key(hotkey, |leaf| leaf.hotkey)
            .ok()?;
        let entry = &self.leaves[place];
        let index = u32::try_from(place).ok()?;
        Some(ClaimPackage {
            epoch: self.epoch,
            index,
            hotkey: entry.hotkey,
            recipient_coldkey: entry.recipient_coldkey,
            amount_units: entry.amount_rao.0,
            proof: tree.proof(index).collect(),
            root: tree.root(),
        })
    }
}

fn tree(contract: Address, epoch: u64, leaves: &[Entry]) -> Result<Tree, TreeError> {
    let hash = |(index, entry): (u32, &Entry)| {
        let leaf = Leaf {
            contract,
            epoch,
            index,
            hotkey: entry.hotkey,
            recipient_coldkey: entry.recipient_coldkey,
            amount_rao: entry.amount_rao.0,
        };
        leaf.hash()
    };
    if u32::try_from(leaves.len()).is_err() {
        return Err(TreeError::TooMany(leaves.len()));
    }
    Tree::above((0..).zip(leaves).map(hash).collect())
}

fn in_order(list: &'static str, hotkeys: impl Iterator<Item = Address>) -> Result<(), FileError> {
    let mut last: Option<Address> = None;
    for (place, hotkey) in hotkeys.enumerate() {
        if last.is_some_and(|last| last >= hotkey) {
            return Err(FileError::Order { list, place });
        }
        last = Some(hotkey);
    }
    Ok(())
}
