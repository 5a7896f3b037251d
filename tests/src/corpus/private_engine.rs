//! An engine of a test's own, to be stopped and started at will: the one that
//! everybody else uses stays as it is.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::engine::wait_until;

/// How long an engine may take to come up or to go down.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running engine without any network, whose data is below a directory.
#[derive(Debug)]
pub struct PrivateEngine {
    directory: PathBuf,
    process: Option<Child>,
}

impl PrivateEngine {
    /// Starts one below `directory` with the `image` of the usual engine in it;
    /// `None` where the engine's program is not on this machine.
    pub fn start(directory: &Path, image: &str) -> Result<Option<Self>> {
        let path = env::var_os("PATH").unwrap_or_default();
        if !env::split_paths(&path).any(|place| place.join("dockerd").is_file()) {
            return Ok(None);
        }
        fs::create_dir_all(directory)?;
        let mut engine = Self {
            directory: directory.to_owned(),
            process: None,
        };
        engine.again()?;
        let mut save = Command::new("docker")
            .args(["save", image])
            .stdout(Stdio::piped())
            .spawn()?;
        let saved = save.stdout.take().context("the image")?;
        let load = engine
            .docker(&["load", "--quiet"])
            .stdin(saved)
            .stdout(Stdio::null())
            .status()?;
        ensure!(
            save.wait()?.success() && load.success(),
            "the image could not be carried over"
        );
        Ok(Some(engine))
    }

    /// What `DOCKER_HOST` has to be.
    pub fn address(&self) -> String {
        format!("unix://{}", self.directory.join("engine.sock").display())
    }

    /// The names of all its containers.
    pub fn containers(&self) -> Result<String> {
        let output = self
            .docker(&["ps", "--all", "--format", "{{.Names}}"])
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Stops it with `signal` and waits until it is gone.
    pub fn stop(&mut self, signal: &str) -> Result<()> {
        let mut process = self.process.take().context("it runs")?;
        let status = Command::new("kill")
            .args([signal, &process.id().to_string()])
            .status()?;
        ensure!(status.success(), "kill: {status}");
        let ended = wait_until("the engine's end", PATIENCE, || Ok(process.try_wait()?));
        ended.map(drop)
    }

    /// Starts it again on the same data.
    pub fn again(&mut self) -> Result<()> {
        let at = |name: &str| self.directory.join(name).display().to_string();
        let log = File::options().create(true).append(true).open(at("log"))?;
        let process = Command::new("dockerd")
            .args([
                "--data-root",
                &at("data"),
                "--exec-root",
                &at("run"),
                "--pidfile",
                &at("pid"),
                "--host",
                &self.address(),
            ])
            .args([
                "--bridge",
                "none",
                "--iptables=false",
                "--ip-forward=false",
                "--ip-masq=false",
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.process = Some(process);
        wait_until("the engine's start", PATIENCE, || {
            let answers = self
                .docker(&["version"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            Ok(answers.success().then_some(()))
        })
    }

    fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", self.address()).args(arguments);
        command
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        if self.process.is_some() {
            let _ = self.stop("-TERM");
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let ours = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        for mount in ours.filter(|mount| Path::new(mount).starts_with(&self.directory)) {
            let _ = Command::new("umount").args(["--lazy", mount]).status();
        }
    }
}
