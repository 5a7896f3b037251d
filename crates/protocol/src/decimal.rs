//! A number as it was written. A metric keeps its decimal text from the result
//! file to the receipt; a double is made only to compare and to order.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// As many characters as the largest double has, and some; a number is no place
/// to carry data in.
const MAX_DIGITS: usize = 400;
/// Longer texts are not even looked at.
const MAX_READ: usize = 4096;

/// A finite number in JSON's grammar that keeps its text.
///
/// Serialises as a JSON number with exactly that text. Equality is of the text;
/// [`Decimal::value`] is for order and arithmetic.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Decimal(String);

/// Why a text is not a [`Decimal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not a number in JSON's grammar.
    #[error("{0:?} is not a number")]
    NotANumber(String),
    /// Beyond the range of a double.
    #[error("{0} is too large for a double")]
    NotFinite(String),
    /// A number, perhaps, with more digits than any has use for.
    #[error("{0}… has more than 400 digits")]
    TooLong(String),
}

impl Decimal {
    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest double; always finite.
    pub fn value(&self) -> f64 {
        // The constructor parsed this very text.
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// The shortest text of a finite double, or `None` for NaN and infinities.
    pub fn from_f64(value: f64) -> Option<Self> {
        let text = serde_json::Number::from_f64(value)?.to_string();
        Some(Self(text))
    }

    /// Order by value; equal values may differ in their text. `-0` equals `0`:
    /// an honest loss of zero is often printed with a sign.
    pub fn compare(&self, other: &Self) -> Ordering {
        // Both are finite, so that they always have an order.
        self.value()
            .partial_cmp(&other.value())
            .unwrap_or(Ordering::Equal)
    }
}

impl From<u64> for Decimal {
    fn from(value: u64) -> Self {
        Self(value.to_string())
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let beginning = || text.chars().take(80).collect();
        let refuse = || DecimalError::NotANumber(beginning());
        if !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return Err(refuse());
        }
        if text.len() > MAX_READ {
            return Err(DecimalError::TooLong(beginning()));
        }
        let raw: &RawValue = serde_json::from_str(text).map_err(|_| refuse())?;
        let digits = raw.get();
        if digits.len() != text.len() {
            return Err(refuse());
        }
        let value: f64 = digits.parse().map_err(|_| refuse())?;
        if !value.is_finite() {
            return Err(DecimalError::NotFinite(beginning()));
        }
        // Last, so that what is no finite number is called that.
        if text.len() > MAX_DIGITS {
            return Err(DecimalError::TooLong(beginning()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decimal({})", self.0)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.clone())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a number in quotes to keep its digits")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Decimal, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Decimal, E> {
                Ok(Decimal(value.to_string()))
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Decimal, E> {
                Ok(Decimal(value.to_string()))
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Decimal, E> {
                Decimal::from_f64(value).ok_or_else(|| E::custom("the number is not finite"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// For fields that canonical JSON goes over: a number there is a double, so the
/// digits are carried in quotes.
pub mod in_quotes {
    use serde::Serializer;

    use super::Decimal;

    /// Serialises the digits as a JSON string.
    pub fn serialize<S: Serializer>(
        value: &Option<Decimal>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(decimal) => serializer.serialize_str(decimal.as_str()),
            None => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_survive_from_text_to_json() {
        for text in ["0.1", "1e-7", "9007199254740993", "-0", "1.50", "1E5", "0"] {
            let decimal: Decimal = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&decimal).unwrap(), text);
        }
    }

    #[test]
    fn what_json_does_not_call_a_number_is_refused() {
        for text in [
            "", "NaN", "Infinity", "0x1", "1.", ".5", "+1", "01", " 1", "1 ", "\"1\"", "true",
            "[1]", "null", "1,2",
        ] {
            assert!(
                matches!(text.parse::<Decimal>(), Err(DecimalError::NotANumber(_))),
                "{text:?}"
            );
        }
        assert!(matches!(
            "1e400".parse::<Decimal>(),
            Err(DecimalError::NotFinite(_))
        ));
        assert!(matches!(
            "-1e400".parse::<Decimal>(),
            Err(DecimalError::NotFinite(_))
        ));
    }

    #[test]
    fn a_number_is_no_place_to_carry_data_in() {
        let longest = format!("0.{}", "1".repeat(MAX_DIGITS - 2));
        assert_eq!(longest.parse::<Decimal>().unwrap().as_str(), longest);
        for long in [
            format!("{longest}1"),
            "0.".to_owned() + &"0".repeat(1 << 20),
        ] {
            let error = long.parse::<Decimal>().unwrap_err();
            assert!(matches!(error, DecimalError::TooLong(_)), "{error}");
            let text = error.to_string();
            assert!(text.ends_with("has more than 400 digits") && text.len() < 200);
        }
    }

    #[test]
    fn a_long_integer_is_finite_up_to_the_range_of_a_double_and_not_beyond() {
        for digits in [129, 200, 308] {
            let text = "9".repeat(digits);
            assert_eq!(text.parse::<Decimal>().unwrap().as_str(), text);
        }
        for digits in [309, 310, 400, 500] {
            let error = "9".repeat(digits).parse::<Decimal>().unwrap_err();
            assert!(matches!(error, DecimalError::NotFinite(_)), "{error}");
        }
        let letters = "x".repeat(300).parse::<Decimal>().unwrap_err();
        assert!(matches!(letters, DecimalError::NotANumber(_)), "{letters}");
    }

    #[test]
    fn a_negative_zero_is_zero() {
        let number = |text: &str| text.parse::<Decimal>().unwrap();
        assert!(number("-0.0").compare(&number("0")).is_eq());
    }
}
