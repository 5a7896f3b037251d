//! Checking that a leaf is in a tree, by the rule of `CHAIN.md` §1: the leaf's
//! index says the side at each level, a level of odd length promotes its last
//! node unchanged, and the number of leaves says how long a proof must be.

use super::{MerkleHash, parent};

/// Why a proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// No such place in the tree.
    #[error("index {index} is not below the number of leaves, {num_of_leaves}")]
    Index {
        /// The leaf's index.
        index: u32,
        /// How many leaves the tree has.
        num_of_leaves: u32,
    },
    /// Too few hashes, or too many.
    #[error("the proof has {actual} hashes; this leaf's has {expected}")]
    Length {
        /// How many it has.
        actual: usize,
        /// How many it must have.
        expected: usize,
    },
    /// It leads to another root.
    #[error("the proof leads to the root {found}, not to {root}")]
    Root {
        /// Where it leads.
        found: MerkleHash,
        /// The tree's root.
        root: MerkleHash,
    },
}

/// The place of the sibling at each level from the leaves up, `None` where the
/// node is the promoted one. Nothing for an index outside the tree.
pub fn path(index: u32, num_of_leaves: u32) -> impl Iterator<Item = Option<u32>> {
    let is_inside = index < num_of_leaves;
    let mut place = index;
    let mut width = if is_inside { num_of_leaves } else { 1 };
    std::iter::from_fn(move || {
        if width == 1 {
            return None;
        }
        let sibling = place ^ 1;
        let step = (sibling < width).then_some(sibling);
        place /= 2;
        width = width.div_ceil(2);
        Some(step)
    })
}

/// How many hashes the proof of the leaf at `index` has.
pub fn proof_length(index: u32, num_of_leaves: u32) -> usize {
    path(index, num_of_leaves).flatten().count()
}

/// Checks that the leaf with this hash is at `index` of the tree with
/// `num_of_leaves` leaves and this root.
///
/// # Errors
/// [`ProofError`].
pub fn verify(
    leaf: MerkleHash,
    index: u32,
    num_of_leaves: u32,
    proof: &[MerkleHash],
    root: MerkleHash,
) -> Result<(), ProofError> {
    if index >= num_of_leaves {
        return Err(ProofError::Index {
            index,
            num_of_leaves,
        });
    }
    let expected = proof_length(index, num_of_leaves);
    if proof.len() != expected {
        return Err(ProofError::Length {
            actual: proof.len(),
            expected,
        });
    }
    let siblings = path(index, num_of_leaves).flatten();
    let found = siblings.zip(proof).fold(leaf, |node, (place, sibling)| {
        // A sibling at an odd place is the one to the right.
        if place % 2 == 1 {
            parent(&node, sibling)
        } else {
            parent(sibling, &node)
        }
    });
    if found == root {
        Ok(())
    } else {
        Err(ProofError::Root { found, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u8) -> MerkleHash {
        MerkleHash::of(&[n])
    }

    #[test]
    fn the_only_leaf_is_the_root() {
        assert_eq!(verify(leaf(0), 0, 1, &[], leaf(0)), Ok(()));
        let extra = verify(leaf(0), 0, 1, &[leaf(1)], leaf(0));
        assert!(matches!(extra, Err(ProofError::Length { .. })), "{extra:?}");
    }

    #[test]
    fn the_last_of_three_leaves_is_promoted() {
        let pair = parent(&leaf(0), &leaf(1));
        let root = parent(&pair, &leaf(2));
        assert_eq!(verify(leaf(2), 2, 3, &[pair], root), Ok(()));
        assert_eq!(verify(leaf(1), 1, 3, &[leaf(0), leaf(2)], root), Ok(()));
        let swapped = verify(leaf(1), 0, 3, &[leaf(0), leaf(2)], root);
        assert!(
            matches!(swapped, Err(ProofError::Root { .. })),
            "{swapped:?}"
        );
    }

    #[test]
    fn a_node_does_not_pass_for_a_leaf_of_a_smaller_tree() {
        let pairs = [parent(&leaf(0), &leaf(1)), parent(&leaf(2), &leaf(3))];
        let root = parent(&pairs[0], &pairs[1]);
        // The hash itself would do; what is hashed for it never is a leaf.
        let node: Vec<u8> = [[1].as_slice(), leaf(0).as_bytes(), leaf(1).as_bytes()].concat();
        assert_eq!(MerkleHash::of(&node), pairs[0]);
        let as_leaf = MerkleHash::of(&[[0].as_slice(), &node[1..]].concat());
        assert!(verify(as_leaf, 0, 2, &[pairs[1]], root).is_err());
    }

    #[test]
    fn an_index_outside_the_tree_is_refused() {
        for (index, count) in [(0, 0), (1, 1), (u32::MAX, u32::MAX)] {
            let found = verify(leaf(0), index, count, &[], leaf(0));
            assert!(matches!(found, Err(ProofError::Index { .. })), "{found:?}");
        }
        assert_eq!(proof_length(u32::MAX - 1, u32::MAX), 31);
        assert_eq!(proof_length(0, u32::MAX), 32);
    }
}
