//! The runner's other commands, run as an author or a CI job would.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::runner::Runner;

/// What a command printed, and its exit status.
#[derive(Debug)]
pub struct Ended {
    /// The exit status.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// How a process ended.
    pub fn of(output: &Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// This, if the exit status is 0.
    pub fn successful(&self) -> Result<&Self> {
        ensure!(
            self.status == 0,
            "exit status {}: {}",
            self.status,
            self.stderr.trim()
        );
        Ok(self)
    }

    /// Standard output as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout)
            .with_context(|| format!("no JSON; status {}; {}", self.status, self.stderr))
    }
}

/// Runs `replay-runner ARGUMENTS` in `directory`, with its state in `state`.
pub fn run(directory: &Path, state: &Path, arguments: &[&str]) -> Result<Ended> {
    run_with_engine(directory, state, None, arguments)
}

/// The same with the engine at `engine`, a value of `DOCKER_HOST`.
pub fn run_with_engine(
    directory: &Path,
    state: &Path,
    engine: Option<&str>,
    arguments: &[&str],
) -> Result<Ended> {
    let binary = Runner::find()?.binary().to_owned();
    let output: Output = Command::new(&binary)
        .current_dir(directory)
        .env("REPLAY_RUNNER_STATE", state)
        .envs(engine.map(|address| ("DOCKER_HOST", address)))
        .args(arguments)
        .output()
        .with_context(|| binary.display().to_string())?;
    Ok(Ended::of(&output))
}
