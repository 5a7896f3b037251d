//! What watchers are told.

use ink::prelude::string::String;
use ink::primitives::{AccountId, Hash};

/// A root was published; its challenge window began.
#[ink::event]
pub struct EpochPublished {
    /// The epoch's number.
    #[ink(topic)]
    pub epoch: u64,
    /// The Merkle root.
    pub root: Hash,
    /// The sum of the leaves, in rao, since the beginning.
    pub total_rao: u64,
    /// Where the epoch's file is.
    pub uri: String,
}

/// A leaf was paid.
#[ink::event]
pub struct Claimed {
    /// The epoch whose root proved it.
    #[ink(topic)]
    pub epoch: u64,
    /// The leaf's place.
    pub index: u32,
    /// Who earned.
    pub hotkey: AccountId,
    /// Who was paid.
    pub recipient: AccountId,
    /// What was transferred now, in rao: the leaf's cumulative amount less what the hotkey had been paid.
    pub amount: u64,
}

/// An epoch is disputed.
#[ink::event]
pub struct Challenged {
    /// The epoch's number.
    #[ink(topic)]
    pub epoch: u64,
    /// The digest of what shows the root wrong.
    pub evidence_hash: Hash,
    /// Who says so.
    pub challenger: AccountId,
}

/// A dispute was decided.
#[ink::event]
pub struct ChallengeResolved {
    /// The epoch's number.
    #[ink(topic)]
    pub epoch: u64,
    /// Whether the epoch was struck down.
    pub slashed: bool,
    /// Who decided.
    pub resolver: AccountId,
}

/// A part that an account can play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[ink::scale_derive(Encode, Decode, TypeInfo)]
pub enum Role {
    /// Publishes epochs.
    Gate,
    /// Challenges them.
    Vetoer,
    /// Decides challenges.
    Arbiter,
}

/// The owner gave a role to another account.
#[ink::event]
pub struct RoleChanged {
    /// Which role.
    #[ink(topic)]
    pub role: Role,
    /// Whose it is now.
    pub account: AccountId,
}

/// The owner stopped publishing and claiming, or let them go on.
#[ink::event]
pub struct PauseChanged {
    /// Whether they are stopped now.
    pub paused: bool,
}

/// The owner changed the reserve floor.
#[ink::event]
pub struct ReserveFloorChanged {
    /// The new floor, in rao.
    pub reserve_floor_rao: u64,
}

/// The owner took stake that was owed to nobody.
#[ink::event]
pub struct StakeWithdrawn {
    /// Who got it.
    pub recipient: AccountId,
    /// How much, in rao.
    pub amount: u64,
}
