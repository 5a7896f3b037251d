//! Removes what dead runners left: containers, mounts, directories, cgroups.
//! A living runner's lock is held, so nothing of its is ever touched.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

use super::{State, StateError, locks_dir, mounts};
use crate::engine::{Engine, EngineError};
use crate::sandbox::cgroup;

/// What was removed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// Dead runners found.
    pub owners: usize,
    /// Their containers.
    pub containers: usize,
}

/// Removes everything that dead runners on this host left behind. The engine may
/// be down: then the disk is cleaned and the containers wait for the next start.
pub async fn reap(state: &State, engine: Option<&Engine>) -> Result<Reaped, StateError> {
    let mut reaped = Reaped::default();
    let owners = locks_dir("owners")?;
    let mut dead: Vec<DeadOwner> = Vec::new();
    for entry in fs::read_dir(&owners)
        .map_err(StateError::io(&owners))?
        .flatten()
    {
        dead.extend(DeadOwner::claim(&entry.path()));
    }
    reaped.owners = dead.len();
    if let Some(engine) = engine {
        match remove_containers(engine, &owners, &dead).await {
            Ok(count) => reaped.containers = count,
            Err(error) => {
                tracing::warn!(%error, "containers of dead runners could not be removed yet");
                return Ok(reaped);
            }
        }
    }
    for owner in dead {
        cgroup::remove(&owner.id);
        // What is left now is found again by its lock.
        if remove_run_dir(&owner.run_dir) && engine.is_some() {
            let _ = fs::remove_file(&owner.lock_path);
        }
    }
    remove_orphaned_run_dirs(state, &owners)?;
    for owner in cgroup::owners() {
        if !owners.join(format!("{owner}.lock")).exists() {
            cgroup::remove(&owner);
        }
    }
    Ok(reaped)
}

/// A runner whose lock was free: it is dead, and holding the lock keeps a second
/// reaper away.
struct DeadOwner {
    id: String,
    lock_path: PathBuf,
    run_dir: PathBuf,
    _lock: File,
}

impl DeadOwner {
    fn claim(lock_path: &Path) -> Option<Self> {
        let id = lock_path.file_stem()?.to_str()?.to_owned();
        if lock_path.extension()? != "lock" {
            return None;
        }
        let lock = File::open(lock_path).ok()?;
        lock.try_lock().ok()?;
        let run_dir = PathBuf::from(fs::read_to_string(lock_path).ok()?.trim_end());
        // The file is ours by directory permissions; still, never remove a
        // directory that is not named after the owner.
        (run_dir.file_name()?.to_str()? == id).then_some(Self {
            id,
            lock_path: lock_path.to_owned(),
            run_dir,
            _lock: lock,
        })
    }
}

/// Removes the containers of `dead`, and those of owners that have no lock file
/// at all: they are from before a reboot.
async fn remove_containers(
    engine: &Engine,
    owners: &Path,
    dead: &[DeadOwner],
) -> Result<usize, EngineError> {
    let mut count = 0;
    for container in engine.our_containers().await? {
        let known_dead = dead.iter().any(|owner| owner.id == container.owner);
        let lockless = !owners.join(format!("{}.lock", container.owner)).exists();
        if known_dead || lockless {
            // One container that cannot be removed keeps nothing else from it.
            match engine.remove(&container.id).await {
                Ok(()) => count += 1,
                Err(error) => {
                    tracing::warn!(%error, "a dead runner's container could not be removed");
                }
            }
        }
    }
    Ok(count)
}

/// Run directories of this state directory whose owner has no lock file.
fn remove_orphaned_run_dirs(state: &State, owners: &Path) -> Result<(), StateError> {
    let runs = state.dir("runs")?;
    for entry in fs::read_dir(&runs)
        .map_err(StateError::io(&runs))?
        .flatten()
    {
        let Some(id) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        if !owners.join(format!("{id}.lock")).exists() {
            cgroup::remove(&id);
            remove_run_dir(&entry.path());
        }
    }
    Ok(())
}

/// Unmounts everything below `dir`, deepest first, and removes it. Where that cannot
/// be, it is left: what is mounted there is not the runner's, and would go with it.
/// Tells whether it is gone.
pub(super) fn remove_run_dir(dir: &Path) -> bool {
    if let Err(error) = unmount_below(dir) {
        tracing::warn!(?dir, %error, "what is mounted there stays, and the directory with it");
        return false;
    }
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(?dir, %error, "the run directory of a runner could not be removed");
            false
        }
        _ => true,
    }
}

fn unmount_below(dir: &Path) -> io::Result<()> {
    // Later mounts may lie upon earlier ones.
    for mount in mounts::below(dir)?.iter().rev() {
        let unmounted = umount2(mount, MntFlags::MNT_DETACH);
        // Somebody else may have been faster.
        if unmounted.is_err() && mounts::below(dir)?.contains(mount) {
            unmounted?;
        }
    }
    Ok(())
}
