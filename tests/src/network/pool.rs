//! The installed pool on a directory of its own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::client::Client;
use super::process;
use crate::runner::beside_this_program;
use crate::tool::Ended;

/// A pool that serves; told to end when this is dropped.
#[derive(Debug)]
pub struct Pool {
    directory: PathBuf,
    process: Child,
    client: Client,
}

impl Pool {
    /// Starts one in `directory`.
    pub fn start(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let log = directory.join("pool.log");
        let mut process = command(directory)?
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .context("starting the pool")?;
        let mut line = String::new();
        let output = process.stdout.take().context("its output")?;
        BufReader::new(output).read_line(&mut line)?;
        let Some(base) = line.trim().strip_prefix("listening on ") else {
            process::end(&mut process);
            anyhow::bail!("the pool did not start: {}", fs::read_to_string(&log)?);
        };
        Ok(Self {
            directory: directory.to_owned(),
            process,
            client: Client::new(base)?,
        })
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        self.client.url(path)
    }

    /// What everybody may read.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.client.get(path)
    }

    /// Runs one of its operator's commands; what it printed, if it succeeds.
    pub fn run(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String> {
        let output = command(&self.directory)?.args(words).output()?;
        let ended = Ended::of(&output);
        ensure!(ended.status == 0, "the pool: {}", ended.stderr.trim());
        Ok(ended.stdout)
    }
}

/// The program, in its directory.
fn command(directory: &Path) -> Result<Command> {
    let program = beside_this_program("pool")?;
    ensure!(
        program.is_file(),
        "{} is not there; build it with `cargo build --package pool`",
        program.display()
    );
    let mut command = Command::new(program);
    command
        .current_dir(directory)
        .env_remove("POOL_DATABASE")
        .env_remove("POOL_DATA")
        .stdin(Stdio::null());
    Ok(command)
}

impl Drop for Pool {
    fn drop(&mut self) {
        process::end(&mut self.process);
    }
}
