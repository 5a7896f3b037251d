//! What `just bench` measures. Everything is a ratio of things that were done in
//! turn, A B A B, in one run: a machine that slows down slows both.

use anyhow::Result;
use clap::ValueEnum;
use tempfile::TempDir;

use crate::program::Program;
use crate::row::Row;
use crate::tasks::Workshop;
use crate::{artifact, check, coordinator, daemon, memory, overhead, phases, queue};

/// One group of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// Overhead of a replay with one, two and three stages
    Overhead,
    /// What a large repository and a large artifact add
    Size,
    /// Artifact verification against openssl
    Artifact,
    /// Eight queued replays
    Queue,
    /// Memory of the runner while a submission floods its output
    Memory,
    /// The coordinator under load, on both databases
    Coordinator,
    /// The daemon's jobs a minute, and how long a submission waits
    Daemon,
    /// A full check of a task's determinism, in replays' worth of time
    Check,
    /// Where the time of one replay goes
    Phases,
}

/// How much to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Rounds of paired measurements.
    pub(crate) rounds: usize,
    /// Smaller files, shorter loops; for trying the bench itself.
    pub(crate) quick: bool,
}

/// What all sections share: the programs, and a place that goes with them.
pub(crate) struct Bench {
    pub(crate) effort: Effort,
    pub(crate) program: Program,
    pub(crate) workshop: Workshop,
    _place: TempDir,
}

impl Bench {
    /// Finds the programs and makes a place for tasks and state.
    pub(crate) fn new(effort: Effort) -> Result<Self> {
        let place = tempfile::Builder::new().prefix("replay-bench-").tempdir()?;
        Ok(Self {
            effort,
            program: Program::find(&place.path().join("state"))?,
            workshop: Workshop::new(place.path()),
            _place: place,
        })
    }

    /// Runs one section, printing rows as they come; the rows.
    pub(crate) fn run(&self, section: Section) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut tell = |row: Row| {
            println!("{row}");
            rows.push(row);
        };
        match section {
            Section::Overhead => overhead::stages(self, &mut tell)?,
            Section::Size => overhead::sizes(self, &mut tell)?,
            Section::Artifact => artifact::against_openssl(self, &mut tell)?,
            Section::Queue => queue::eight(self, &mut tell)?,
            Section::Memory => memory::flood(self, &mut tell)?,
            Section::Coordinator => coordinator::under_load(self, &mut tell)?,
            Section::Daemon => daemon::throughput(self, &mut tell)?,
            Section::Check => check::full(self, &mut tell)?,
            Section::Phases => phases::of_a_replay(self)?,
        }
        Ok(rows)
    }
}
