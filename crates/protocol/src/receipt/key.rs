//! The ed25519 keys that sign receipts.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
    KeypairBytes,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::Sha256Digest;

/// Why a text or file is no key. Says nothing of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptKeyError {
    /// Not 64 lower-case hex digits of a sound ed25519 key.
    #[error("not an ed25519 public key of 64 lower-case hex digits")]
    Public,
    /// Not a PKCS #8 PEM document with an ed25519 key.
    #[error("not a PKCS #8 PEM document with an ed25519 private key")]
    Private,
}

/// An ed25519 public key, written as 64 lower-case hex digits. Keys of small
/// order, with which one signature fits many messages, are none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// Wraps the raw bytes.
    ///
    /// # Errors
    /// [`ReceiptKeyError::Public`] for bytes that are no key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, ReceiptKeyError> {
        let key =
            ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| ReceiptKeyError::Public)?;
        // One key must not count as two by a second spelling of its point.
        let canonical = key.to_edwards().compress().as_bytes() == bytes;
        (canonical && !key.is_weak())
            .then_some(Self(key))
            .ok_or(ReceiptKeyError::Public)
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The key's id: the SHA-256 of its raw bytes.
    pub fn key_id(&self) -> Sha256Digest {
        Sha256Digest::of(self.as_bytes())
    }

    /// Reads the key from a PEM document.
    ///
    /// # Errors
    /// [`ReceiptKeyError::Public`] for a document that holds no such key.
    pub fn from_pem(pem: &str) -> Result<Self, ReceiptKeyError> {
        let key = ed25519_dalek::VerifyingKey::from_public_key_pem(pem)
            .map_err(|_| ReceiptKeyError::Public)?;
        Self::from_bytes(key.as_bytes())
    }

    /// The key as a PEM document, for other verifiers.
    pub fn to_pem(&self) -> Option<String> {
        self.0.to_public_key_pem(LineEnding::LF).ok()
    }

    /// Whether this key made `signature` over exactly `message`; strict, so that
    /// all verifiers agree.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl FromStr for PublicKey {
    type Err = ReceiptKeyError;

    fn from_str(text: &str) -> Result<Self, ReceiptKeyError> {
        // A digest has the same spelling.
        let bytes: Sha256Digest = text.parse().map_err(|_| ReceiptKeyError::Public)?;
        Self::from_bytes(bytes.as_bytes())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An ed25519 key that signs receipts. Its secret is wiped from memory when it is
/// dropped, and never printed.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key of 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Reads a PKCS #8 PEM document, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// [`ReceiptKeyError::Private`] for anything else.
    pub fn from_pem(pem: &str) -> Result<Self, ReceiptKeyError> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(pem)
            .map(Self)
            .map_err(|_| ReceiptKeyError::Private)
    }

    /// The key as a PKCS #8 PEM document.
    pub fn to_pem(&self) -> Option<Zeroizing<String>> {
        // Without the public half, which older readers of PKCS #8 do not know.
        let secret = KeypairBytes {
            secret_key: self.0.to_bytes(),
            public_key: None,
        };
        secret.to_pkcs8_pem(LineEnding::LF).ok()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_sound_key_is_refused() {
        let good = SigningKey::from_seed(&[1; 32]).public().to_string();
        let neutral = format!("01{}", "0".repeat(62));
        for text in [
            "",
            &good[1..],
            &good.to_uppercase(),
            &format!("0x{good}"),
            &"0".repeat(64),
            &neutral,
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            &"f".repeat(64),
        ] {
            assert!(text.parse::<PublicKey>().is_err(), "{text} was read");
        }
        assert!(good.parse::<PublicKey>().is_ok());
        for pem in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(SigningKey::from_pem(pem).is_err());
        }
    }

    #[test]
    fn a_changed_message_signature_or_key_does_not_verify() {
        let key = SigningKey::from_seed(&[1; 32]);
        let signature = key.sign(b"message");
        assert!(key.public().verifies(b"message", &signature));
        assert!(!key.public().verifies(b"messagf", &signature));
        assert!(!key.public().verifies(b"message", &signature[..63]));
        assert!(
            !SigningKey::from_seed(&[2; 32])
                .public()
                .verifies(b"message", &signature)
        );
        for index in 0..64 {
            let mut changed = signature;
            changed[index] ^= 1;
            assert!(!key.public().verifies(b"message", &changed), "byte {index}");
        }
    }

    #[test]
    fn a_key_survives_its_pem_and_prints_its_public_half_alone() {
        let key = SigningKey::from_seed(&[1; 32]);
        let pem = key.to_pem().unwrap();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert_eq!(SigningKey::from_pem(&pem).unwrap().public(), key.public());
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.public()));
        assert!(
            key.public()
                .to_pem()
                .unwrap()
                .starts_with("-----BEGIN PUBLIC KEY-----\n")
        );
    }
}
