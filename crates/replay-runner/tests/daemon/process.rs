//! The installed program as a daemon, with a state directory and a key of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::hotkey::Keypair;
use serde_json::Value;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A place for one daemon after another.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    pub(crate) keypair: Keypair,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let seed = *uuid::Uuid::new_v4().as_bytes();
        let seed: [u8; 32] = [seed, seed].concat().try_into().unwrap();
        let key = serde_json::json!({"secretSeed": format!("0x{}", hex::encode(seed))});
        fs::write(dir.path().join("hotkey"), key.to_string()).unwrap();
        chmod(&dir.path().join("hotkey"));
        Self {
            dir,
            keypair: Keypair::from_seed(&seed),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Writes a configuration for the coordinator at `address`, with more lines.
    pub(crate) fn configure(&self, address: SocketAddr, more: &str) {
        let hotkey = self.path("hotkey");
        let text = format!(
            "coordinator_url = \"http://{address}\"\nwallet_file = {:?}\ninterval_seconds = 0.1\n\
             timeout_s = 5\ngrace_seconds = 5\nretry_seconds = 0.1\nmin_free_disk = 0\n{more}\n",
            hotkey.display().to_string(),
        );
        fs::write(self.path("validator.toml"), text).unwrap();
    }

    /// The command of a daemon here.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_replay-runner"));
        command
            .arg("daemon")
            .arg("--config")
            .arg(self.path("validator.toml"))
            .arg("--state")
            .arg(self.state())
            .stdin(Stdio::null())
            .stderr(
                fs::File::options()
                    .create(true)
                    .append(true)
                    .open(self.path("log"))
                    .unwrap(),
            );
        command
    }

    pub(crate) fn start(&self) -> Daemon {
        Daemon(self.command().spawn().unwrap())
    }

    /// What all daemons here have logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// `replay-runner status --json`; `Null` before there is anything.
    pub(crate) fn status(&self) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_replay-runner"))
            .args(["status", "--json", "--state"])
            .arg(self.state())
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Waits until the daemon's only job is in this state.
    #[track_caller]
    pub(crate) fn wait_for(&self, state: &str) -> Value {
        self.wait("a job that is ".to_owned() + state, || {
            let status = self.status();
            (status["counts"]["states"][state] == 1).then_some(status)
        })
    }

    /// Waits until `look` finds something.
    #[track_caller]
    pub(crate) fn wait<T>(&self, what: impl std::fmt::Display, look: impl Fn() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "no {what}; the log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) fn chmod(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A running daemon; killed with the test.
pub(crate) struct Daemon(Child);

impl Daemon {
    pub(crate) fn of(child: Child) -> Self {
        Self(child)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the daemon does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGTERM, and its end.
    #[track_caller]
    pub(crate) fn stop(self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
