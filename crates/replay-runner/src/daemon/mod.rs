//! The validator daemon: fetches work, replays it, posts what it saw, and
//! survives what happens meanwhile.
//!
//! A job travels `client` → `intake` → `spool` → `attempt` (which reads it as a
//! [`job`], replays it and keeps its `heartbeat`) → `spool` → `outbox` →
//! `client`. Everything between is on disk: whatever ends the process, the next
//! start goes on from there.

mod attempt;
mod backlog;
mod backoff;
mod breaker;
mod budget;
mod caches;
pub mod client;
pub mod clock;
pub mod config;
mod heartbeat;
mod housekeeping;
mod intake;
pub mod job;
mod key;
mod listen;
mod lock;
mod meters;
mod notify;
mod outbox;
mod probe;
mod result;
mod run;
mod running;
mod secrecy;
mod shared;
pub mod spool;
mod wellness;

pub use key::{KeyError, read_key};
pub use lock::is_running;
pub use result::ResultBody;
pub use run::{DaemonError, Ended, Overrides, Shortfall, Start, run};
pub use secrecy::seal_process;
