//! The claim package that a pool hands to a miner (`WIRE.md` §6).

use serde::{Deserialize, Serialize};

use super::{Leaf, MerkleHash, ProofError, verify};
use crate::ss58::Address;

/// All that a claim transaction needs. Existing claim clients read exactly these
/// fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimPackage {
    /// The epoch.
    pub epoch: u64,
    /// The leaf's place in the epoch's tree.
    pub index: u32,
    /// Whose reward it is.
    pub hotkey: Address,
    /// Who is paid.
    pub recipient_coldkey: Address,
    /// Everything the hotkey earned so far, in rao.
    pub amount_units: u64,
    /// The hashes beside the way from the leaf to the root.
    pub proof: Vec<MerkleHash>,
    /// The epoch's root.
    pub root: MerkleHash,
}

impl ClaimPackage {
    /// The leaf that this package claims from `contract`.
    pub fn leaf(&self, contract: Address) -> Leaf {
        Leaf {
            contract,
            epoch: self.epoch,
            index: self.index,
            hotkey: self.hotkey,
            recipient_coldkey: self.recipient_coldkey,
            amount_rao: self.amount_units,
        }
    }

    /// Checks the proof as the contract does, against the package's own root;
    /// whether that is the root that was published, only the chain says.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(&self, contract: Address, num_of_leaves: u32) -> Result<(), ProofError> {
        let leaf = self.leaf(contract).hash();
        verify(leaf, self.index, num_of_leaves, &self.proof, self.root)
    }
}
