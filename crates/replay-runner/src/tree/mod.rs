//! Trees on disk: the pristine base tree, prepared once per commit and user; what a patch
//! changes, as a layer over it; and what must be as it was.
//!
//! Owner, modes and times are the same on every host. Whatever is written or
//! read here is reached beneath one open directory, through no symbolic link.

mod blank;
mod layer;
mod page_in;
mod pristine;
mod protected;
mod writer;
mod written;

use std::io;

use nix::errno::Errno;
use protocol::Code;

pub use blank::{Stale, write_blank_layer};
pub use page_in::page_in;
pub use pristine::Pristine;
pub use protected::Protected;
pub use written::Written;

use crate::checkout::CheckoutError;

/// A tree could not be laid out or looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The base commit holds what cannot be laid out.
    #[error("the base commit is not usable: {path} {problem}")]
    Unusable {
        /// The path in the repository, escaped.
        path: String,
        /// What is wrong with it, and the mend.
        problem: &'static str,
    },
    /// The task's path rules are none.
    #[error("{0}")]
    Rules(#[from] protocol::paths::PathRuleError),
    /// The base commit could not be read.
    #[error("{0}")]
    Checkout(#[from] CheckoutError),
    /// This host's disk is full.
    #[error("no room on this host's disk for the tree")]
    StorageFull,
    /// The state directory of this host cannot be used.
    #[error("the tree could not be laid out: {0}")]
    Host(Errno),
}

impl TreeError {
    /// The outcome code.
    pub fn code(&self) -> Code {
        match self {
            Self::Unusable { .. } | Self::Rules(_) => Code::SpecInvalid,
            Self::Checkout(error) => error.code(),
            Self::StorageFull => Code::SandboxStorageFull,
            Self::Host(_) => Code::Internal,
        }
    }
}

impl From<Errno> for TreeError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ENOSPC | Errno::EDQUOT => Self::StorageFull,
            errno => Self::Host(errno),
        }
    }
}

impl From<io::Error> for TreeError {
    fn from(error: io::Error) -> Self {
        Errno::from_raw(error.raw_os_error().unwrap_or(0)).into()
    }
}
