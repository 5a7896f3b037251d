//! One weight setter per hotkey on a host: two would spend each other's rate limit,
//! and the later one would win.
//!
//! The lock is the kernel's, on a file in a directory that all users of the host
//! share; it goes when the process does, however that ends. Programs that are not
//! this one do not take it.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use protocol::hotkey::Hotkey;
use rustix::fs::OFlags;

/// Where locks are unless another directory is named: every user of a host has it.
pub const DIRECTORY: &str = "/run/lock";

/// Held for as long as weights may be set.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] File);

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    #[error(
        "process {pid} on this host sets weights for hotkey {hotkey} already ({path}); stop it first"
    )]
    Taken {
        /// The other's, as it wrote it; `?` where it did not.
        pid: String,
        /// Whose weights.
        hotkey: Hotkey,
        /// The file.
        path: PathBuf,
    },
    /// The file could not be used.
    #[error("the lock {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Lock {
    /// Takes the lock of a hotkey.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(directory: &Path, hotkey: &Hotkey) -> Result<Self, LockError> {
        let path = directory.join(format!("weight-setter-{hotkey}.lock"));
        let io = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let mut file = open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = (&file).take(20).read_to_string(&mut pid);
                let pid: String = pid.chars().filter(char::is_ascii_digit).collect();
                return Err(LockError::Taken {
                    pid: if pid.is_empty() { "?".to_owned() } else { pid },
                    hotkey: *hotkey,
                    path,
                });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(io(source)),
        }
        // Only for people; another user's file stays as it is.
        if file.set_len(0).is_ok() {
            let _ = writeln!(file, "{}", std::process::id());
        }
        Ok(Self(file))
    }
}

/// Opens the file, or makes it. Without `O_CREAT` on one that exists: in a sticky
/// directory the kernel refuses that for another user's file.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    loop {
        let mut options = File::options();
        options.read(true).custom_flags(flags);
        match options.clone().write(true).open(path) {
            Ok(file) => return Ok(file),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return options.open(path),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        match options.write(true).create_new(true).mode(0o644).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_for_the_hotkey_is_refused_until_the_first_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let (mine, other) = (Hotkey::from_bytes([1; 32]), Hotkey::from_bytes([2; 32]));
        let first = Lock::take(directory.path(), &mine).unwrap();
        let refused = Lock::take(directory.path(), &mine).unwrap_err().to_string();
        assert!(
            refused.contains(&format!("process {}", std::process::id())),
            "{refused}"
        );
        let _another_hotkey = Lock::take(directory.path(), &other).unwrap();
        drop(first);
        Lock::take(directory.path(), &mine).unwrap();
    }

    #[test]
    fn a_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let mine = Hotkey::from_bytes([1; 32]);
        let link = directory.path().join(format!("weight-setter-{mine}.lock"));
        let victim = directory.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, link).unwrap();
        assert!(matches!(
            Lock::take(directory.path(), &mine),
            Err(LockError::Io { .. })
        ));
        assert_eq!(std::fs::read_to_string(victim).unwrap(), "precious");
    }
}
