//! What every part of the system agrees on: tasks, replay specs and their
//! digests, path rules, outcome codes, reports, request signing, and claims.
//!
//! Nothing in this crate does I/O, so a coordinator, a runner and a miner's
//! tool decide the same thing from the same bytes.

pub mod apportion;
pub mod auth;
pub mod canonical_json;
pub mod claims;
pub mod decimal;
pub mod digest;
pub mod hotkey;
pub mod limits;
pub mod outcome;
pub mod paths;
pub mod receipt;
pub mod report;
pub mod spec;
pub mod ss58;
pub mod task;
pub mod text;

pub use decimal::Decimal;
pub use digest::{CommitId, Sha256Digest, TreeId};
pub use limits::Limits;
pub use outcome::{Code, Fault, Outcome, Status};
pub use report::Report;
pub use spec::ReplaySpec;
pub use task::Task;
