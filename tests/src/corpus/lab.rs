//! A place for rows to run in: a state directory, task directories, and the
//! secrets that nobody may find.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::row::Row;
use super::running::{Ended, Running, Seen};
use crate::leftovers;
use crate::runner::Runner;

/// Where every row of a test runs.
#[derive(Debug)]
pub struct Lab {
    directory: TempDir,
    binary: PathBuf,
    tasks: AtomicU32,
    owners: Mutex<Vec<String>>,
}

impl Lab {
    /// An empty one.
    pub fn new() -> Result<Self> {
        let lab = Self {
            directory: TempDir::with_prefix("corpus-")?,
            binary: Runner::find()?.binary().to_owned(),
            tasks: AtomicU32::new(0),
            owners: Mutex::default(),
        };
        fs::create_dir(lab.state())?;
        lab.plant_canaries()?;
        Ok(lab)
    }

    /// Where the runners keep their state unless a row says otherwise.
    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// A directory that is removed at the end.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A runner that replays `row`, started.
    pub fn start(&self, row: &Row) -> Result<Running> {
        let number = self.tasks.fetch_add(1, Ordering::Relaxed);
        let task = self.path().join(format!("task-{number}"));
        row.task.write(&task)?;
        let state = row.state.clone().unwrap_or_else(|| self.state());
        let mut command = Command::new(&self.binary);
        command
            .arg("run")
            .arg(&task)
            .arg("--json")
            .arg("--state")
            .arg(&state)
            .args(&row.arguments);
        if let Some(patch) = row.patch() {
            let file = task.with_extension("diff");
            fs::write(&file, patch)?;
            command.arg("--patch").arg(file);
        }
        command
            .env("HOME", self.home())
            .env("HOTKEY", self.canary("hotkey"))
            .env("CANARY", self.canary("environment"));
        command.envs(row.environment.iter().cloned());
        let secrets = ["hotkey", "environment", "wallet", "state"].map(|name| self.canary(name));
        let places = [
            self.path().display().to_string(),
            state.display().to_string(),
        ];
        Running::start(&mut command, secrets.into_iter().chain(places).collect())
    }

    /// Replays `row` to its end.
    pub fn replay(&self, row: &Row) -> Result<Seen> {
        let mut running = self.start(row)?;
        if let Some(act) = &row.meanwhile {
            act(&mut running).context("meanwhile")?;
        }
        let seen = running.see()?;
        self.remember(seen.owner.as_deref());
        Ok(seen)
    }

    /// Waits for the end of a runner that need not report.
    pub fn end(&self, running: Running) -> Result<Ended> {
        let ended = running.end()?;
        self.remember(ended.owner.as_deref());
        Ok(ended)
    }

    /// What is left of the runners that ended here: containers, mounts,
    /// directories, locks and cgroups; each as a line for a person.
    pub fn residue(&self) -> Result<Vec<String>> {
        let mut left = leftovers::of_state(self.path())?;
        left.extend(leftovers::of_state(&self.state())?);
        let owners = self
            .owners
            .lock()
            .map_or_else(|_| Vec::new(), |owners| owners.clone());
        for owner in &owners {
            left.extend(
                super::engine::containers_of(owner)?
                    .into_iter()
                    .map(|name| format!("container {name}")),
            );
            left.extend(
                cgroups(owner)
                    .into_iter()
                    .map(|path| format!("cgroup {}", path.display())),
            );
        }
        left.extend(
            self.locks()
                .into_iter()
                .map(|path| format!("lock {}", path.display())),
        );
        left.sort();
        left.dedup();
        Ok(left)
    }

    /// A text that occurs nowhere else.
    pub fn canary(&self, name: &str) -> String {
        let id = self
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .replace('.', "");
        format!("{name}-canary-{id}")
    }

    /// The home directory of the runners.
    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    fn remember(&self, owner: Option<&str>) {
        if let (Some(owner), Ok(mut owners)) = (owner, self.owners.lock()) {
            owners.push(owner.to_owned());
        }
    }

    fn plant_canaries(&self) -> Result<()> {
        let wallet = self.home().join(".bittensor/wallets/default/hotkeys");
        fs::create_dir_all(&wallet)?;
        fs::write(wallet.join("default"), self.canary("wallet"))?;
        Ok(fs::write(self.state().join("token"), self.canary("state"))?)
    }

    /// Locks of owners whose run directory is below this lab.
    fn locks(&self) -> Vec<PathBuf> {
        let place = self.path().display().to_string();
        let locks = fs::read_dir("/run/replay-runner/owners")
            .into_iter()
            .flatten()
            .flatten();
        locks
            .map(|entry| entry.path())
            .filter(|path| fs::read_to_string(path).is_ok_and(|text| text.starts_with(&place)))
            .collect()
    }
}

/// The cgroups of a runner, in whatever hierarchies there are.
fn cgroups(owner: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let controllers = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    controllers
        .chain([root.to_owned()])
        .flat_map(|hierarchy| {
            let slice = format!("replayrunner.slice/replayrunner-{owner}.slice");
            [
                hierarchy.join("replay-runner").join(owner),
                hierarchy.join(slice),
            ]
        })
        .filter(|path| path.exists())
        .collect()
}
