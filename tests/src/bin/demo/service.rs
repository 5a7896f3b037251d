//! The coordinator of the demo: the installed program on an empty directory.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::hotkey::Hotkey;
use system_tests::runner::beside_this_program;

use crate::client::Client;

/// A running coordinator; told to end when this is dropped.
pub(crate) struct Service {
    process: Child,
    pub(crate) client: Client,
    pub(crate) admin_token: String,
}

impl Service {
    /// Starts `coordinator serve` in `directory`, which lets `validator` decide.
    pub(crate) fn start(directory: &Path, listen: SocketAddr, validator: Hotkey) -> Result<Self> {
        let program = beside_this_program("coordinator")?;
        ensure!(
            program.is_file(),
            "{} is not there; build it with `cargo build --package coordinator`",
            program.display()
        );
        let mut process = Command::new(&program)
            .arg("serve")
            .args(["--listen", &listen.to_string()])
            .args(["--validator", &validator.to_string()])
            // The fixtures are files of this host.
            .arg("--allow-local-files")
            .env_remove("COORDINATOR_ADMIN_TOKEN")
            .env_remove("COORDINATOR_DATABASE")
            .env("RUST_LOG", "warn")
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(directory.join("coordinator.log"))?)
            .spawn()
            .with_context(|| program.display().to_string())?;
        let mut line = String::new();
        let output = process.stdout.take().context("its output")?;
        BufReader::new(output).read_line(&mut line)?;
        let Some(base) = line.trim().strip_prefix("listening on ") else {
            process.wait()?;
            let log = fs::read_to_string(directory.join("coordinator.log"))?;
            anyhow::bail!("the coordinator did not start: {}", log.trim());
        };
        Ok(Self {
            client: Client::new(base)?,
            admin_token: fs::read_to_string(directory.join("admin-token"))?
                .trim()
                .to_owned(),
            process,
        })
    }

    /// Waits until it ends, as it does on Ctrl-C.
    pub(crate) fn wait(&mut self) -> Result<()> {
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let (Ok(None), Ok(id)) = (self.process.try_wait(), i32::try_from(self.process.id())) {
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
            let _ = self.process.wait();
        }
    }
}
