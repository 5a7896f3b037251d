//! Content digests and git object ids, in one spelling each: lower-case hex of
//! the full length. Nothing shorter, longer, prefixed or upper-case is read, so
//! that equal things are equal strings everywhere.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// A text that is not the digest or object id that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected} lower-case hex digits")]
pub struct DigestError {
    text: String,
    expected: usize,
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Wraps the raw bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                let refuse = || DigestError {
                    text: text.chars().take(80).collect(),
                    expected: 2 * $bytes,
                };
                if text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(refuse());
                }
                let mut bytes = [0; $bytes];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| refuse())?;
                Ok(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id! {
    /// A SHA-256 digest: 64 lower-case hex digits.
    Sha256Digest, 32
}

hex_id! {
    /// The id of a git commit: 40 lower-case hex digits, never abbreviated.
    CommitId, 20
}

hex_id! {
    /// The id of a git tree. Equal ids are equal file contents, whoever made them.
    TreeId, 20
}

impl Sha256Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_spelling_of_a_digest_is_read() {
        let good = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Sha256Digest::of(b"").to_string(), good);
        assert_eq!(good.parse(), Ok(Sha256Digest::of(b"")));
        let bad = [
            good.to_uppercase(),
            format!("0x{good}"),
            format!("0x{}", &good[2..]),
            format!(" {good}"),
            format!("{good} "),
            good[1..].to_owned(),
            format!("{good}0"),
            String::new(),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned(),
            good.replace('e', "g"),
        ];
        for text in bad {
            assert!(text.parse::<Sha256Digest>().is_err(), "{text:?} was read");
        }
    }

    #[test]
    fn an_abbreviated_commit_or_a_branch_name_is_no_commit_id() {
        for text in ["main", "v1.0", "deadbeef", "HEAD", ""] {
            assert!(text.parse::<CommitId>().is_err(), "{text:?} was read");
        }
    }
}
