//! What a runner keeps on its host: caches that outlive it, and a run directory
//! that does not. A lock file names every living runner, so that the next start
//! on the host can tell what a dead one left behind.

mod cpus;
mod mounts;
mod owner;
mod reaper;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub use cpus::{Cores, CpuReservation};
pub use owner::Owner;
pub use reaper::{Reaped, reap};

/// The state directory could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A path has a character that mount options cannot carry.
    #[error(
        "the state directory {0:?} may not hold ':', ',', '\\' or blanks; name another with --state"
    )]
    Path(PathBuf),
    /// The file system refused.
    #[error(
        "the state directory {path:?} cannot be used: {source}; name a writable one with --state"
    )]
    Io {
        /// Which path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Fewer cores than asked for.
    #[error("{wanted} cores are asked for and this process may use {available}")]
    Cores {
        /// What the spec asks for.
        wanted: u32,
        /// What the host has.
        available: usize,
    },
}

impl StateError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// The outcome code of a replay that fails for this reason.
    pub fn code(&self) -> protocol::Code {
        match self {
            Self::Io { source, .. } if crate::disk::is_full(source) => {
                protocol::Code::SandboxStorageFull
            }
            Self::Cores { .. } => protocol::Code::SandboxLimitsUnsatisfiable,
            Self::Path(_) | Self::Io { .. } => protocol::Code::Internal,
        }
    }
}

/// The directory in which a host's runners keep what they share.
#[derive(Debug, Clone)]
pub struct State {
    root: PathBuf,
}

impl State {
    /// Opens, and makes, the state directory; readable by its owner only.
    pub fn open(root: &Path) -> Result<Self, StateError> {
        fs::create_dir_all(root).map_err(StateError::io(root))?;
        let root = root.canonicalize().map_err(StateError::io(root))?;
        let plain = |c: char| !matches!(c, ':' | ',' | '\\') && !c.is_whitespace();
        if !root.to_str().is_some_and(|text| text.chars().all(plain)) {
            return Err(StateError::Path(root));
        }
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700))
            .map_err(StateError::io(&root))?;
        Ok(Self { root })
    }

    /// Where a runner of this user keeps its state unless told otherwise.
    pub fn default_root() -> PathBuf {
        if nix::unistd::geteuid().is_root() {
            return PathBuf::from("/var/lib/replay-runner");
        }
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        std::env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(home)
            .unwrap_or_else(std::env::temp_dir)
            .join("replay-runner")
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A sub-directory, made if it is not there.
    pub fn dir(&self, name: &str) -> Result<PathBuf, StateError> {
        let path = self.root.join(name);
        fs::create_dir_all(&path).map_err(StateError::io(&path))?;
        Ok(path)
    }
}

/// Where the locks of all living runners on this host are, whatever their state
/// directory.
fn locks_root() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/run/replay-runner");
    }
    std::env::var_os("XDG_RUNTIME_DIR")
        .map_or_else(std::env::temp_dir, PathBuf::from)
        .join(format!("replay-runner-{}", nix::unistd::geteuid()))
}

pub(crate) fn locks_dir(name: &str) -> Result<PathBuf, StateError> {
    let path = locks_root().join(name);
    fs::create_dir_all(&path).map_err(StateError::io(&path))?;
    Ok(path)
}
