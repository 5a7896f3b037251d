//! A secret from the command line or the environment: wiped when dropped, and
//! never printed.

use std::convert::Infallible;
use std::env::{self, VarError};
use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

/// A text that is shown to nobody.
#[derive(Clone)]
pub(super) struct Secret(Zeroizing<String>);

impl Secret {
    /// What the environment variable `name` holds; an empty one is as good as none.
    pub(super) fn from_variable(name: &str) -> Result<Option<Self>, String> {
        let secret = match env::var(name) {
            Ok(text) => Self(Zeroizing::new(text)),
            Err(VarError::NotPresent) => return Ok(None),
            Err(VarError::NotUnicode(bytes)) => {
                drop(Zeroizing::new(bytes.into_encoded_bytes()));
                return Err(format!("{name} is not UTF-8; write it anew, or unset it"));
            }
        };
        Ok((!secret.is_blank()).then_some(secret))
    }

    /// Whether there is nothing in it.
    pub(super) fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// The text itself.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
