//! A password, wiped when dropped and never printed.

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::{WalletError, secret_file};

/// What opens an encrypted hotkey file.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes the password over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Reads the password from the first line of a file.
    ///
    /// # Errors
    /// [`WalletError`] where the file cannot be read or is not text.
    pub fn from_file(path: &Path) -> Result<Self, WalletError> {
        let file = secret_file::read(path)?;
        let text = std::str::from_utf8(&file.bytes).map_err(|_| WalletError::Malformed {
            path: path.to_owned(),
            problem: "a password is UTF-8 text",
        })?;
        Ok(Self::new(
            text.lines().next().unwrap_or_default().to_owned(),
        ))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}
