//! The types that the chain uses, where they differ from ink!'s own choice.

use ink::env::Environment;

/// Subtensor: balances are 64 bits wide, and stake moves through a chain extension.
#[derive(Debug, Clone, PartialEq, Eq)]
#[ink::scale_derive(TypeInfo)]
pub enum SubtensorEnvironment {}

impl Environment for SubtensorEnvironment {
    const MAX_EVENT_TOPICS: usize = 4;

    type AccountId = ink::primitives::AccountId;
    type Balance = u64;
    type Hash = ink::primitives::Hash;
    type Timestamp = u64;
    type BlockNumber = u32;
    type ChainExtension = crate::stake::Staking;
}
