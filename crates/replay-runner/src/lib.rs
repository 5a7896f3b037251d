//! The replay engine as a library: it checks out a pinned task repository,
//! applies an untrusted patch limited to allowed paths, runs the benchmark in
//! containers with a time budget, and says what it observed.

pub mod artifact;
mod bench;
pub mod check;
pub mod checkout;
mod control;
pub mod daemon;
pub mod disk;
pub mod doctor;
pub mod engine;
pub mod failure;
pub mod host;
pub mod images;
mod layout;
pub mod lint;
pub mod metrics;
pub mod patch;
pub mod progress;
mod readable;
pub mod receipt;
pub mod replay;
pub mod sandbox;
pub mod scaffold;
pub mod spec;
mod stages;
pub mod state;
pub mod task;
pub mod tree;
pub mod workspace;
