//! The real program against the real coordinator over real HTTP, with the real
//! engine where something is replayed.
//!
//! Two things stand in for what cannot be here: `model.rs` serves an
//! OpenAI-compatible endpoint, because there is no model on a test machine, and
//! `liar.rs` a coordinator that lies, because ours does not.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod by_hand;
mod coordinator;
mod hostile;
mod liar;
mod mining;
mod model;
mod peers;
mod program;
mod repository;
mod vectors;
mod wallet;
mod wire_lines;
