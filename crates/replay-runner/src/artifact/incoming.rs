//! A file on its way into the cache: unnamed to readers until it is whole, and
//! swept by the next start if this process dies.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use tempfile::NamedTempFile;

use super::ArtifactError;

const DIRECTORY: &str = "incoming";
const GATE: &str = "incoming.lock";
/// Written bytes are sent to the disk this often, while the hash goes on, so
/// that the last sync has little left to wait for.
const SYNC_EVERY_BYTES: u64 = 64 << 20;

/// A file being received. Dropping it deletes it.
pub(super) struct Incoming {
    file: NamedTempFile,
    unsynced_bytes: u64,
}

impl Incoming {
    /// A new file below the cache's `root`, locked for as long as it is written.
    pub(super) fn create(root: &Path) -> Result<Self, ArtifactError> {
        let failed = ArtifactError::host("create a file");
        let gate = gate(root)?;
        gate.lock_shared().map_err(&failed)?;
        let file = NamedTempFile::new_in(root.join(DIRECTORY)).map_err(&failed)?;
        file.as_file().lock().map_err(&failed)?;
        Ok(Self {
            file,
            unsynced_bytes: 0,
        })
    }

    /// Takes `bytes` of disk space beforehand, so that a full disk is found out
    /// before the download and not at its end.
    pub(super) fn reserve(&self, bytes: u64) -> Result<(), ArtifactError> {
        let Ok(length @ 1..) = i64::try_from(bytes) else {
            return Ok(());
        };
        let flags = FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(self.file.as_file(), flags, 0, length) {
            Err(error @ (Errno::ENOSPC | Errno::EDQUOT | Errno::EIO | Errno::EFBIG)) => {
                Err(ArtifactError::host("reserve disk space")(error.into()))
            }
            // Any other answer says that this file system cannot reserve.
            _ => Ok(()),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        let failed = ArtifactError::host("write a file");
        let file = self.file.as_file_mut();
        file.write_all(bytes).map_err(&failed)?;
        self.unsynced_bytes += bytes.len() as u64;
        if self.unsynced_bytes >= SYNC_EVERY_BYTES {
            self.unsynced_bytes = 0;
            file.sync_data().map_err(&failed)?;
        }
        Ok(())
    }

    /// Makes the file durable and gives it its name, unless that name is taken;
    /// then it is handed back.
    pub(super) fn publish(self, path: &Path, mode: u32) -> Result<Published, ArtifactError> {
        let failed = ArtifactError::host("store a file");
        let directory = path.parent().unwrap_or(path);
        super::cache::create_private_dir(directory).map_err(&failed)?;
        let file = self.file.as_file();
        file.set_permissions(Permissions::from_mode(mode))
            .map_err(&failed)?;
        file.sync_all().map_err(&failed)?;
        match self.file.persist_noclobber(path) {
            Ok(file) => {
                File::open(directory)
                    .and_then(|directory| directory.sync_all())
                    .map_err(&failed)?;
                Ok(Published::New(file))
            }
            Err(taken) if taken.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Ok(Published::NameTaken(Self {
                    file: taken.file,
                    unsynced_bytes: 0,
                }))
            }
            Err(other) => Err(failed(other.error)),
        }
    }
}

/// What [`Incoming::publish`] did.
pub(super) enum Published {
    /// The file has its name; it is still locked.
    New(File),
    /// Another process stored the same content first.
    NameTaken(Incoming),
}

/// The lock that keeps a sweep from taking a file between its creation and its
/// own lock.
fn gate(root: &Path) -> Result<File, ArtifactError> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(root.join(GATE))
        .map_err(ArtifactError::host("open the lock"))
}

/// Deletes what processes that are no more left behind; a file that is still
/// being written is locked by its writer.
pub(super) fn sweep(root: &Path) -> Result<(), ArtifactError> {
    let failed = ArtifactError::host("sweep unfinished files");
    let directory = root.join(DIRECTORY);
    super::cache::create_private_dir(&directory).map_err(&failed)?;
    let gate = gate(root)?;
    gate.lock().map_err(&failed)?;
    for entry in fs::read_dir(&directory).map_err(&failed)? {
        let path = entry.map_err(&failed)?.path();
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if file.try_lock().is_ok() {
            fs::remove_file(&path).map_err(&failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_takes_what_a_dead_process_left_and_nothing_that_is_being_written() {
        let root = tempfile::tempdir().unwrap();
        sweep(root.path()).unwrap();
        let left = root.path().join(DIRECTORY).join("left");
        fs::write(&left, "x").unwrap();
        let mut living = Incoming::create(root.path()).unwrap();
        living.write(b"y").unwrap();
        sweep(root.path()).unwrap();
        assert!(!left.exists());
        assert!(living.file.path().exists());
        drop(living);
        assert_eq!(
            fs::read_dir(root.path().join(DIRECTORY)).unwrap().count(),
            0
        );
    }

    #[test]
    fn a_full_disk_is_told_apart_from_other_failures() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut incoming = Incoming {
            file: NamedTempFile::from_parts(
                full,
                tempfile::TempPath::try_from_path("/nonexistent/x").unwrap(),
            ),
            unsynced_bytes: 0,
        };
        let error = incoming.write(b"x").expect_err("the device is full");
        assert!(matches!(error, ArtifactError::StorageFull), "{error:?}");
    }
}
