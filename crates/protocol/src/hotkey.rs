//! Hotkeys: sr25519 key pairs that sign requests and bind receipt keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sp_core::crypto::Pair as _;
use sp_core::sr25519;
use zeroize::{Zeroize, Zeroizing};

use crate::ss58::{Address, AddressError};

/// The public half of an sr25519 key pair, written as its SS58 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hotkey(Address);

impl Hotkey {
    /// Wraps the raw public key.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Address::from_bytes(bytes))
    }

    /// The raw public key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The account of the same name.
    pub const fn address(&self) -> Address {
        self.0
    }

    /// Whether this key made `signature` over exactly `message`, in Substrate's
    /// signing context.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = sr25519::Signature::from_raw(signature.0);
        let public = sr25519::Public::from_raw(*self.as_bytes());
        sr25519::Pair::verify(&signature, message, &public)
    }

    /// Like [`verifies`](Self::verifies), but takes a signature over
    /// `<Bytes>message</Bytes>`, too: browser wallets wrap what they sign so, and
    /// the network's verifiers accept both (`CHAIN.md` §3).
    #[must_use]
    pub fn verifies_maybe_wrapped(&self, message: &[u8], signature: &Signature) -> bool {
        self.verifies(message, signature)
            || self.verifies(&[b"<Bytes>", message, b"</Bytes>"].concat(), signature)
    }
}

impl fmt::Display for Hotkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Hotkey {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        text.parse().map(Self)
    }
}

/// An sr25519 signature. Written as 128 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 64]);

/// A text that is not a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not 128 hex digits, with or without 0x")]
pub struct SignatureError;

impl Signature {
    /// The raw signature: the key for a cache of used ones.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    /// Reads hex digits of either case, with or without `0x` (`WIRE.md` §1).
    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = [0; 64];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| SignatureError)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a key pair could not be made. Says nothing of the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not the words of an English BIP-39 phrase with a right checksum.
    #[error("the mnemonic is not a valid BIP-39 phrase of 12 to 24 English words")]
    Mnemonic,
    /// Bytes that are no sr25519 secret key.
    #[error("the private key is not a valid sr25519 key")]
    PrivateKey,
}

/// An sr25519 key pair. Its secret is wiped from memory when it is dropped, and
/// never printed.
#[derive(Clone)]
pub struct Keypair(sr25519::Pair);

impl Keypair {
    /// The key pair of a BIP-39 phrase without a derivation path, as the
    /// network's wallets derive it. Blanks around and between words do not count.
    pub fn from_mnemonic(phrase: &str) -> Result<Self, KeyError> {
        let mut words = Zeroizing::new(String::with_capacity(phrase.len()));
        for word in phrase.split_whitespace() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        let (pair, mut seed) =
            sr25519::Pair::from_phrase(&words, None).map_err(|_| KeyError::Mnemonic)?;
        seed.zeroize();
        Ok(Self(pair))
    }

    /// The key pair of a 32-byte secret seed (`secretSeed` in a wallet file).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(sr25519::Pair::from_seed(seed))
    }

    /// The key pair of a 64-byte private key (`privateKey` in a wallet file).
    pub fn from_private_key(key: &[u8; 64]) -> Result<Self, KeyError> {
        sr25519::Pair::from_seed_slice(key)
            .map(Self)
            .map_err(|_| KeyError::PrivateKey)
    }

    /// The public half.
    pub fn hotkey(&self) -> Hotkey {
        Hotkey::from_bytes(self.0.public().0)
    }

    /// Signs `message` as it is, in Substrate's signing context. Two signatures
    /// of one message differ.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).0)
    }
}

impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keypair({})", self.hotkey())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        for phrase in [
            "",
            "bottom",
            "bottom drive obey lake curtain smoke basket hold race lonely fit fit",
            "bottom drive obey lake curtain smoke basket hold race lonely fit xyzzy",
            "bottom drive obey lake curtain smoke basket hold race lonely fit walk//Alice",
        ] {
            let error = Keypair::from_mnemonic(phrase).expect_err(phrase);
            assert!(!error.to_string().contains("bottom"), "{error}");
        }
        assert!(Keypair::from_private_key(&[0xff; 64]).is_err());
    }

    #[test]
    fn phrase_seed_and_private_key_are_ways_to_the_same_pair() {
        let address = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV";
        let seed = "fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e";
        let seed: [u8; 32] = hex::decode(seed).unwrap().try_into().unwrap();
        let pair = Keypair::from_mnemonic(&format!("  {}\n", PHRASE.replace(' ', "  ")));
        assert_eq!(pair.unwrap().hotkey().to_string(), address);
        let pair = Keypair::from_seed(&seed);
        assert_eq!(pair.hotkey().to_string(), address);
        let private: [u8; 64] = pair.0.to_raw_vec().try_into().unwrap();
        let again = Keypair::from_private_key(&private).unwrap();
        assert_eq!(again.hotkey(), pair.hotkey());
        assert!(pair.hotkey().verifies(b"x", &again.sign(b"x")));
    }

    #[test]
    fn another_message_key_or_signature_does_not_verify() {
        let pair = Keypair::from_seed(&[1; 32]);
        let signature = pair.sign(b"message");
        let hotkey = pair.hotkey();
        assert!(hotkey.verifies(b"message", &signature));
        assert!(!hotkey.verifies(b"messagf", &signature));
        assert!(!hotkey.verifies(b"", &signature));
        let other = Keypair::from_seed(&[2; 32]).hotkey();
        assert!(!other.verifies(b"message", &signature));
        for index in 0..64 {
            let mut changed = signature;
            changed.0[index] ^= 1;
            assert!(!hotkey.verifies(b"message", &changed), "byte {index}");
        }
        assert!(!Hotkey::from_bytes([0xff; 32]).verifies(b"message", &signature));
    }

    #[test]
    fn a_wrapped_message_verifies_only_where_that_is_asked_for() {
        let pair = Keypair::from_seed(&[1; 32]);
        let wrapped = pair.sign(b"<Bytes>message</Bytes>");
        assert!(!pair.hotkey().verifies(b"message", &wrapped));
        assert!(pair.hotkey().verifies_maybe_wrapped(b"message", &wrapped));
        assert!(!pair.hotkey().verifies_maybe_wrapped(b"messagf", &wrapped));
    }

    #[test]
    fn signatures_are_read_with_and_without_0x() {
        let text = "ab".repeat(64);
        for good in [text.clone(), format!("0x{text}"), text.to_uppercase()] {
            assert_eq!(good.parse::<Signature>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "0x",
            &text[1..],
            &format!("0x0x{text}"),
            &format!("{text} "),
            &"zz".repeat(64),
        ] {
            assert!(bad.parse::<Signature>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_pair_prints_its_public_half_alone() {
        let pair = Keypair::from_seed(&[1; 32]);
        assert_eq!(format!("{pair:?}"), format!("Keypair({})", pair.hotkey()));
    }
}
