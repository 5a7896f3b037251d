//! Every route of the wire over real HTTP, on SQLite and on PostgreSQL.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod auth;
mod basics;
mod claims;
mod jobs;
mod modes;
mod rewards;
mod submissions;
mod tasks;
