//! A proof proves one leaf of one epoch of one contract, and nothing else.

use claim_contract::error::Error;
use claim_contract::merkle;
use ink::primitives::{AccountId, Hash};
use proptest::prelude::*;

use crate::support::tree::Tree;
use crate::support::{account, CONTRACT};

fn accounts() -> impl Strategy<Value = AccountId> {
    any::<u8>().prop_map(account)
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = (accounts(), accounts(), 1..=1_u64 << 50);
    (any::<u64>(), prop::collection::vec(leaf, 1..70))
        .prop_map(|(epoch, leaves)| Tree::of(epoch, &leaves))
}

fn tree_and_index() -> impl Strategy<Value = (Tree, u32)> {
    trees().prop_flat_map(|tree| {
        let len = tree.len();
        (Just(tree), 0..len)
    })
}

/// Verifies what `claim` says in the tree, as contract `contract` would.
fn verify(
    tree: &Tree,
    contract: [u8; 32],
    claim: &claim_contract::claim::ClaimData,
) -> Result<(), Error> {
    let leaf = merkle::leaf(&AccountId::from(contract), claim);
    merkle::verify(&tree.root(), tree.len(), claim.index, leaf, &claim.proof)
}

proptest! {
    #[test]
    fn the_proof_of_every_leaf_is_accepted((tree, index) in tree_and_index()) {
        prop_assert_eq!(verify(&tree, CONTRACT, &tree.claim(index)), Ok(()));
    }

    #[test]
    fn a_proof_for_another_contract_fails((tree, index) in tree_and_index(), bit in 0..256_usize) {
        let mut other = CONTRACT;
        other[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(verify(&tree, other, &tree.claim(index)), Err(Error::ProofInvalid));
    }

    #[test]
    fn a_proof_for_another_epoch_fails((tree, index) in tree_and_index(), other: u64) {
        let mut claim = tree.claim(index);
        prop_assume!(other != claim.epoch);
        claim.epoch = other;
        prop_assert_eq!(verify(&tree, CONTRACT, &claim), Err(Error::ProofInvalid));
    }

    #[test]
    fn a_proof_for_another_index_fails((tree, index) in tree_and_index(), other: u32) {
        let other = other % (tree.len() + 2);
        prop_assume!(other != index);
        let mut claim = tree.claim(index);
        claim.index = other;
        prop_assert!(verify(&tree, CONTRACT, &claim).is_err());
    }

    #[test]
    fn a_proof_for_another_hotkey_fails((tree, index) in tree_and_index(), other in accounts()) {
        let mut claim = tree.claim(index);
        prop_assume!(other != claim.hotkey);
        claim.hotkey = other;
        prop_assert_eq!(verify(&tree, CONTRACT, &claim), Err(Error::ProofInvalid));
    }

    #[test]
    fn a_proof_for_another_recipient_fails((tree, index) in tree_and_index(), other in accounts()) {
        let mut claim = tree.claim(index);
        prop_assume!(other != claim.recipient_coldkey);
        claim.recipient_coldkey = other;
        prop_assert_eq!(verify(&tree, CONTRACT, &claim), Err(Error::ProofInvalid));
    }

    #[test]
    fn a_proof_for_another_amount_fails((tree, index) in tree_and_index(), other: u64) {
        let mut claim = tree.claim(index);
        prop_assume!(other != claim.amount);
        claim.amount = other;
        prop_assert_eq!(verify(&tree, CONTRACT, &claim), Err(Error::ProofInvalid));
    }

    #[test]
    fn a_changed_proof_fails((tree, index) in tree_and_index(), element: prop::sample::Index, bit in 0..256_usize) {
        let mut claim = tree.claim(index);
        prop_assume!(!claim.proof.is_empty());
        let changed = element.index(claim.proof.len());
        let mut bytes: [u8; 32] = claim.proof[changed].into();
        bytes[bit / 8] ^= 1 << (bit % 8);
        claim.proof[changed] = Hash::from(bytes);
        prop_assert_eq!(verify(&tree, CONTRACT, &claim), Err(Error::ProofInvalid));
    }

    #[test]
    fn a_proof_with_an_element_more_or_less_fails((tree, index) in tree_and_index(), extra: [u8; 32]) {
        let mut longer = tree.claim(index);
        longer.proof.push(Hash::from(extra));
        prop_assert_eq!(verify(&tree, CONTRACT, &longer), Err(Error::ProofLengthWrong));
        let mut shorter = tree.claim(index);
        if shorter.proof.pop().is_some() {
            prop_assert_eq!(verify(&tree, CONTRACT, &shorter), Err(Error::ProofLengthWrong));
        }
    }

    /// Second preimage: an inner node offered as a leaf of a smaller tree, or with a shorter proof.
    #[test]
    fn a_node_does_not_pass_for_a_leaf((tree, index) in tree_and_index()) {
        prop_assume!(tree.len() > 1);
        let claim = tree.claim(index);
        let above = tree.level(1)[usize::try_from(index / 2).unwrap()];
        let shorter = &claim.proof[claim.proof.len().min(1)..];
        let offered = merkle::verify(&tree.root(), tree.len(), index, above, shorter);
        prop_assert!(offered.is_err());
    }
}

/// The 64 bytes under a node, read as the content of a leaf, hash to something else than the node.
#[test]
fn what_is_hashed_for_a_node_and_for_a_leaf_begins_differently() {
    let tree = Tree::of(
        7,
        &[(account(1), account(2), 3), (account(4), account(5), 6)],
    );
    let [left, right] = tree.level(0) else {
        panic!("two leaves make one pair")
    };
    let bytes = [left.as_ref(), right.as_ref()].concat();
    for prefix in [None, Some(0_u8)] {
        let mut hash = [0; 32];
        let input = prefix
            .into_iter()
            .chain(bytes.iter().copied())
            .collect::<Vec<_>>();
        ink::env::hash_bytes::<ink::env::hash::Blake2x256>(&input, &mut hash);
        assert_ne!(Hash::from(hash), tree.root());
    }
}

#[test]
fn an_index_beyond_the_leaves_is_named() {
    let tree = Tree::of(7, &[(account(1), account(2), 3)]);
    let mut claim = tree.claim(0);
    claim.index = 1;
    assert_eq!(verify(&tree, CONTRACT, &claim), Err(Error::IndexOutOfRange));
}
