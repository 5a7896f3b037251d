//! A read-only look at a directory that tells nothing of where it is: a plain
//! bind mount shows its path on this host to whoever reads the list of mounts.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use super::overlay::Mounted;
use super::{WorkspaceError, beneath};

/// A mounted view; unmounted when dropped.
#[derive(Debug)]
pub struct View(Mounted);

impl View {
    /// Shows what is in `shown` at a place below `dir`.
    pub fn mount(dir: &Path, shown: &Path) -> Result<Self, WorkspaceError> {
        let (view, empty) = (dir.join("view"), dir.join("empty"));
        for path in [&view, &empty] {
            fs::create_dir_all(path).map_err(WorkspaceError::io("making a mount point"))?;
        }
        let open =
            |path: &Path| beneath::open_root(path).map_err(WorkspaceError::io("opening a layer"));
        // A mount of layers that cannot be written needs two of them.
        let (shown, empty) = (open(shown)?, open(&empty)?);
        let options = format!(
            "lowerdir=/proc/self/fd/{}:/proc/self/fd/{}",
            shown.as_raw_fd(),
            empty.as_raw_fd()
        );
        let flags =
            MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(
            Some("overlay"),
            &view,
            Some("overlay"),
            flags,
            Some(options.as_str()),
        )
        .map_err(WorkspaceError::io("mounting a view"))?;
        Ok(Self(Mounted(view)))
    }

    /// The mount point.
    pub fn path(&self) -> &Path {
        &self.0.0
    }
}
