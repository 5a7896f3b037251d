//! The work tree that a stage sees: read-only layers (the pristine base tree,
//! what the patch changes, what setup left, the artifact) under one writable
//! layer of limited size that dies with the pass.
//!
//! Everything here runs while no container is alive. What a stage wrote is
//! reached only through paths that are resolved beneath the mount and never
//! through a symbolic link.

mod beneath;
mod outputs;
mod overlay;
mod result;
mod scratch;
mod view;

use std::io;

use protocol::Code;

pub use outputs::OutputError;
pub use overlay::{FrozenLayer, Workspace};
pub use result::ResultReadError;
pub use scratch::Scratch;
pub use view::View;

/// The work tree could not be made or read on this host.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// Mounting needs a privilege that this process lacks.
    #[error(
        "a size-limited work tree needs root (CAP_SYS_ADMIN) on the engine's host; run with sudo"
    )]
    NotPermitted,
    /// The file system refused.
    #[error("the work tree could not be prepared: {action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl WorkspaceError {
    pub(crate) fn io<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> Self {
        move |source| {
            let source = source.into();
            if source.kind() == io::ErrorKind::PermissionDenied {
                return Self::NotPermitted;
            }
            Self::Io { action, source }
        }
    }

    /// The outcome code of a replay that fails for this reason.
    pub fn code(&self) -> Code {
        match self {
            Self::NotPermitted => Code::SandboxLimitsUnsatisfiable,
            Self::Io { source, .. } if crate::disk::is_full(source) => Code::SandboxStorageFull,
            Self::Io { .. } => Code::Internal,
        }
    }
}
