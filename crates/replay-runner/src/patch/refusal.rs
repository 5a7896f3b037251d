//! Why a patch is refused. Messages name the escaped path and the mend.

use protocol::Code;
use protocol::paths::{PathRuleError, UnsafePath, escaped};

use crate::checkout::CheckoutError;

/// Why a patch is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatchRefusal {
    /// More than the task allows.
    #[error("the patch {0}")]
    TooLarge(Oversize),
    /// Not a diff that git can read.
    #[error("line {line} of the patch: {problem}")]
    Unparseable {
        /// Where, counted from 1.
        line: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// Nothing in it, or nothing that changes a file.
    #[error("the patch changes nothing; send the output of `git diff`")]
    Empty,
    /// Its context is not what the pinned commit has.
    #[error("{path}: {problem}")]
    DoesNotApply {
        /// The file, escaped.
        path: String,
        /// What differs.
        problem: &'static str,
    },
    /// It changes what it may not.
    #[error("{path} is not below an allowed path, or is protected")]
    PathNotAllowed {
        /// The path, escaped.
        path: String,
    },
    /// A path that no honest patch has.
    #[error("{0}")]
    PathUnsafe(#[from] UnsafePath),
    /// It makes, changes or replaces a symbolic link.
    #[error("{path} is a symbolic link; a patch holds regular files only")]
    Symlink {
        /// The path, escaped.
        path: String,
    },
    /// It makes, changes or removes a submodule.
    #[error("{path} is a submodule; a patch holds regular files only")]
    Submodule {
        /// The path, escaped.
        path: String,
    },
    /// It sets a mode that is not allowed.
    #[error("{path} would get mode {mode:06o}; leave it at 100644")]
    ModeChange {
        /// The path, escaped.
        path: String,
        /// The mode it would get.
        mode: u32,
    },
    /// A binary hunk, and the task allows none.
    #[error("{path} is changed by a binary diff, which this task does not allow")]
    Binary {
        /// The path, escaped.
        path: String,
    },
    /// Compiled or generated files.
    #[error("{path} is generated; leave compiled files out of the patch")]
    GeneratedFile {
        /// The path, escaped.
        path: String,
    },
    /// No refusal: the task's own path rules are none.
    #[error("{0}")]
    Rules(#[from] PathRuleError),
    /// No refusal: the base commit could not be read on this host.
    #[error("{0}")]
    Base(#[from] CheckoutError),
}

/// What there is too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Oversize {
    /// The text.
    #[error("has {bytes} bytes; the task allows {limit}")]
    Text {
        /// How long it is.
        bytes: u64,
        /// How long it may be.
        limit: u64,
    },
    /// The number of changed paths.
    #[error("changes more than {limit} paths, the most that the task allows")]
    Files {
        /// How many may change.
        limit: u32,
    },
    /// The directories that the changed paths lie in.
    #[error("touches more than {limit} directories")]
    Directories {
        /// How many it may touch.
        limit: usize,
    },
    /// All changed files together.
    #[error("writes files of more than {limit} bytes together, the most that the task allows")]
    Decoded {
        /// How long they may be.
        limit: u64,
    },
    /// The work of applying it.
    #[error("rewrites the same large files over and over; squash it into one diff")]
    Work,
}

impl PatchRefusal {
    /// The outcome code.
    pub fn code(&self) -> Code {
        match self {
            Self::TooLarge(_) => Code::PatchTooLarge,
            Self::Unparseable { .. } => Code::PatchUnparseable,
            Self::Empty => Code::PatchEmpty,
            Self::DoesNotApply { .. } => Code::PatchDoesNotApply,
            Self::PathNotAllowed { .. } => Code::PatchPathNotAllowed,
            Self::PathUnsafe(_) => Code::PatchPathUnsafe,
            Self::Symlink { .. } => Code::PatchSymlink,
            Self::Submodule { .. } => Code::PatchSubmodule,
            Self::ModeChange { .. } => Code::PatchModeChange,
            Self::Binary { .. } => Code::PatchBinary,
            Self::GeneratedFile { .. } => Code::PatchGeneratedFile,
            Self::Rules(_) => Code::SpecInvalid,
            Self::Base(error) => error.code(),
        }
    }

    pub(super) fn does_not_apply(path: &str, problem: &'static str) -> Self {
        Self::DoesNotApply {
            path: escaped(path.as_bytes()),
            problem,
        }
    }
}
