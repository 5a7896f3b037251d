//! Account addresses as people and headers write them: SS58 with prefix 42.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sp_core::crypto::{AccountId32, Ss58AddressFormat, Ss58Codec};

/// The address prefix of this network (`WIRE.md` §1): Substrate's generic one.
pub const PREFIX: u16 = 42;

/// A 32-byte account: a hotkey, a coldkey or a contract. Read and written as
/// SS58 text with prefix 42, in its one canonical spelling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 32]);

/// A text that is no address of this network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an SS58 address with prefix 42")]
pub struct AddressError(String);

impl Address {
    /// Wraps the raw account id or public key.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw account id or public key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refuse = || AddressError(text.chars().take(80).collect());
        // Base58 decoding takes quadratic time: nothing long is decoded.
        if text.len() > 64 {
            return Err(refuse());
        }
        let (account, _) = AccountId32::from_ss58check_with_version(text).map_err(|_| refuse())?;
        let address = Self(account.into());
        // Another prefix, or another spelling of this one, prints differently.
        (address.to_string() == text)
            .then_some(address)
            .ok_or_else(refuse)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = AccountId32::new(self.0);
        let format = Ss58AddressFormat::custom(PREFIX);
        f.pad(&account.to_ss58check_with_version(format))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    #[test]
    fn what_is_not_an_address_of_this_network_is_refused() {
        let other_prefix =
            AccountId32::new([7; 32]).to_ss58check_with_version(Ss58AddressFormat::custom(0));
        for text in [
            "",
            "5",
            &ALICE[1..],
            &ALICE[..47],
            &format!("{ALICE} "),
            &format!(" {ALICE}"),
            &format!("1{ALICE}"),
            &ALICE.to_lowercase(),
            &ALICE.replace('G', "H"),
            &ALICE.replace('G', "0"),
            &other_prefix,
            &"5".repeat(100_000),
            "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:.60} was read");
        }
    }

    #[test]
    fn a_known_address_is_its_public_key() {
        let address: Address = ALICE.parse().unwrap();
        let bytes = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
        assert_eq!(hex::encode(address.as_bytes()), bytes);
        assert_eq!(address.to_string(), ALICE);
        let json = serde_json::to_string(&address).unwrap();
        assert_eq!(serde_json::from_str::<Address>(&json).unwrap(), address);
    }
}
