//! The tree above an epoch's leaves, by the rule that [`protocol::claims`]
//! checks proofs by.

use protocol::claims::{MerkleHash, parent, path};

/// Why there is no tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// Nothing to claim.
    #[error("a tree needs a leaf")]
    Empty,
    /// An index is 32 bits on the chain.
    #[error("{0} leaves are more than the contract can count, 4294967295")]
    TooMany(usize),
}

/// A whole tree in memory: 64 bytes for each leaf, whatever proofs are asked for.
#[derive(Debug, Clone)]
pub struct Tree {
    /// From the leaves up to the root.
    levels: Vec<Vec<MerkleHash>>,
    num_of_leaves: u32,
    root: MerkleHash,
}

impl Tree {
    /// Builds the tree above these leaves.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn above(leaves: Vec<MerkleHash>) -> Result<Self, TreeError> {
        let num_of_leaves =
            u32::try_from(leaves.len()).map_err(|_| TreeError::TooMany(leaves.len()))?;
        let mut levels = Vec::with_capacity(33);
        let mut top = leaves;
        while top.len() > 1 {
            let next = level_above(&top);
            levels.push(std::mem::replace(&mut top, next));
        }
        let root = *top.first().ok_or(TreeError::Empty)?;
        levels.push(top);
        Ok(Self {
            levels,
            num_of_leaves,
            root,
        })
    }

    /// The root.
    pub fn root(&self) -> MerkleHash {
        self.root
    }

    /// How many leaves it has.
    pub fn num_of_leaves(&self) -> u32 {
        self.num_of_leaves
    }

    /// The proof of the leaf at `index`, made on the way; empty for a lone leaf,
    /// and for an index outside the tree.
    pub fn proof(&self, index: u32) -> impl Iterator<Item = MerkleHash> + '_ {
        path(index, self.num_of_leaves)
            .zip(&self.levels)
            .filter_map(|(sibling, level)| level.get(usize::try_from(sibling?).ok()?).copied())
    }
}

fn level_above(level: &[MerkleHash]) -> Vec<MerkleHash> {
    let above = level.chunks(2).map(|pair| match pair {
        [left, right] => parent(left, right),
        // The last of an odd level is promoted; a chunk is never empty.
        rest => rest[0],
    });
    above.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::claims::verify;

    use super::*;

    fn leaves(count: u32) -> Vec<MerkleHash> {
        let leaf = |n: u32| MerkleHash::of(&n.to_le_bytes());
        (0..count).map(leaf).collect()
    }

    #[test]
    fn a_tree_needs_a_leaf() {
        assert_eq!(Tree::above(Vec::new()).unwrap_err(), TreeError::Empty);
    }

    proptest! {
        #[test]
        fn every_proof_verifies_and_no_other_does(count in 1u32..200, seed in any::<u32>()) {
            let leaves = leaves(count);
            let tree = Tree::above(leaves.clone()).unwrap();
            let other = seed % count;
            for (index, leaf) in (0..).zip(&leaves) {
                let proof: Vec<_> = tree.proof(index).collect();
                prop_assert_eq!(verify(*leaf, index, count, &proof, tree.root()), Ok(()));
                if other != index {
                    prop_assert!(verify(*leaf, other, count, &proof, tree.root()).is_err());
                    prop_assert!(verify(leaves[other as usize], index, count, &proof, tree.root()).is_err());
                }
                for place in 0..proof.len() {
                    let mut bent = proof.clone();
                    let mut bytes = *bent[place].as_bytes();
                    bytes[seed as usize % 32] ^= 1 << (seed % 8);
                    bent[place] = MerkleHash::from_bytes(bytes);
                    prop_assert!(verify(*leaf, index, count, &bent, tree.root()).is_err());
                    bent.remove(place);
                    prop_assert!(verify(*leaf, index, count, &bent, tree.root()).is_err());
                }
            }
        }
    }
}
