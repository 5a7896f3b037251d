//! What a monitor reads of a running weight setter: `GET /metrics`, in Prometheus'
//! text format, and `GET /healthz`.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::round::{Report, RoundError};

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    rounds: AtomicU64,
    set: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    last_set_block: AtomicU64,
    last_round_seconds: AtomicU64,
    last_round_failed: AtomicBool,
}

impl Metrics {
    /// Notes what a round came to.
    pub fn note(&self, round: &Result<Report, RoundError>) {
        let add = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        add(&self.rounds);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = now.map_or(0, |now| now.as_secs());
        self.last_round_seconds.store(seconds, Ordering::Relaxed);
        self.last_round_failed
            .store(round.is_err(), Ordering::Relaxed);
        match round {
            Ok(Report::Set { inclusion, .. } | Report::Committed { inclusion, .. }) => {
                add(&self.set);
                self.last_set_block
                    .store(inclusion.block, Ordering::Relaxed);
            }
            Ok(_) => {}
            Err(error) if error.is_refusal() => {
                add(&self.refused);
            }
            Err(_) => {
                add(&self.failed);
            }
        }
    }

    /// The page.
    pub fn render(&self) -> String {
        let load = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let failed = u64::from(self.last_round_failed.load(Ordering::Relaxed));
        let mut page = String::new();
        for (name, kind, help, value) in [
            (
                "rounds_total",
                "counter",
                "Rounds since the start.",
                load(&self.rounds),
            ),
            (
                "set_total",
                "counter",
                "Rounds that set weights or committed them.",
                load(&self.set),
            ),
            (
                "refused_total",
                "counter",
                "Rounds whose policy was refused.",
                load(&self.refused),
            ),
            (
                "failed_total",
                "counter",
                "Rounds that failed for another reason.",
                load(&self.failed),
            ),
            (
                "last_set_block",
                "gauge",
                "The block of the last weights that were set.",
                load(&self.last_set_block),
            ),
            (
                "last_round_timestamp_seconds",
                "gauge",
                "When the last round ended.",
                load(&self.last_round_seconds),
            ),
            (
                "last_round_failed",
                "gauge",
                "1 if the last round failed or was refused.",
                failed,
            ),
        ] {
            // Writing to a string cannot fail.
            let _ = writeln!(
                page,
                "# HELP weight_setter_{name} {help}\n# TYPE weight_setter_{name} {kind}\nweight_setter_{name} {value}"
            );
        }
        page
    }
}
