//! What the tests share: accounts, a chain that holds stake, trees, and a contract on that chain.

pub(crate) mod chain;
pub(crate) mod tree;
pub(crate) mod world;

use ink::primitives::AccountId;

pub(crate) const CONTRACT: [u8; 32] = [0xcc; 32];

pub(crate) fn account(number: u8) -> AccountId {
    AccountId::from([number; 32])
}
