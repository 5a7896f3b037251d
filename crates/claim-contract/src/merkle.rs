//! Leaves, nodes and proofs.
//!
//! Hashes are BLAKE2b-256. A leaf is `H(0x00 ‖ contract ‖ SCALE(epoch u64, index u32, hotkey, recipient, amount u64))`, a
//! node `H(0x01 ‖ left ‖ right)`: the first byte keeps a node from passing for a leaf, the contract's account keeps a
//! proof from being used with another deployment. Leaves are in the order of their indices. The last node of a level of
//! odd length goes up unchanged, so the number of leaves says which levels of a path have a sibling.

#![deny(clippy::arithmetic_side_effects)]

use ink::env::hash::Blake2x256;
use ink::primitives::{AccountId, Hash};

use crate::claim::ClaimData;
use crate::error::{Error, Result};

const LEAF: u8 = 0;
const NODE: u8 = 1;

/// The hash of the leaf that `claim` says is in the tree of `contract`.
pub fn leaf(contract: &AccountId, claim: &ClaimData) -> Hash {
    let mut hash = [0; 32];
    // SCALE writes a tuple's parts one after the other, integers little-endian, accounts as their 32 bytes.
    ink::env::hash_encoded::<Blake2x256, _>(
        &(
            LEAF,
            contract,
            claim.epoch,
            claim.index,
            claim.hotkey,
            claim.recipient_coldkey,
            claim.amount,
        ),
        &mut hash,
    );
    Hash::from(hash)
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hash = [0; 32];
    ink::env::hash_encoded::<Blake2x256, _>(&(NODE, left, right), &mut hash);
    Hash::from(hash)
}

/// Checks that `leaf` is at `index` of the tree with `leaves` leaves and this `root`.
///
/// # Errors
///
/// [`Error::IndexOutOfRange`], [`Error::ProofLengthWrong`] unless the proof has exactly one element for each level that
/// has a sibling, [`Error::ProofInvalid`] when it leads to another root.
pub fn verify(root: &Hash, leaves: u32, index: u32, leaf: Hash, proof: &[Hash]) -> Result<()> {
    if index >= leaves {
        return Err(Error::IndexOutOfRange);
    }
    let mut siblings = proof.iter();
    let mut hash = leaf;
    let mut place = index;
    let mut width = leaves;
    while width > 1 {
        let is_right = place % 2 == 1;
        let is_alone = !is_right && place == width.saturating_sub(1);
        if !is_alone {
            let sibling = siblings.next().ok_or(Error::ProofLengthWrong)?;
            hash = if is_right {
                node(sibling, &hash)
            } else {
                node(&hash, sibling)
            };
        }
        place /= 2;
        width = width.div_ceil(2);
    }
    if siblings.next().is_some() {
        return Err(Error::ProofLengthWrong);
    }
    if hash == *root {
        Ok(())
    } else {
        Err(Error::ProofInvalid)
    }
}
