//! An epoch's tree, built the slow and obvious way.

use claim_contract::claim::ClaimData;
use claim_contract::merkle;
use ink::env::hash::Blake2x256;
use ink::primitives::{AccountId, Hash};

use super::CONTRACT;

/// The leaves of an epoch of the contract under test.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    claims: Vec<ClaimData>,
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// A tree of (hotkey, recipient, cumulative amount).
    pub(crate) fn of(epoch: u64, leaves: &[(AccountId, AccountId, u64)]) -> Self {
        let claims: Vec<_> = (0..)
            .zip(leaves)
            .map(|(index, &(hotkey, recipient_coldkey, amount))| ClaimData {
                epoch,
                index,
                hotkey,
                recipient_coldkey,
                amount,
                proof: Vec::new(),
            })
            .collect();
        let contract = AccountId::from(CONTRACT);
        let mut levels = vec![claims
            .iter()
            .map(|claim| merkle::leaf(&contract, claim))
            .collect::<Vec<_>>()];
        while levels.last().unwrap().len() > 1 {
            let above = levels.last().unwrap().chunks(2).map(join).collect();
            levels.push(above);
        }
        Self { claims, levels }
    }

    pub(crate) fn root(&self) -> Hash {
        self.levels.last().unwrap()[0]
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.claims.len()).unwrap()
    }

    pub(crate) fn total_rao(&self) -> u64 {
        self.claims.iter().map(|claim| claim.amount).sum()
    }

    /// The nodes of one level; level 0 are the leaves.
    pub(crate) fn level(&self, level: usize) -> &[Hash] {
        &self.levels[level]
    }

    /// The claim of the leaf at `index`, with its proof.
    pub(crate) fn claim(&self, index: u32) -> ClaimData {
        let mut place = usize::try_from(index).unwrap();
        let mut claim = self.claims[place].clone();
        for level in &self.levels[..self.levels.len() - 1] {
            claim.proof.extend(level.get(place ^ 1));
            place /= 2;
        }
        claim
    }
}

fn join(pair: &[Hash]) -> Hash {
    let [left, right] = pair else { return pair[0] };
    let mut hash = [0; 32];
    let bytes = [&[1], left.as_ref(), right.as_ref()].concat();
    ink::env::hash_bytes::<Blake2x256>(&bytes, &mut hash);
    Hash::from(hash)
}
