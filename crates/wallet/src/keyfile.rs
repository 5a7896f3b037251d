//! The JSON of a hotkey file (`CHAIN.md` §3).

use std::path::Path;

use protocol::hotkey::{Hotkey, KeyError, Keypair};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::WalletError;

/// sr25519 among the numbers for kinds of keys.
const SR25519: u64 = 1;

/// The fields that count. Borrowed, so that no secret is copied where it would
/// not be wiped; none of them needs an escape.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow, default)]
    private_key: Option<&'a str>,
    #[serde(borrow, default)]
    secret_seed: Option<&'a str>,
    #[serde(borrow, default)]
    secret_phrase: Option<&'a str>,
    #[serde(borrow, default)]
    public_key: Option<&'a str>,
    #[serde(borrow, default)]
    account_id: Option<&'a str>,
    #[serde(borrow, default)]
    ss58_address: Option<&'a str>,
    #[serde(default)]
    crypto_type: Option<u64>,
}

/// Reads the key pair, and makes sure that all that is said of it agrees: a file
/// of two keys signs as one and is paid as the other.
pub(crate) fn parse(path: &Path, text: &[u8]) -> Result<Keypair, WalletError> {
    let malformed = |problem| WalletError::Malformed {
        path: path.to_owned(),
        problem,
    };
    // The parser's own message may quote what it stumbled over.
    let fields: Fields = serde_json::from_slice(text).map_err(|_| {
        malformed("not a JSON object with text in privateKey, secretSeed or secretPhrase")
    })?;
    if fields.crypto_type.is_some_and(|kind| kind != SR25519) {
        return Err(malformed(
            "cryptoType is not 1: only sr25519 keys are hotkeys",
        ));
    }

    let mut found: Option<Keypair> = None;
    for (field, keypair) in fields.secrets() {
        let keypair = keypair.map_err(|source| WalletError::Key {
            path: path.to_owned(),
            field,
            source,
        })?;
        match &found {
            Some(first) if first.hotkey() != keypair.hotkey() => {
                return Err(disagrees(path, field));
            }
            Some(_) => {}
            None => found = Some(keypair),
        }
    }
    let keypair = found.ok_or_else(|| {
        malformed("it has no secret (privateKey, secretSeed or secretPhrase); name the hotkey's file, not the public one")
    })?;
    fields.check_public(path, keypair.hotkey())?;
    Ok(keypair)
}

impl Fields<'_> {
    /// Every secret of the file, each as a key pair of its own.
    fn secrets(&self) -> impl Iterator<Item = (&'static str, Result<Keypair, KeyError>)> {
        let private = self.private_key.map(|text| {
            let bytes = decode::<64>(text).ok_or(KeyError::PrivateKey)?;
            Keypair::from_private_key(&bytes)
        });
        let seed = self.secret_seed.map(|text| {
            let bytes = decode::<32>(text).ok_or(KeyError::PrivateKey)?;
            Ok(Keypair::from_seed(&bytes))
        });
        let phrase = self.secret_phrase.map(Keypair::from_mnemonic);
        let named = [
            ("privateKey", private),
            ("secretSeed", seed),
            ("secretPhrase", phrase),
        ];
        named
            .into_iter()
            .filter_map(|(field, keypair)| Some((field, keypair?)))
    }

    fn check_public(&self, path: &Path, hotkey: Hotkey) -> Result<(), WalletError> {
        for (field, text) in [
            ("publicKey", self.public_key),
            ("accountId", self.account_id),
        ] {
            if text.is_some_and(|text| decode::<32>(text).as_deref() != Some(hotkey.as_bytes())) {
                return Err(disagrees(path, field));
            }
        }
        match self.ss58_address {
            Some(text) if text != hotkey.to_string() => Err(disagrees(path, "ss58Address")),
            _ => Ok(()),
        }
    }
}

fn disagrees(path: &Path, field: &'static str) -> WalletError {
    WalletError::Disagrees {
        path: path.to_owned(),
        field,
    }
}

fn decode<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode_to_slice(digits, bytes.as_mut()).ok()?;
    Some(bytes)
}
