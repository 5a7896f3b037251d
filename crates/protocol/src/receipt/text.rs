//! Values that are written as JSON strings, so that no consumer rounds them.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value as a JSON string in its one canonical spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<T>(pub T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: Display> + Display> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value: T = text.parse().map_err(serde::de::Error::custom)?;
        if value.to_string() != text {
            let problem = format!("{text:?} is not the plain spelling of {value}");
            return Err(serde::de::Error::custom(problem));
        }
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decimal;

    #[test]
    fn another_spelling_or_a_json_number_is_refused() {
        for json in [
            "\"+1\"", "\"01\"", "\" 1\"", "\"-0\"", "\"1.0\"", "1", "\"\"", "null",
        ] {
            assert!(serde_json::from_str::<Text<u64>>(json).is_err(), "{json}");
        }
        for json in ["\"NaN\"", "\"1e400\"", "\"+1\"", "0.1"] {
            assert!(
                serde_json::from_str::<Text<Decimal>>(json).is_err(),
                "{json}"
            );
        }
    }

    #[test]
    fn what_a_double_cannot_hold_stays_byte_equal() {
        for json in ["\"9007199254740993\"", "\"18446744073709551615\""] {
            let value: Text<u64> = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&value).unwrap(), json);
        }
        for json in ["\"0.1\"", "\"1e-7\"", "\"9007199254740993\"", "\"1.50\""] {
            let value: Text<Decimal> = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&value).unwrap(), json);
        }
    }
}
