//! Amounts of money.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount in rao, the network's smallest unit. A string in JSON, since many
/// readers make doubles of numbers and lose the last digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rao(pub u64);

/// A text that is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a whole number of rao below 2^64, without sign or leading zeros")]
pub struct RaoError(String);

impl Rao {
    /// The sum, unless it is over 64 bits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl fmt::Display for Rao {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Rao {
    type Err = RaoError;

    fn from_str(text: &str) -> Result<Self, RaoError> {
        let number: Option<u64> = text.parse().ok();
        number
            .filter(|number| number.to_string() == text)
            .map(Self)
            .ok_or_else(|| RaoError(text.chars().take(80).collect()))
    }
}

impl Serialize for Rao {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rao {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_one_spelling() {
        assert_eq!("18446744073709551615".parse(), Ok(Rao(u64::MAX)));
        for text in [
            "",
            "-1",
            "+1",
            "01",
            "1.0",
            "1e9",
            " 1",
            "18446744073709551616",
        ] {
            assert!(text.parse::<Rao>().is_err(), "{text:?} was read");
        }
        assert_eq!(serde_json::to_string(&Rao(7)).unwrap(), "\"7\"");
        assert!(serde_json::from_str::<Rao>("7").is_err());
    }
}
