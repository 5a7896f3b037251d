//! The installed runner as a script runs it, timed from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use protocol::Report;
use protocol::Status;

use crate::tasks::Made;
use system_tests::runner::Runner;

/// The runner, and where it keeps its state.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    binary: PathBuf,
    state: PathBuf,
}

/// One replay, seen from outside.
#[derive(Debug)]
pub(crate) struct Timed {
    pub(crate) report: Report,
    /// From the start of the program to its end.
    pub(crate) wall: f64,
}

impl Timed {
    /// The program's whole time less that of the commands inside.
    pub(crate) fn overhead(&self) -> f64 {
        let inside: f64 = self.report.stages.iter().map(|run| run.wall_seconds).sum();
        self.wall - inside
    }
}

impl Program {
    pub(crate) fn find(state: &Path) -> Result<Self> {
        Ok(Self {
            binary: Runner::find()?.binary().to_owned(),
            state: state.to_owned(),
        })
    }

    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// Replays the patch of `made`, with the artifact if there is one.
    pub(crate) fn replay(&self, made: &Made, artifact: Option<&Path>) -> Result<Timed> {
        let started = Instant::now();
        let running = self.start(made, artifact)?;
        finish(running, started)
    }

    /// Starts a replay; [`finish`] waits for it.
    pub(crate) fn start(&self, made: &Made, artifact: Option<&Path>) -> Result<Child> {
        let mut command = Command::new(&self.binary);
        command.arg("run").arg(&made.directory).arg("--json");
        command.arg("--state").arg(&self.state);
        command.arg("--patch").arg(&made.patch);
        if let Some(artifact) = artifact {
            command.arg("--artifact").arg(artifact);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| self.binary.display().to_string())
    }
}

/// Waits for a replay, and checks that it was accepted: nothing else is worth timing.
pub(crate) fn finish(running: Child, started: Instant) -> Result<Timed> {
    let output = running.wait_with_output()?;
    let wall = started.elapsed().as_secs_f64();
    let report: Report = serde_json::from_slice(&output.stdout).context("the runner's report")?;
    ensure!(
        report.status == Status::Accepted,
        "the bench's own replay ended with {}: {}",
        report.code,
        report.message
    );
    Ok(Timed { report, wall })
}

/// The most memory that the living process `id` has held so far.
pub(crate) fn peak_memory_bytes(id: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
