//! What is hashed: a leaf, and a node above two others (`CHAIN.md` §1).

use super::MerkleHash;
use crate::ss58::Address;

/// The first byte of what is hashed for a leaf. It differs from a node's, so
/// that no node passes for a leaf.
const LEAF: u8 = 0x00;
/// The first byte of what is hashed for a node.
const NODE: u8 = 0x01;

/// How many bytes of a leaf are hashed.
const LEAF_BYTES: usize = 1 + 32 + 8 + 4 + 32 + 32 + 8;

/// One claim as the contract hashes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// The claim contract: a proof is good for no other deployment.
    pub contract: Address,
    /// The epoch.
    pub epoch: u64,
    /// The leaf's place in the tree, from 0.
    pub index: u32,
    /// Whose reward it is.
    pub hotkey: Address,
    /// Who is paid.
    pub recipient_coldkey: Address,
    /// Everything the hotkey earned so far, in rao; a claim pays what of it was
    /// not claimed yet.
    pub amount_rao: u64,
}

impl Leaf {
    /// What is hashed: the leaf's tag, the contract, and the SCALE encoding of
    /// the rest, which is its fields in order, numbers little-endian.
    pub fn encode(&self) -> [u8; LEAF_BYTES] {
        let mut bytes = [0; LEAF_BYTES];
        bytes[0] = LEAF;
        bytes[1..33].copy_from_slice(self.contract.as_bytes());
        bytes[33..41].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[41..45].copy_from_slice(&self.index.to_le_bytes());
        bytes[45..77].copy_from_slice(self.hotkey.as_bytes());
        bytes[77..109].copy_from_slice(self.recipient_coldkey.as_bytes());
        bytes[109..].copy_from_slice(&self.amount_rao.to_le_bytes());
        bytes
    }

    /// The leaf's hash.
    pub fn hash(&self) -> MerkleHash {
        MerkleHash::of(&self.encode())
    }
}

/// The hash of the node above `left` and `right`.
pub fn parent(left: &MerkleHash, right: &MerkleHash) -> MerkleHash {
    let mut bytes = [0; 65];
    bytes[0] = NODE;
    bytes[1..33].copy_from_slice(left.as_bytes());
    bytes[33..].copy_from_slice(right.as_bytes());
    MerkleHash::of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_the_one_of_the_contract() {
        let leaf = Leaf {
            contract: Address::from_bytes([0xc0; 32]),
            epoch: 0x0102_0304_0506_0708,
            index: 0x0a0b_0c0d,
            hotkey: Address::from_bytes([0x11; 32]),
            recipient_coldkey: Address::from_bytes([0x22; 32]),
            amount_rao: 0x1112_1314_1516_1718,
        };
        let expected = format!(
            "00{}08070605040302010d0c0b0a{}{}1817161514131211",
            "c0".repeat(32),
            "11".repeat(32),
            "22".repeat(32)
        );
        assert_eq!(hex::encode(leaf.encode()), expected);
    }

    #[test]
    fn the_hash_is_blake2b_of_256_bits() {
        // hashlib.blake2b(b"abc", digest_size=32).hexdigest()
        let abc = "0xbddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319";
        assert_eq!(MerkleHash::of(b"abc").to_string(), abc);
    }
}
