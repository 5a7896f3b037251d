//! The identity of one running process, and the lock that says that it lives.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::reaper::remove_run_dir;
use super::{State, StateError, locks_dir};
use crate::sandbox::cgroup;

/// One living runner. Everything it makes in the engine or on disk carries its
/// id; the lock file is held for as long as the process lives and is let go by
/// the kernel when it dies, however it dies.
#[derive(Debug)]
pub struct Owner {
    id: String,
    lock_path: PathBuf,
    run_dir: PathBuf,
    _lock: File,
}

impl Owner {
    /// Registers this process.
    pub fn register(state: &State) -> Result<Self, StateError> {
        let id = Uuid::new_v4().simple().to_string();
        let run_dir = state.dir("runs")?.join(&id);
        let lock_path = locks_dir("owners")?.join(format!("{id}.lock"));
        // Locked before it has its name, so that nobody ever sees it unlocked
        // while this process lives.
        let unnamed = lock_path.with_extension("new");
        let lock = lock_new_file(&unnamed, &run_dir).map_err(StateError::io(&unnamed))?;
        fs::rename(&unnamed, &lock_path).map_err(StateError::io(&lock_path))?;
        fs::create_dir_all(&run_dir).map_err(StateError::io(&run_dir))?;
        Ok(Self {
            id,
            lock_path,
            run_dir,
            _lock: lock,
        })
    }

    /// The id that labels carry: 32 hex digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where this process keeps what dies with it.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Best effort: what stays is what the next start removes.
        cgroup::remove(&self.id);
        if remove_run_dir(&self.run_dir) {
            let _ = fs::remove_file(&self.lock_path);
        }
    }
}

fn lock_new_file(path: &Path, run_dir: &Path) -> std::io::Result<File> {
    let mut file = File::create_new(path)?;
    file.lock()?;
    writeln!(file, "{}", run_dir.display())?;
    Ok(file)
}
