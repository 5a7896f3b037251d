//! The installed coordinator on a directory of its own, at an address that stays
//! the same however often it is killed.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::client::Client;
use super::process;
use crate::runner::beside_this_program;

/// A coordinator; told to end when this is dropped.
#[derive(Debug)]
pub struct Coordinator {
    directory: PathBuf,
    address: SocketAddr,
    validators: Vec<String>,
    process: Option<Child>,
    /// Talks to it.
    pub client: Client,
}

impl Coordinator {
    /// Starts one in `directory` that lets `validators` decide, at any address of
    /// this machine's own.
    pub fn start(directory: &Path, validators: &[String]) -> Result<Self> {
        Self::listening(directory, validators, (Ipv4Addr::LOCALHOST, 0).into())
    }

    /// The same at `address`; with port 0, at any port that is free.
    pub fn listening(directory: &Path, validators: &[String], address: SocketAddr) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let free = TcpListener::bind(address).with_context(|| address.to_string())?;
        let address = free.local_addr()?;
        drop(free);
        let mut coordinator = Self {
            directory: directory.to_owned(),
            address,
            validators: validators.to_vec(),
            process: None,
            client: Client::new(&format!("http://{}", reached_at(address)))?,
        };
        coordinator.again()?;
        let token = fs::read_to_string(directory.join("admin-token"))?;
        let client = coordinator.client.clone();
        coordinator.client = client.with_admin_token(token.trim().to_owned());
        Ok(coordinator)
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        self.client.url("")
    }

    /// Whether its process runs.
    pub fn is_running(&mut self) -> Result<bool> {
        match &mut self.process {
            Some(process) => Ok(process.try_wait()?.is_none()),
            None => Ok(false),
        }
    }

    /// Starts it, on what it left the last time.
    pub fn again(&mut self) -> Result<()> {
        let program = beside_this_program("coordinator")?;
        ensure!(
            program.is_file(),
            "{} is not there; build it with `cargo build --package coordinator`",
            program.display()
        );
        let log = self.directory.join("coordinator.log");
        let mut command = Command::new(&program);
        command
            .arg("serve")
            .args(["--listen", &self.address.to_string()])
            .args(["--requests-per-hotkey", "1e6"])
            .args(["--requests-per-address", "1e6"])
            .args(["--claims-per-task", "1000"])
            .args(["--lease-seconds", "20"])
            .arg("--allow-local-files")
            .env_remove("COORDINATOR_DATABASE")
            .env_remove("COORDINATOR_ADMIN_TOKEN")
            .env("RUST_LOG", "warn")
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(&log)?);
        for validator in &self.validators {
            command.args(["--validator", validator]);
        }
        let mut process = command.spawn().context("starting the coordinator")?;
        let mut line = String::new();
        let output = process.stdout.take().context("its output")?;
        BufReader::new(output).read_line(&mut line)?;
        self.process = Some(process);
        ensure!(
            line.starts_with("listening on "),
            "the coordinator did not start: {}",
            fs::read_to_string(&log)?
        );
        Ok(())
    }

    /// Sends it a signal. Without one that ends it, it goes on.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process.as_ref().context("it does not run")?;
        Ok(kill(Pid::from_raw(i32::try_from(process.id())?), signal)?)
    }

    /// Ends it by `signal` and waits until it is gone.
    pub fn end(&mut self, signal: Signal) -> Result<()> {
        self.signal(signal)?;
        if let Some(mut process) = self.process.take() {
            process.wait()?;
        }
        Ok(())
    }

    /// Its audit trail, oldest first.
    pub fn audit(&self) -> Result<Vec<Value>> {
        let output = Command::new(beside_this_program("coordinator")?)
            .arg("audit")
            .current_dir(&self.directory)
            .env_remove("COORDINATOR_DATABASE")
            .output()?;
        ensure!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout)?;
        text.lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            process::end(process);
        }
    }
}

/// Whoever listens everywhere is reached here.
fn reached_at(address: SocketAddr) -> SocketAddr {
    let mut reached = address;
    if address.ip().is_unspecified() {
        reached.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    reached
}
