//! Why a hotkey cannot be read or made. No message quotes a secret.

use std::io;
use std::path::PathBuf;

use protocol::hotkey::KeyError;

/// Why a hotkey cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// There is no such file.
    #[error(
        "there is no hotkey at {0}; name yours with wallet path, wallet name and hotkey name, or make one"
    )]
    Missing(PathBuf),
    /// The system would not give or take the file.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory, a device, a pipe.
    #[error("{0} is not a regular file")]
    NotAFile(PathBuf),
    /// Larger than any hotkey file is.
    #[error("{path} has more than {limit} bytes, so it is no hotkey file")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is read at most.
        limit: usize,
    },
    /// Neither a wallet's JSON nor a phrase.
    #[error("{path} is no hotkey file: {problem}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, without quoting it.
        problem: &'static str,
    },
    /// A key of another kind, or no key.
    #[error("{path}: {field}: {source}")]
    Key {
        /// The file.
        path: PathBuf,
        /// The field of the file.
        field: &'static str,
        /// What is wrong with it.
        source: KeyError,
    },
    /// Two fields name different keys: one of them is not what its owner thinks.
    #[error("{path}: {field} belongs to another key than the file's secret")]
    Disagrees {
        /// The file.
        path: PathBuf,
        /// The field that differs.
        field: &'static str,
    },
    /// The file needs a password, and none was given.
    #[error("{0} is encrypted; give its password, or use a hotkey without one")]
    Encrypted(PathBuf),
    /// An older way of encrypting that is not read here.
    #[error(
        "{path} is encrypted in an old way ({scheme}); open it once with a current wallet, which encrypts it anew, or use a hotkey without a password"
    )]
    OldEncryption {
        /// The file.
        path: PathBuf,
        /// How it is encrypted.
        scheme: &'static str,
    },
    /// The password does not open the file, or the file was changed.
    #[error("{0}: the password is wrong, or the file is damaged")]
    WrongPassword(PathBuf),
    /// Decrypting takes half a gibibyte of memory, and it was not to be had.
    #[error("{0}: decrypting takes 512 MiB of memory, which this machine did not give")]
    Memory(PathBuf),
    /// A wallet or hotkey name that is more than a name.
    #[error(
        "{field}: {name:?} is not a name of 1 to 100 letters, digits, '.', '-' and '_' that starts with a letter or digit"
    )]
    Name {
        /// Which name.
        field: &'static str,
        /// What it is.
        name: String,
    },
    /// `~` stands for a home directory, and there is none.
    #[error("wallet path: ~ cannot be resolved, because HOME is not set; name the whole path")]
    NoHome,
    /// A hotkey is never overwritten.
    #[error("{0} exists already, and a hotkey is never overwritten; choose another name")]
    Exists(PathBuf),
    /// The system has no random numbers.
    #[error("the system gave no random numbers: {0}")]
    Random(String),
}
