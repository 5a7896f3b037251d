//! Every route of the wire over real HTTP, on SQLite and on PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::assigning_clones,
    clippy::too_many_lines,
    reason = "a test may panic, and reads as one story"
)]

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod auth;
mod basics;
mod claims;
mod consensus;
mod jobs;
mod limits;
mod modes;
mod onchain;
mod pool;
mod rewards;
mod submissions;
mod tasks;
