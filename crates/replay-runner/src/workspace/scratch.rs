//! A directory in memory with a size of its own. A full one is `ENOSPC` to who
//! writes to it, and nothing to the host's disk.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::statvfs;

use super::WorkspaceError;

/// A mounted tmpfs; unmounted and removed when dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Mounts one of `bytes` bytes and `files` files at `path`, which is made.
    pub fn mount(path: &Path, bytes: u64, files: u64) -> Result<Self, WorkspaceError> {
        fs::create_dir_all(path).map_err(WorkspaceError::io("making a mount point"))?;
        let options = format!("size={bytes},nr_inodes={files},mode=0755");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(
            Some("replay-runner"),
            path,
            Some("tmpfs"),
            flags,
            Some(options.as_str()),
        )
        .map_err(WorkspaceError::io("mounting a tmpfs"))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How much memory it holds.
    pub fn used_bytes(&self) -> u64 {
        statvfs(&self.path).map_or(0, |stat| {
            (stat.blocks() - stat.blocks_free()) * stat.fragment_size()
        })
    }

    /// Whether there is no room in it for another page or another file.
    pub fn is_full(&self) -> bool {
        statvfs(&self.path)
            .is_ok_and(|stat| stat.blocks_available() == 0 || stat.files_available() == 0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        detach(&self.path);
    }
}

/// Unmounts `path` and removes the mount point. What fails here is tried again
/// by the next start of a runner.
pub(super) fn detach(path: &Path) {
    if let Err(errno) = umount2(path, MntFlags::MNT_DETACH) {
        tracing::warn!(?path, %errno, "could not unmount");
    }
    if let Err(error) = fs::remove_dir(path) {
        tracing::warn!(?path, %error, "could not remove a mount point");
    }
}
