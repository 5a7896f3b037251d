//! Why a commit could not be made available. Messages name what the task says,
//! never a path of this host, and never libgit2's own text, which may hold one.

use std::io;

use protocol::Code;

/// Why a checkout failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckoutError {
    /// Not https, or not where this kind of address is allowed.
    #[error("repository {address}: {problem}")]
    SchemeNotAllowed {
        /// The address as given, escaped and without credentials.
        address: String,
        /// What is wrong and what to use.
        problem: &'static str,
    },
    /// A branch, tag or commit that the repository does not have.
    #[error("{reference} is no branch, tag or full commit id of the repository")]
    RefNotFound {
        /// The reference, escaped.
        reference: String,
    },
    /// The repository could not be read or fetched.
    #[error("the repository could not be fetched: {0}")]
    FetchFailed(FetchProblem),
    /// The repository holds something that no task may have.
    #[error("the base commit is not usable: {0}")]
    UnusableTree(String),
    /// The disk of this host is full.
    #[error("no room on this host's disk for the repository")]
    StorageFull,
    /// The state directory of this host cannot be used.
    #[error("the mirror directory cannot be used: {0}")]
    State(io::ErrorKind),
}

/// What went wrong between here and the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchProblem {
    /// No connection, or it broke.
    #[error("the server cannot be reached")]
    Unreachable,
    /// No trusted certificate.
    #[error("the server's certificate is not trusted")]
    Untrusted,
    /// The server wants credentials, or has no such repository.
    #[error("the server refuses, or has no such public repository")]
    Refused,
    /// Not done in time.
    #[error("it took longer than its deadline")]
    Deadline,
    /// Earlier fetches still hang.
    #[error("too many earlier fetches still hang")]
    TooManyStalled,
    /// Objects are missing or damaged, here and at the source.
    #[error("objects are missing or damaged")]
    Damaged,
    /// No repository at the path.
    #[error("there is no git repository at the path")]
    NotARepository,
    /// A repository with SHA-256 object ids or another unknown format.
    #[error("the repository's format is not supported; use SHA-1 object ids and file references")]
    UnsupportedFormat,
    /// The host's own git configuration sends the address elsewhere.
    #[error("this host's git configuration rewrites the address")]
    Rewritten,
    /// Something else, which the log tells.
    #[error("git failed; see the log")]
    Other,
}

impl CheckoutError {
    /// The outcome code.
    pub fn code(&self) -> Code {
        match self {
            Self::SchemeNotAllowed { .. } => Code::CheckoutSchemeNotAllowed,
            Self::RefNotFound { .. } => Code::CheckoutRefNotFound,
            Self::FetchFailed(_) => Code::CheckoutFetchFailed,
            Self::UnusableTree(_) => Code::SpecInvalid,
            Self::StorageFull => Code::SandboxStorageFull,
            Self::State(_) => Code::Internal,
        }
    }

    /// Whether a fresh mirror might help.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::FetchFailed(FetchProblem::Damaged))
    }

    /// A failure on the way to the repository.
    pub(super) fn from_transport(error: &git2::Error) -> Self {
        use git2::{ErrorClass as Class, ErrorCode};
        tracing::debug!(%error, "fetch failed");
        if no_room(error) {
            return Self::StorageFull;
        }
        Self::FetchFailed(match (error.code(), error.class()) {
            (ErrorCode::Certificate, _) | (_, Class::Ssl) => FetchProblem::Untrusted,
            (ErrorCode::Auth, _) | (_, Class::Http) => FetchProblem::Refused,
            (ErrorCode::User, _) => FetchProblem::Deadline,
            (_, Class::Net | Class::Os) => FetchProblem::Unreachable,
            (_, Class::Odb | Class::Indexer | Class::Zlib | Class::Object) => FetchProblem::Damaged,
            _ => FetchProblem::Other,
        })
    }

    /// A failure to read or write objects that are here.
    pub(crate) fn from_objects(error: &git2::Error) -> Self {
        tracing::debug!(%error, "object store failed");
        if no_room(error) {
            Self::StorageFull
        } else {
            Self::FetchFailed(FetchProblem::Damaged)
        }
    }
}

impl From<io::Error> for CheckoutError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull,
            kind => Self::State(kind),
        }
    }
}

/// libgit2 keeps the cause of a failed write only as text.
fn no_room(error: &git2::Error) -> bool {
    error.message().contains("No space left on device")
        || error.message().contains("Disk quota exceeded")
}
