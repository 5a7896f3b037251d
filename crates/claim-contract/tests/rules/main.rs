//! Every rule of the contract, as a test. The contract runs in ink!'s own off-chain environment; only the chain that
//! holds the stake is played by the test.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails where it unwraps"
)]

mod books;
mod challenges;
mod claims;
mod events;
mod history;
mod proofs;
mod publishing;
mod reserve;
mod roles;
mod stake_codes;
mod support;
mod vectors;
