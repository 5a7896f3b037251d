//! Where a Bittensor wallet keeps its hotkeys: `PATH/NAME/hotkeys/HOTKEY`
//! (`CHAIN.md` §3).

use std::path::{Path, PathBuf};

use crate::WalletError;

/// The directory of wallets where nothing else is said.
pub const DEFAULT_PATH: &str = "~/.bittensor/wallets/";
/// The wallet where nothing else is said.
pub const DEFAULT_NAME: &str = "default";
/// The hotkey where nothing else is said.
pub const DEFAULT_HOTKEY: &str = "default";

/// The longest name of a wallet or a hotkey; a file's name has 255 bytes.
const MAX_NAME: usize = 100;

/// One hotkey's place in a directory of wallets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletPath {
    hotkeys: PathBuf,
    hotkey: String,
}

impl WalletPath {
    /// The place of `hotkey` in the wallet `name` below `path`, where a leading
    /// `~` is the home directory.
    ///
    /// # Errors
    /// [`WalletError::Name`] for a name that would lead elsewhere,
    /// [`WalletError::NoHome`].
    pub fn new(path: &str, name: &str, hotkey: &str) -> Result<Self, WalletError> {
        check_name("wallet name", name)?;
        check_name("hotkey name", hotkey)?;
        Ok(Self {
            hotkeys: expand_home(path)?.join(name).join("hotkeys"),
            hotkey: hotkey.to_owned(),
        })
    }

    /// The directory of this wallet's hotkeys.
    pub fn directory(&self) -> &Path {
        &self.hotkeys
    }

    /// The file with the secret.
    pub fn hotkey_file(&self) -> PathBuf {
        self.hotkeys.join(&self.hotkey)
    }

    /// The file with the public half, beside it.
    pub fn public_file(&self) -> PathBuf {
        self.hotkeys.join(format!("{}pub.txt", self.hotkey))
    }
}

fn check_name(field: &'static str, name: &str) -> Result<(), WalletError> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if starts_well && name.len() <= MAX_NAME && name.chars().all(plain) {
        return Ok(());
    }
    Err(WalletError::Name {
        field,
        name: name.chars().take(MAX_NAME).collect(),
    })
}

fn expand_home(path: &str) -> Result<PathBuf, WalletError> {
    let below_home = match path {
        "~" => "",
        path => match path.strip_prefix("~/") {
            Some(rest) => rest,
            None => return Ok(PathBuf::from(path)),
        },
    };
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    Ok(home.ok_or(WalletError::NoHome)?.join(below_home))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_refused_and_named() {
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc",
            "-x",
            "a b",
            "a\0",
            "ä",
            &"a".repeat(101),
        ] {
            let error = WalletPath::new("/w", name, "h").unwrap_err().to_string();
            assert!(error.starts_with("wallet name: "), "{error}");
            let error = WalletPath::new("/w", "n", name).unwrap_err().to_string();
            assert!(error.starts_with("hotkey name: "), "{error}");
        }
    }

    #[test]
    fn the_files_are_where_the_wallet_of_the_network_puts_them() {
        let wallet = WalletPath::new("/w/", "miner-1", "first.key").unwrap();
        assert_eq!(
            wallet.hotkey_file(),
            Path::new("/w/miner-1/hotkeys/first.key")
        );
        assert_eq!(
            wallet.public_file(),
            Path::new("/w/miner-1/hotkeys/first.keypub.txt")
        );
        let home = std::env::home_dir().unwrap();
        let wallet = WalletPath::new(DEFAULT_PATH, "n", "h").unwrap();
        assert_eq!(
            wallet.directory(),
            home.join(".bittensor/wallets/n/hotkeys")
        );
    }
}
