//! The daemon: its configuration, what it makes of jobs, its spool, and how the
//! installed program meets a coordinator that fails in every way.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod config;
mod coordinator;
mod jobs;
mod posting;
mod process;
mod spool;
mod starting;
mod taking;
mod unit;
