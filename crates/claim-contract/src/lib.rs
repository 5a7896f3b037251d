//! The claim contract: what was earned is published as a Merkle root, may be challenged for a while, and is then paid
//! out, leaf by leaf, to whoever brings a proof.
//!
//! Read in this order: [`merkle`] (what a proof proves), [`epoch`] (when an epoch may be challenged and claimed),
//! [`books`] (how much may be promised and paid), and `contract`, which holds them together and speaks to the chain.
//! The first three know nothing of storage or of the chain.
//!
//! Amounts are whole units of subnet stake (rao, 10⁻⁹), block numbers are of 12-second blocks.

#![cfg_attr(not(feature = "std"), no_std, no_main)]
#![cfg_attr(
    not(feature = "std"),
    allow(
        unsafe_code,
        reason = "the contract's two entry points are exported symbols"
    )
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::missing_panics_doc,
    clippy::needless_pass_by_value,
    clippy::unused_self,
    clippy::used_underscore_binding,
    reason = "what ink!'s and SCALE's macros generate"
)]

pub mod books;
mod burned_register;
pub mod claim;
mod contract;
mod environment;
pub mod epoch;
pub mod error;
pub mod events;
pub mod merkle;
pub mod stake;

pub use contract::claim_contract::{ClaimContract, ClaimContractRef};
pub use environment::SubtensorEnvironment;
