//! `replay-runner daemon` as an operator runs it, with a state directory and a
//! hotkey of its own.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use replay_runner::daemon::spool::{self, Overview};
use serde_json::{Value, json};

use crate::leftovers;
use crate::runner::beside_this_program;

use super::client::{self, keypair};
use super::process;

/// A daemon; told to end when this is dropped.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    directory: PathBuf,
    engine: Option<String>,
    process: Option<Child>,
}

impl Daemon {
    /// A daemon called `name` for the coordinator at `url`, with more lines of
    /// configuration. `engine` is its `DOCKER_HOST`, if not the usual one.
    pub fn start(
        directory: &Path,
        name: &str,
        url: &str,
        more: &str,
        engine: Option<String>,
    ) -> Result<Self> {
        let directory = directory.join(name);
        fs::create_dir_all(&directory)?;
        let seed = client::seed(name);
        let wallet = directory.join("hotkey");
        fs::write(
            &wallet,
            json!({"secretSeed": format!("0x{seed}")}).to_string(),
        )?;
        fs::set_permissions(&wallet, Permissions::from_mode(0o600))?;
        let mut daemon = Self {
            name: name.to_owned(),
            directory,
            engine,
            process: None,
        };
        daemon.configure(url, more)?;
        daemon.again()?;
        Ok(daemon)
    }

    /// Writes its configuration anew, as [`Daemon::start`] does.
    pub fn configure(&self, url: &str, more: &str) -> Result<()> {
        let config = format!(
            "coordinator_url = {url:?}\nwallet_file = {:?}\ninterval_seconds = 0.3\ntimeout_s = 10\n\
             retry_seconds = 1\ngrace_seconds = 20\nmin_free_disk = 0\nallow_local_repositories = true\n\
             allow_local_artifacts = true\n{more}\n",
            self.hotkey_file().display().to_string()
        );
        fs::write(self.directory.join("validator.toml"), config)?;
        Ok(())
    }

    /// Whose results it posts.
    pub fn hotkey(name: &str) -> String {
        keypair(name).hotkey().to_string()
    }

    /// Starts it, on what it left the last time.
    pub fn again(&mut self) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.directory.join("log"))?;
        let mut command = Command::new(beside_this_program("replay-runner")?);
        command
            .args(["daemon", "--config"])
            .arg(self.directory.join("validator.toml"))
            .arg("--state")
            .arg(self.state())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(engine) = &self.engine {
            command.env("DOCKER_HOST", engine);
        }
        self.process = Some(command.spawn().context("starting a daemon")?);
        Ok(())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file with its hotkey.
    pub fn hotkey_file(&self) -> PathBuf {
        self.directory.join("hotkey")
    }

    /// Its state directory.
    pub fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// Whether its process runs.
    pub fn is_running(&mut self) -> Result<bool> {
        match &mut self.process {
            Some(process) => Ok(process.try_wait()?.is_none()),
            None => Ok(false),
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process.as_ref().context("it does not run")?;
        Ok(kill(Pid::from_raw(i32::try_from(process.id())?), signal)?)
    }

    /// Ends it by `signal`, unless it has ended by itself, and waits until it is gone.
    pub fn end(&mut self, signal: Signal) -> Result<ExitStatus> {
        if self.is_running()? {
            self.signal(signal)?;
        }
        let mut process = self.process.take().context("it does not run")?;
        Ok(process.wait()?)
    }

    /// What `replay-runner status --json` says.
    pub fn status(&self) -> Result<Value> {
        let output = Command::new(beside_this_program("replay-runner")?)
            .args(["status", "--json", "--last", "1000", "--state"])
            .arg(self.state())
            .output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// The same, as the program itself reads it; `None` before it has begun.
    pub fn overview(&self) -> Result<Option<Overview>> {
        Ok(spool::overview(&self.state(), 0)?)
    }

    /// What it counts, if its configuration has it listen.
    pub fn metrics(&self) -> Result<String> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("health and metrics"));
        let line = line.context("it does not listen")?;
        let address: String = line
            .rsplit("address=")
            .next()
            .unwrap_or_default()
            .chars()
            .take_while(|letter| letter.is_ascii_digit() || ".:".contains(*letter))
            .collect();
        let response = reqwest::blocking::get(format!("http://{address}/metrics"))?;
        Ok(response.error_for_status()?.text()?)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// That it left nothing in the engine or mounted.
    pub fn left_nothing(&self) -> Result<()> {
        let left = leftovers::of_state(&self.state())?;
        ensure!(
            left.is_empty(),
            "{} left {left:?}; it says\n{}",
            self.name,
            self.log()
        );
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            process::end(process);
        }
    }
}
