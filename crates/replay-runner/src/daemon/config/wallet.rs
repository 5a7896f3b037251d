//! Whose key signs: a Bittensor wallet, a key file, or a mnemonic.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::reader::Reader;

/// Where the hotkey is.
#[derive(Clone)]
pub enum WalletConfig {
    /// A wallet in the Bittensor layout.
    Named {
        /// The directory of wallets; the usual one without it.
        path: Option<PathBuf>,
        /// The wallet.
        name: String,
        /// The hotkey in it.
        hotkey: String,
    },
    /// A hotkey file.
    File(PathBuf),
    /// A file that holds the words and nothing else.
    MnemonicFile(PathBuf),
    /// The words themselves, from the configuration.
    Mnemonic(Zeroizing<String>),
}

impl WalletConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let words = reader.secret("hotkey_mnemonic");
        let words_file = reader.path("hotkey_mnemonic_file");
        let file = reader.path("wallet_file");
        let named = Self::Named {
            path: reader.path("wallet_path"),
            name: reader.text("wallet_name").unwrap_or_else(default_name),
            hotkey: reader.text("wallet_hotkey").unwrap_or_else(default_name),
        };
        if let Some(words) = words {
            reader.warn(
                "hotkey_mnemonic puts the key into this file; hotkey_mnemonic_file or wallet_file keep it apart",
            );
            return Self::Mnemonic(words);
        }
        match (words_file, file) {
            (Some(path), _) => Self::MnemonicFile(path),
            (None, Some(path)) => Self::File(path),
            (None, None) => named,
        }
    }
}

fn default_name() -> String {
    "default".to_owned()
}

impl std::fmt::Debug for WalletConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named { path, name, hotkey } => f
                .debug_struct("Named")
                .field("path", path)
                .field("name", name)
                .field("hotkey", hotkey)
                .finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::MnemonicFile(path) => f.debug_tuple("MnemonicFile").field(path).finish(),
            Self::Mnemonic(_) => f.write_str("Mnemonic(…)"),
        }
    }
}

/// Two configurations with the same key, as far as the text tells.
impl PartialEq for WalletConfig {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mnemonic(a), Self::Mnemonic(b)) => a == b,
            (Self::Mnemonic(_), _) | (_, Self::Mnemonic(_)) => false,
            (a, b) => format!("{a:?}") == format!("{b:?}"),
        }
    }
}
