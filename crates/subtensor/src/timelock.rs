//! Sealing weights until a round of the drand beacon.
//!
//! The chain opens them itself when the beacon's signature of that round is
//! published. The encryption is the `timelock` crate's; the chain reads the layout of
//! an older version of it, in which two fields of the header carry their length.

use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use parity_scale_codec::Encode;
use protocol::hotkey::Hotkey;
use rand_core::{OsRng, RngCore};
use sha2::{Digest, Sha256};
use timelock::block_ciphers::AESGCMBlockCipherProvider;
use timelock::engines::EngineBLS;
use timelock::engines::drand::TinyBLS381;
use timelock::ibe::fullident::Identity;
use timelock::tlock::tle;

use crate::WeightVector;

/// The public key of drand's "quicknet".
const QUICKNET_KEY: &str = concat!(
    "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c",
    "8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb",
    "5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
);
/// Unix time of quicknet's round 1.
const QUICKNET_GENESIS_SECONDS: u64 = 1_692_803_367;
/// Seconds between rounds.
const QUICKNET_PERIOD_SECONDS: u64 = 3;

/// Bytes of the header's first field, a point of G2.
const POINT_BYTES: usize = 96;
/// Bytes of each of its other two fields.
const HASH_BYTES: usize = 32;

/// Why weights could not be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimelockError {
    /// The system gave no random numbers.
    #[error("the system gave no random numbers to seal weights with")]
    Random,
    /// The library refused.
    #[error("the weights could not be sealed: {0}")]
    Library(String),
}

/// What is sealed: the chain opens it and sets exactly this.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
pub struct WeightsPayload {
    hotkey: Vec<u8>,
    uids: Vec<u16>,
    values: Vec<u16>,
    version_key: u64,
}

impl WeightsPayload {
    /// The weights of `hotkey`; the chain refuses them from any other.
    pub fn new(hotkey: &Hotkey, vector: &WeightVector, version_key: u64) -> Self {
        Self {
            hotkey: hotkey.as_bytes().to_vec(),
            uids: vector.uids().to_vec(),
            values: vector.values().to_vec(),
            version_key,
        }
    }
}

/// The newest round that is published at a Unix time in seconds, at least 1.
pub fn round_at(unix_seconds: u64) -> u64 {
    let since = unix_seconds.saturating_sub(QUICKNET_GENESIS_SECONDS);
    (since / QUICKNET_PERIOD_SECONDS).max(1)
}

/// Seals weights until drand's `round`.
///
/// # Errors
/// [`TimelockError`].
pub fn seal(payload: &WeightsPayload, round: u64) -> Result<Vec<u8>, TimelockError> {
    let mut key = [0; HASH_BYTES];
    OsRng
        .try_fill_bytes(&mut key)
        .map_err(|_| TimelockError::Random)?;
    let identity = Identity::new(b"", &Sha256::digest(round.to_be_bytes()));
    let beacon = beacon_key()?;
    let sealed = tle::<TinyBLS381, AESGCMBlockCipherProvider, OsRng>(
        beacon,
        key,
        &payload.encode(),
        identity,
        OsRng,
    )
    .map_err(|error| library(&format!("{error:?}")))?;
    let mut bytes = Vec::new();
    sealed
        .serialize_compressed(&mut bytes)
        .map_err(|error| library(&error.to_string()))?;
    with_lengths(&bytes).ok_or_else(|| library("it has no header"))
}

fn beacon_key() -> Result<<TinyBLS381 as EngineBLS>::PublicKeyGroup, TimelockError> {
    let bytes = hex::decode(QUICKNET_KEY).map_err(|error| library(&error.to_string()))?;
    CanonicalDeserialize::deserialize_compressed(bytes.as_slice())
        .map_err(|error| library(&error.to_string()))
}

/// Puts the length of each of the header's two hashes before it.
fn with_lengths(bytes: &[u8]) -> Option<Vec<u8>> {
    let (point, rest) = bytes.split_at_checked(POINT_BYTES)?;
    let (first, rest) = rest.split_at_checked(HASH_BYTES)?;
    let (second, rest) = rest.split_at_checked(HASH_BYTES)?;
    let length = (HASH_BYTES as u64).to_le_bytes();
    Some([point, &length, first, &length, second, rest].concat())
}

fn library(problem: &str) -> TimelockError {
    TimelockError::Library(problem.to_owned())
}

#[cfg(test)]
mod tests {
    use timelock::tlock::{TLECiphertext, tld};

    use super::*;

    /// Round 1000's signature, as the beacon published it for everybody.
    const ROUND_1000: &str = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";

    fn payload() -> WeightsPayload {
        let vector = WeightVector::new([(0, 65535), (37, 7282)]).unwrap();
        WeightsPayload::new(&Hotkey::from_bytes([7; 32]), &vector, 1337)
    }

    /// Takes the lengths out again, as the chain's reader does.
    fn without_lengths(bytes: &[u8]) -> Vec<u8> {
        assert_eq!(bytes[96..104], [32, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[136..144], [32, 0, 0, 0, 0, 0, 0, 0]);
        [&bytes[..96], &bytes[104..136], &bytes[144..]].concat()
    }

    fn open(sealed: &[u8]) -> Option<Vec<u8>> {
        let cipher =
            TLECiphertext::<TinyBLS381>::deserialize_compressed(without_lengths(sealed).as_slice());
        let signature = hex::decode(ROUND_1000).unwrap();
        let signature = CanonicalDeserialize::deserialize_compressed(signature.as_slice());
        tld::<TinyBLS381, AESGCMBlockCipherProvider>(cipher.unwrap(), signature.unwrap()).ok()
    }

    #[test]
    fn the_beacons_signature_of_the_round_opens_what_was_sealed_until_it() {
        let sealed = seal(&payload(), 1000).unwrap();
        assert_eq!(open(&sealed), Some(payload().encode()));
    }

    #[test]
    fn the_signature_of_another_round_opens_nothing() {
        let sealed = seal(&payload(), 1001).unwrap();
        assert_eq!(open(&sealed), None);
    }

    #[test]
    fn the_payload_is_hotkey_uids_values_and_version_key() {
        let expected = format!("80{}080000250008ffff721c3905000000000000", "07".repeat(32));
        assert_eq!(hex::encode(payload().encode()), expected);
    }

    #[test]
    fn rounds_are_counted_from_the_beacons_first() {
        assert_eq!(round_at(0), 1);
        assert_eq!(round_at(1_692_803_367 + 3000), 1000);
        assert_eq!(round_at(1_692_803_367 + 3002), 1000);
        assert!(round_at(u64::MAX) > 1000);
    }
}
