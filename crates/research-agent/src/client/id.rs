//! An id that a coordinator chose. It becomes part of addresses and directory
//! names, so it is a UUID in its one plain spelling, or it is refused.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The id of a task, claim, submission or job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(Uuid);

/// A text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id such as 67e55044-10b1-426f-9247-bb680e5fe0c8")]
pub(crate) struct IdError(String);

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let refuse = || IdError(text.chars().take(80).collect());
        // The library reads braces, URNs and bare digits as well.
        if text.len() != uuid::fmt::Hyphenated::LENGTH {
            return Err(refuse());
        }
        Uuid::try_parse(text).map(Self).map_err(|_| refuse())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_uuid_is_an_id() {
        let plain = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        assert_eq!(plain.parse::<Id>().unwrap().to_string(), plain);
        assert_eq!(
            plain.to_uppercase().parse::<Id>().unwrap().to_string(),
            plain
        );
        for text in [
            "",
            "..",
            "../../etc/passwd",
            "67e5504410b1426f9247bb680e5fe0c8",
            "{67e55044-10b1-426f-9247-bb680e5fe0c8}",
            "67e55044-10b1-426f-9247-bb680e5fe0c/",
            "67e55044-10b1-426f-9247-bb680e5fe0c8/x",
        ] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }
}
