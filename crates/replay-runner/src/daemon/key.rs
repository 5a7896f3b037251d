//! Reads the hotkey, once.

use std::path::Path;

use protocol::hotkey::Keypair;
use wallet::{DEFAULT_PATH, Password, WalletError, WalletPath};

use super::config::WalletConfig;

/// Why there is no key. Says nothing of what a file holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The wallet refuses.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The words are none.
    #[error("hotkey_mnemonic: {0}")]
    Mnemonic(#[from] protocol::hotkey::KeyError),
}

/// Reads the key that `wallet` names. Blocking; a key with a password takes some
/// seconds.
///
/// # Errors
/// [`KeyError`], with what to do about it.
pub fn read_key(wallet: &WalletConfig, password: Option<&Path>) -> Result<Keypair, KeyError> {
    let file = match wallet {
        WalletConfig::Mnemonic(words) => return Ok(Keypair::from_mnemonic(words)?),
        WalletConfig::File(path) | WalletConfig::MnemonicFile(path) => path.clone(),
        WalletConfig::Named { path, name, hotkey } => {
            let path = path
                .as_ref()
                .map_or(DEFAULT_PATH.into(), |path| path.to_string_lossy());
            WalletPath::new(&path, name, hotkey)?.hotkey_file()
        }
    };
    let password = match password {
        Some(path) => Some(Password::from_file(path)?),
        None => None,
    };
    let opened = wallet::read(&file, password.as_ref())?;
    if opened.open_to_others {
        let shown = opened.file.display();
        tracing::warn!("{shown} holds the key and others may read it; run chmod 600 {shown}");
    }
    Ok(opened.keypair)
}
