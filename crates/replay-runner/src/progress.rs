//! What a replay tells while it goes on. The engine does not know whether a
//! terminal, a log or nobody listens.

use std::time::Duration;

use protocol::report::StageReport;

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step outside the stages began: `checkout`, `patch`, `artifact`, …
    Step(&'static str),
    /// Bytes of a download, and how many there will be if that is known.
    Bytes {
        /// So far.
        done: u64,
        /// In all.
        total: Option<u64>,
    },
    /// A stage's container is about to start.
    StageStarted {
        /// `setup`, `benchmark` or `score`, with ` (baseline)` for a control.
        name: &'a str,
        /// Which repeat, from 1.
        pass: u32,
        /// What is left of the time budget.
        budget: Duration,
    },
    /// It is dead and gone.
    StageEnded(&'a StageReport),
}

/// Whoever listens.
pub trait Progress: Send + Sync {
    /// Called for every event, in order; must not block.
    fn event(&self, event: Event<'_>);
}

/// Nobody listens.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}
