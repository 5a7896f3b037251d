//! A whole network on one machine: the installed coordinator and daemons as
//! processes, and miners and owners that talk to them over HTTP.

mod client;
mod coordinator;
mod daemon;
mod miner;
mod owner;

pub use client::{Answer, Client, keypair};
pub use coordinator::Coordinator;
pub use daemon::Daemon;
pub use miner::{Content, submit};
pub use owner::{post_fixture, post_task, publish};
