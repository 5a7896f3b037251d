//! The pool as a whole: against an independent implementation, over real HTTP and
//! both databases, with a stand-in for the chain, and killed at random.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[macro_use]
mod common;
mod api;
mod chain;
mod claimed;
mod claims_read;
mod crash;
mod differential;
mod epochs;
mod live;
#[allow(unreachable_pub, reason = "written for another crate's tests")]
#[path = "../../../coordinator/tests/common/postgres.rs"]
mod postgres;
mod program;
#[path = "../../../subtensor/tests/stand_in/mod.rs"]
mod stand_in;
mod wasm;
mod world;

/// What the PostgreSQL helper starts its server with: no test here cuts the power.
const FSYNC: &str = "off";

/// Where the PostgreSQL helper puts its server: memory, where there is some.
fn scratch() -> std::path::PathBuf {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}
