//! Why an artifact was not verified, and the outcome code of each reason.

use std::io;
use std::net::IpAddr;

use protocol::{Code, Sha256Digest};

/// A reason why an artifact is not used. No text names a path of this host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// The location is no plain https address, or a path that is not allowed here.
    #[error("artifact_uri {uri:?} {problem}")]
    Scheme {
        /// The location, shortened.
        uri: String,
        /// What is wrong and how to mend it.
        problem: &'static str,
    },
    /// The host is, or resolves to, an address that is not public.
    #[error(
        "artifact_uri: host {host:?} is at an address that is not public; serve the artifact from a public host"
    )]
    Address {
        /// The host as the address names it.
        host: String,
        /// The first address that is refused.
        address: IpAddr,
    },
    /// A local path leads where none may lead.
    #[error("artifact path {name:?} {problem}")]
    LocalPath {
        /// The last component of the path.
        name: String,
        /// What is wrong and how to mend it.
        problem: &'static str,
    },
    /// The server answered with a redirect.
    #[error(
        "artifact_uri: {host} answers with a redirect (status {status}); give the final address"
    )]
    Redirect {
        /// The host that was asked.
        host: String,
        /// Its HTTP status.
        status: u16,
    },
    /// A remote artifact without its SHA-256.
    #[error("artifact_sha256 is missing; a remote artifact needs its 64 lower-case hex digits")]
    DigestMissing,
    /// A declared field that cannot be read.
    #[error("{field} {problem}")]
    Declared {
        /// The field's name.
        field: &'static str,
        /// The value and the mend.
        problem: String,
    },
    /// More or fewer bytes than declared.
    #[error("artifact_size_bytes is {declared}, but {found}; declare the exact size of the file")]
    SizeMismatch {
        /// The declared size; `missing` without one.
        declared: String,
        /// What was found instead.
        found: String,
    },
    /// The bytes are others than those declared.
    #[error(
        "artifact_sha256 is {declared}, but the bytes hash to {found}; declare the digest of the file as it is served"
    )]
    DigestMismatch {
        /// The declared digest.
        declared: Sha256Digest,
        /// The digest of the bytes.
        found: Sha256Digest,
    },
    /// Larger than the task allows.
    #[error("artifact_size_bytes is {size}; the task allows at most {max} bytes")]
    TooLarge {
        /// The declared or actual size in bytes.
        size: u64,
        /// The cap in bytes.
        max: u64,
    },
    /// It could not be read or downloaded.
    #[error("artifact could not be fetched from {host}: {reason}")]
    Unavailable {
        /// The host that was asked, or the name of a local file.
        host: String,
        /// What happened.
        reason: String,
    },
    /// No room on this host's disk.
    #[error("no room on this host for an artifact; free disk space or lower the cache limit")]
    StorageFull,
    /// The caller cancelled.
    #[error("cancelled while the artifact was fetched")]
    Cancelled,
    /// This host's cache or TLS set-up failed.
    #[error("artifact cache: {doing}: {source}")]
    Host {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl ArtifactError {
    /// The stable outcome code of this reason.
    pub fn code(&self) -> Code {
        match self {
            Self::Scheme { .. } => Code::ArtifactSchemeNotAllowed,
            Self::Address { .. } | Self::LocalPath { .. } => Code::ArtifactAddressNotAllowed,
            Self::Redirect { .. } => Code::ArtifactRedirectNotAllowed,
            Self::DigestMissing => Code::ArtifactDigestMissing,
            Self::Declared { .. } => Code::SpecInvalid,
            Self::SizeMismatch { .. } => Code::ArtifactSizeMismatch,
            Self::DigestMismatch { .. } => Code::ArtifactDigestMismatch,
            Self::TooLarge { .. } => Code::ArtifactTooLarge,
            Self::Unavailable { .. } => Code::ArtifactUnavailable,
            Self::StorageFull => Code::SandboxStorageFull,
            Self::Cancelled => Code::Cancelled,
            Self::Host { .. } => Code::Internal,
        }
    }

    /// Maps a failure of this host's own files; a full disk is told apart,
    /// since freeing space mends it and nothing else does.
    pub(super) fn host(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull,
            _ => Self::Host { doing, source },
        }
    }

    pub(super) fn size(declared: u64, found: impl Into<String>) -> Self {
        Self::SizeMismatch {
            declared: declared.to_string(),
            found: found.into(),
        }
    }
}

/// At most 200 characters of a text that a stranger wrote.
pub(super) fn shortened(text: &str) -> String {
    const MAX: usize = 200;
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
