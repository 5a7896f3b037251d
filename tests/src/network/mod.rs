//! A whole network on one machine: the installed coordinator and daemons as
//! processes, and miners and owners that talk to them over HTTP, by hand or by the
//! miner's own command line.

mod agent;
mod client;
mod coordinator;
mod daemon;
mod miner;
mod owner;
mod pool;
mod process;

pub use agent::{Agent, Taken};
pub use client::{Answer, Client, keypair};
pub use coordinator::Coordinator;
pub use daemon::Daemon;
pub use miner::{Content, patiently, submit};
pub use owner::{post_fixture, post_task, publish};
pub use pool::Pool;
