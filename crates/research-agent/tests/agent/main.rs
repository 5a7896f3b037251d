//! The real program against the real coordinator over real HTTP, with the real
//! engine where something is replayed.
//!
//! Three things stand in for what cannot be here: `model.rs` serves an
//! OpenAI-compatible endpoint, because there is no model on a test machine,
//! `liar.rs` a coordinator or a pool that lies, because ours do not, and
//! `claims_chain.rs` the live chain.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod by_hand;
mod claims_chain;
mod coordinator;
mod hostile;
mod liar;
mod mining;
mod model;
mod peers;
mod pool_service;
mod program;
mod repository;
mod rewards;
#[path = "../../../subtensor/tests/stand_in/mod.rs"]
mod stand_in;
mod vectors;
mod wallet;
mod wire_lines;
