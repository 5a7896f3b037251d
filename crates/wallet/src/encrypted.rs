//! Encrypted hotkey files (`CHAIN.md` §3): `$NACL`, then a nonce of 24 bytes and
//! an XSalsa20-Poly1305 box, whose key is argon2i of the password.

use std::path::Path;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use crypto_secretbox::aead::{AeadInPlace as _, KeyInit as _};
use crypto_secretbox::{Nonce, Tag, XSalsa20Poly1305};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{Password, WalletError};

const MARKER: &[u8] = b"$NACL";
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// One salt for all wallets of the network.
const SALT: [u8; 16] = [
    0x13, 0x71, 0x83, 0xdf, 0xf1, 0x5a, 0x09, 0xbc, 0x9c, 0x90, 0xb5, 0x51, 0x87, 0x39, 0xe9, 0xb1,
];
const MEMORY_KIB: u32 = 512 * 1024;
const PASSES: u32 = 8;

/// How a file is encrypted, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Nacl,
    AnsibleVault,
    Fernet,
}

impl Scheme {
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        [
            (MARKER, Self::Nacl),
            (b"$ANSIBLE_VAULT", Self::AnsibleVault),
            (b"gAAAAA", Self::Fernet),
        ]
        .into_iter()
        .find_map(|(marker, scheme)| bytes.starts_with(marker).then_some(scheme))
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nacl => "NaCl",
            Self::AnsibleVault => "Ansible Vault",
            Self::Fernet => "Fernet",
        }
    }
}

/// Opens a `$NACL` file: what is inside is the hotkey file's JSON.
pub(crate) fn decrypt(
    path: &Path,
    file: &[u8],
    password: &Password,
) -> Result<Zeroizing<Vec<u8>>, WalletError> {
    let damaged = || WalletError::WrongPassword(path.to_owned());
    let sealed = file.strip_prefix(MARKER).ok_or_else(damaged)?;
    let (nonce, sealed) = sealed
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or_else(damaged)?;
    let (tag, text) = sealed
        .split_first_chunk::<TAG_BYTES>()
        .ok_or_else(damaged)?;

    let key = derive_key(path, password)?;
    let mut text = Zeroizing::new(text.to_vec());
    XSalsa20Poly1305::new((&*key).into())
        .decrypt_in_place_detached(&Nonce::from(*nonce), b"", &mut text, &Tag::from(*tag))
        .map_err(|_| damaged())?;
    Ok(text)
}

fn derive_key(path: &Path, password: &Password) -> Result<Zeroizing<[u8; 32]>, WalletError> {
    let no_memory = || WalletError::Memory(path.to_owned());
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).map_err(|_| no_memory())?;
    // Asked for here and not by the library, which ends the program when it is refused.
    let mut blocks = Vec::new();
    blocks
        .try_reserve_exact(params.block_count())
        .map_err(|_| no_memory())?;
    blocks.resize(params.block_count(), Block::default());

    let mut key = Zeroizing::new([0; 32]);
    let derived = Argon2::new(Algorithm::Argon2i, Version::V0x13, params)
        .hash_password_into_with_memory(password.as_bytes(), &SALT, key.as_mut(), &mut blocks);
    blocks.zeroize();
    derived.map_err(|_| WalletError::WrongPassword(path.to_owned()))?;
    Ok(key)
}
