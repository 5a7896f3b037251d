//! Step after step, until the process is asked to end.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// After so long the same error is told again: it may keep money where it is, or let it go.
const AGAIN: Duration = Duration::from_mins(30);

/// Waits between steps, and hears the signals that end a process.
pub(super) struct Rounds {
    terminate: Signal,
    interrupt: Signal,
    poll: Duration,
    /// What the last step's error said, and when it was told.
    told: Option<(String, Instant)>,
}

impl Rounds {
    pub(super) fn new(poll_ms: u64) -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            poll: Duration::from_millis(poll_ms),
            told: None,
        })
    }

    /// What `step` gives, or nothing when the process is to end. A step may be left at
    /// any point: the next start goes on where it was.
    pub(super) async fn run<T>(&mut self, step: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = step => Some(done),
            _ = self.terminate.recv() => None,
            _ = self.interrupt.recv() => None,
        }
    }

    /// Waits for the next round; false when the process is to end.
    pub(super) async fn wait(&mut self) -> bool {
        let poll = self.poll;
        self.run(tokio::time::sleep(poll)).await.is_some()
    }

    /// A step went well.
    pub(super) fn well(&mut self) {
        self.told = None;
    }

    /// A step failed, and will be tried again.
    pub(super) fn failed(&mut self, error: &impl std::error::Error) {
        let text = error.to_string();
        let was_told = self
            .told
            .as_ref()
            .is_some_and(|(told, at)| *told == text && at.elapsed() < AGAIN);
        if !was_told {
            tracing::warn!("{text}; trying again");
            self.told = Some((text, Instant::now()));
        }
    }
}
