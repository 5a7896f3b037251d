//! Receipts on this host: made from a report, signed with this host's key, and
//! checked. What a receipt is, and when it holds, says [`protocol::receipt`].
//!
//! ```no_run
//! # use std::path::Path;
//! # use protocol::receipt::HostFacts;
//! # use protocol::{Report, ReplaySpec, hotkey::Keypair};
//! # use replay_runner::receipt::{ReceiptError, ReceiptKey, write};
//! # fn example(state: &Path, spec: &ReplaySpec, report: &Report, hotkey: &Keypair) -> Result<(), ReceiptError> {
//! let key = ReceiptKey::open(state)?.bound_by(hotkey)?;
//! let receipt = key.sign(spec, report, HostFacts::default())?;
//! write(Path::new("receipt.json"), &receipt)
//! # }
//! ```

mod build;
mod file;
mod key;

use std::io;

use protocol::receipt::{ReceiptKeyError, VerifyError};

pub use build::{claims, statement};
pub use file::{can_write, read, verify_file, write};
pub use key::ReceiptKey;

/// Why a receipt was not made, stored or read. No text names a path of this
/// host but those that the operator typed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The report is of another replay than the spec.
    #[error(
        "the report's spec_digest is not the digest of the spec; a receipt needs both of one replay"
    )]
    OtherSpec,
    /// The report has a number that is not finite.
    #[error("{0} is not a finite number")]
    NotFinite(&'static str),
    /// The statement could not be written as JSON.
    #[error("receipt: {0}")]
    Json(#[from] serde_json::Error),
    /// A file of this host could not be read or written.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, and to which file.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The key file is not a key.
    #[error("{file}: {source}; move it away to get a new key")]
    Key {
        /// The name of the file in the state directory.
        file: &'static str,
        /// What is wrong with it.
        source: ReceiptKeyError,
    },
    /// The key file can be read by others.
    #[error(
        "{file}: mode {mode:04o} lets others read the key; run chmod 600 on it, or move it away to get a new key"
    )]
    KeyExposed {
        /// The name of the file in the state directory.
        file: &'static str,
        /// Its permission bits.
        mode: u32,
    },
    /// The receipt proves nothing.
    #[error("receipt: {0}")]
    Refused(#[from] VerifyError),
}

impl ReceiptError {
    fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
