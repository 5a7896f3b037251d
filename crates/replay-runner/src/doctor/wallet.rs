//! The hotkey file: there, readable by nobody else, and of a known form. It is
//! looked at, never kept.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::Finding;

/// Where a Bittensor wallet keeps its hotkey.
#[derive(Debug, Clone)]
pub struct WalletFiles {
    /// The directory of wallets.
    pub path: PathBuf,
    /// The wallet.
    pub name: String,
    /// The hotkey in it.
    pub hotkey: String,
}

impl Default for WalletFiles {
    fn default() -> Self {
        let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
        Self {
            path: home.join(".bittensor/wallets"),
            name: "default".to_owned(),
            hotkey: "default".to_owned(),
        }
    }
}

pub(super) fn examine(wallet: &WalletFiles) -> Finding {
    let file = wallet
        .path
        .join(&wallet.name)
        .join("hotkeys")
        .join(&wallet.hotkey);
    let shown = file.display();
    let Ok(meta) = fs::metadata(&file) else {
        return Finding::warning(
            "wallet",
            format!("there is no hotkey at {shown}"),
            "only a validator that posts results needs one; name yours with --wallet-path, --wallet-name and --wallet-hotkey",
        );
    };
    if meta.mode() & 0o077 != 0 {
        return Finding::failure(
            "wallet",
            format!(
                "{shown} can be read by others (mode {:o})",
                meta.mode() & 0o777
            ),
            format!("chmod 600 {shown}"),
        );
    }
    match fs::read(&file) {
        Ok(bytes)
            if bytes.starts_with(b"$NACL")
                || bytes.starts_with(b"$ANSIBLE")
                || bytes.starts_with(b"gAAAAA") =>
        {
            Finding::warning(
                "wallet",
                format!("{shown} is encrypted"),
                "an unattended validator needs a hotkey without a password; keep the coldkey elsewhere",
            )
        }
        Ok(bytes) if is_hotkey(&bytes) => Finding::ok(
            "wallet",
            format!("{shown} is a hotkey, readable by its owner only"),
        ),
        Ok(_) => Finding::failure(
            "wallet",
            format!("{shown} is no hotkey file"),
            "create one with the wallet's own tools",
        ),
        Err(error) => Finding::failure(
            "wallet",
            format!("{shown}: {error}"),
            "run as the user that owns it",
        ),
    }
}

fn is_hotkey(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes).is_ok_and(|value| {
        ["privateKey", "secretPhrase", "secretSeed"]
            .iter()
            .any(|field| value[field].is_string())
    })
}
