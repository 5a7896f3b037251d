//! What a claimant brings.

use ink::prelude::vec::Vec;
use ink::primitives::{AccountId, Hash};

/// One leaf of an epoch's tree and the proof that it is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[ink::scale_derive(Encode, Decode, TypeInfo)]
pub struct ClaimData {
    /// The epoch whose root the proof leads to.
    pub epoch: u64,
    /// The leaf's place in the epoch, from 0.
    pub index: u32,
    /// The miner who earned.
    pub hotkey: AccountId,
    /// Who is paid.
    pub recipient_coldkey: AccountId,
    /// Everything that the hotkey has ever earned, in rao. What was paid before is subtracted.
    pub amount: u64,
    /// Siblings from the leaf to the root; a level without a sibling has none here.
    pub proof: Vec<Hash>,
}
