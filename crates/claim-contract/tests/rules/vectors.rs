//! Leaves, roots and proofs are those of an independent implementation: `tests/data/merkle_vectors.py`.

use claim_contract::claim::ClaimData;
use claim_contract::merkle;
use ink::primitives::{AccountId, Hash};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    trees: Vec<VectorTree>,
}

#[derive(Deserialize)]
struct VectorTree {
    contract: String,
    epoch: u64,
    num_of_leaves: u32,
    root: String,
    leaves: Vec<VectorLeaf>,
}

#[derive(Deserialize)]
struct VectorLeaf {
    index: u32,
    hotkey: String,
    recipient_coldkey: String,
    amount: u64,
    leaf: String,
    proof: Vec<String>,
}

fn bytes(hex: &str) -> [u8; 32] {
    let digits = hex.strip_prefix("0x").unwrap();
    hex::decode(digits).unwrap().try_into().unwrap()
}

#[test]
fn every_leaf_and_proof_of_the_vectors_is_accepted() {
    let vectors: Vectors =
        serde_json::from_str(include_str!("../data/merkle_vectors.json")).unwrap();
    let mut checked = 0;
    for tree in &vectors.trees {
        let contract = AccountId::from(bytes(&tree.contract));
        let root = Hash::from(bytes(&tree.root));
        assert_eq!(
            tree.leaves.len(),
            usize::try_from(tree.num_of_leaves).unwrap()
        );
        for vector in &tree.leaves {
            let claim = ClaimData {
                epoch: tree.epoch,
                index: vector.index,
                hotkey: AccountId::from(bytes(&vector.hotkey)),
                recipient_coldkey: AccountId::from(bytes(&vector.recipient_coldkey)),
                amount: vector.amount,
                proof: vector
                    .proof
                    .iter()
                    .map(|hash| Hash::from(bytes(hash)))
                    .collect(),
            };
            let leaf = merkle::leaf(&contract, &claim);
            assert_eq!(leaf, Hash::from(bytes(&vector.leaf)));
            let proved = merkle::verify(&root, tree.num_of_leaves, claim.index, leaf, &claim.proof);
            assert_eq!(
                proved,
                Ok(()),
                "leaf {} of {}",
                claim.index,
                tree.num_of_leaves
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 124);
}
