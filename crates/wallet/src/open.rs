//! Reading a hotkey from whatever its file holds.

use std::path::{Path, PathBuf};

use protocol::hotkey::Keypair;

use crate::encrypted::{self, Scheme};
use crate::{Password, WalletError, keyfile, secret_file};

/// A hotkey that was read.
#[derive(Debug)]
pub struct Opened {
    /// The key pair.
    pub keypair: Keypair,
    /// The file that it was read from.
    pub file: PathBuf,
    /// Whether the file's mode lets other users of this machine read it; its
    /// owner should hear of that.
    pub open_to_others: bool,
}

/// Reads the hotkey in `file`: a wallet's JSON, plain or encrypted, or a
/// mnemonic of 12 to 24 words.
///
/// Decrypting takes half a gibibyte of memory and some seconds.
///
/// # Errors
/// [`WalletError`], which never quotes what was read.
pub fn read(file: &Path, password: Option<&Password>) -> Result<Opened, WalletError> {
    let secret = secret_file::read(file)?;
    let keypair = match Scheme::of(&secret.bytes) {
        None => plain(file, &secret.bytes)?,
        Some(Scheme::Nacl) => {
            let password = password.ok_or_else(|| WalletError::Encrypted(file.to_owned()))?;
            plain(file, &encrypted::decrypt(file, &secret.bytes, password)?)?
        }
        Some(old) => {
            return Err(WalletError::OldEncryption {
                path: file.to_owned(),
                scheme: old.name(),
            });
        }
    };
    Ok(Opened {
        keypair,
        file: file.to_owned(),
        open_to_others: secret.open_to_others,
    })
}

fn plain(path: &Path, bytes: &[u8]) -> Result<Keypair, WalletError> {
    let text = std::str::from_utf8(bytes).map_err(|_| WalletError::Malformed {
        path: path.to_owned(),
        problem: "neither JSON nor a phrase of 12 to 24 words",
    })?;
    if text.trim_start().starts_with('{') {
        return keyfile::parse(path, bytes);
    }
    Keypair::from_mnemonic(text).map_err(|_| WalletError::Malformed {
        path: path.to_owned(),
        problem: "neither JSON nor a phrase of 12 to 24 words",
    })
}
