//! One leaf of a tree of any size: its siblings are made up, and the root is what they lead to.

use claim_contract::claim::ClaimData;
use claim_contract::merkle;
use ink::env::hash::Blake2x256;
use ink::primitives::{AccountId, Hash};

pub(crate) struct Path {
    claim: ClaimData,
    leaves: u32,
    root: Hash,
}

impl Path {
    /// The leaf at `index` of `leaves`, of which there is a power of two.
    pub(crate) fn of(
        contract: AccountId,
        epoch: u64,
        index: u32,
        leaves: u32,
        amount: u64,
    ) -> Self {
        assert!(leaves.is_power_of_two());
        let levels = u8::try_from(leaves.ilog2()).unwrap();
        let claim = ClaimData {
            epoch,
            index,
            hotkey: AccountId::from([11; 32]),
            recipient_coldkey: AccountId::from([21; 32]),
            amount,
            proof: (0..levels).map(|level| Hash::from([level; 32])).collect(),
        };
        let mut root = merkle::leaf(&contract, &claim);
        for (level, sibling) in claim.proof.iter().enumerate() {
            let is_right = index >> level & 1 == 1;
            let (left, right) = if is_right {
                (sibling, &root)
            } else {
                (&root, sibling)
            };
            let mut hash = [0; 32];
            let bytes = [&[1], left.as_ref(), right.as_ref()].concat();
            ink::env::hash_bytes::<Blake2x256>(&bytes, &mut hash);
            root = Hash::from(hash);
        }
        Self {
            claim,
            leaves,
            root,
        }
    }

    pub(crate) fn claim(&self) -> ClaimData {
        self.claim.clone()
    }

    pub(crate) fn leaves(&self) -> u32 {
        self.leaves
    }

    pub(crate) fn root(&self) -> Hash {
        self.root
    }
}
