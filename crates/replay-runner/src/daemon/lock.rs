//! One daemon per hotkey on a host: two would do each other's jobs twice. Between
//! hosts the coordinator's leases decide.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use crate::state::{StateError, locks_dir};

/// The lock of a state directory, in it.
const STATE_LOCK: &str = "daemon.lock";
/// How often, and how long apart, a lock is tried.
const LOOKS: u32 = 5;
const LOOK: Duration = Duration::from_millis(20);

/// Why this daemon may not start.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another one runs.
    #[error(
        "process {pid} on this host already runs a daemon for {what}; stop it first, or use another hotkey"
    )]
    Taken {
        /// The other's, as it wrote it.
        pid: String,
        /// What both would use.
        what: String,
    },
    /// The lock file could not be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The lock file could not be written.
    #[error("the lock of this daemon: {0}")]
    Io(#[from] std::io::Error),
}

/// Held for as long as the daemon lives; the kernel lets it go when it dies,
/// however it dies.
#[derive(Debug)]
pub(super) struct DaemonLock {
    _hotkey: File,
    _state: File,
}

impl DaemonLock {
    /// Takes the locks of `hotkey` and of the state directory `state`, whose spool
    /// has one writer.
    pub(super) fn take(hotkey: &str, state: &Path) -> Result<Self, LockError> {
        let dir = locks_dir("daemons")?;
        Ok(Self {
            _hotkey: take(
                &dir.join(format!("{hotkey}.lock")),
                &format!("hotkey {hotkey}"),
            )?,
            _state: take(
                &state.join(STATE_LOCK),
                &format!("the state directory {}", state.display()),
            )?,
        })
    }
}

/// Whether a daemon runs with the state directory `state`: whether somebody holds
/// its lock. A number of a process that is gone may be another's by now.
///
/// # Errors
/// When the lock file is there and cannot be opened.
pub fn is_running(state: &Path) -> std::io::Result<bool> {
    match File::open(state.join(STATE_LOCK)) {
        // Let go at once, when the file is closed.
        Ok(file) => Ok(matches!(
            file.try_lock_shared(),
            Err(TryLockError::WouldBlock)
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Locks `file`. One that only looks whether somebody holds it is soon gone.
fn lock(file: &File) -> bool {
    (0..LOOKS).any(|look| {
        if look > 0 {
            std::thread::sleep(LOOK);
        }
        file.try_lock().is_ok()
    })
}

fn take(path: &Path, what: &str) -> Result<File, LockError> {
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)?;
    if !lock(&file) {
        let mut pid = String::new();
        file.take(20).read_to_string(&mut pid)?;
        return Err(LockError::Taken {
            pid: pid.trim().to_owned(),
            what: what.to_owned(),
        });
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_refused_until_the_first_is_gone() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let hotkey = format!("test-{}", uuid::Uuid::new_v4());
        assert!(!is_running(one.path()).unwrap());
        let first = DaemonLock::take(&hotkey, one.path()).unwrap();
        assert!(is_running(one.path()).unwrap());
        let refused = DaemonLock::take(&hotkey, two.path())
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains(&std::process::id().to_string()),
            "{refused}"
        );
        let other = format!("{hotkey}-other");
        let refused = DaemonLock::take(&other, one.path())
            .unwrap_err()
            .to_string();
        assert!(refused.contains("state directory"), "{refused}");
        drop(first);
        assert!(!is_running(one.path()).unwrap());
        DaemonLock::take(&hotkey, one.path()).unwrap();
        for name in [hotkey, other] {
            let path = locks_dir("daemons").unwrap().join(format!("{name}.lock"));
            std::fs::remove_file(path).unwrap();
        }
    }
}
