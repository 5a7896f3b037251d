//! How a miner says who is paid for its hotkey (`WIRE.md` §6): a signature over
//! `recipient_coldkey:update:{timestamp}:{recipient_coldkey}`.
//!
//! The message names no pool, so a mapping is good for every pool that hears of
//! it; and the newest of a hotkey counts, so that an old one sent again by
//! somebody else changes nothing.

use serde::{Deserialize, Serialize};

use crate::hotkey::{Hotkey, Keypair, Signature, SignatureError};
use crate::ss58::{Address, AddressError};

/// The header that names the signer.
pub const KEY_HEADER: &str = "X-Key";
/// The header with the time of signing, in Unix seconds.
pub const TIMESTAMP_HEADER: &str = "X-Timestamp";
/// The header with the signature in hex.
pub const SIGNATURE_HEADER: &str = "X-Signature";

/// The values of the three headers, as they are on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the headers are")]
pub struct UpdateHeaders<T = String> {
    pub key: T,
    pub timestamp: T,
    pub signature: T,
}

/// A mapping with the signature that anyone can check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientUpdate {
    /// Whose rewards.
    pub hotkey: Hotkey,
    /// Who is paid.
    pub recipient_coldkey: Address,
    /// When it was signed, in Unix seconds by the signer's clock.
    pub signed_at: u64,
    /// The hotkey's signature.
    pub signature: Signature,
}

/// Why a mapping is not authenticated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The key header is no address.
    #[error("X-Key: {0}")]
    Key(#[from] AddressError),
    /// The timestamp header is not a plain decimal number.
    #[error("X-Timestamp: {0:?} is not a number of unix seconds without leading zeros")]
    Timestamp(String),
    /// The timestamp is too far from the verifier's clock.
    #[error(
        "X-Timestamp: {signed_at} is not within {window} s of this server's clock ({now}); set the clock"
    )]
    Stale {
        /// By the signer's clock, in Unix seconds.
        signed_at: u64,
        /// By the verifier's clock, in Unix seconds.
        now: u64,
        /// What is allowed, in seconds.
        window: u64,
    },
    /// The signature header is not a signature.
    #[error("X-Signature: {0}")]
    Signature(#[from] SignatureError),
    /// The signature is not that key's over this mapping.
    #[error("X-Signature: not a signature of recipient_coldkey:update:… by X-Key")]
    Mismatch,
}

impl RecipientUpdate {
    /// Signs at `unix_seconds` that `recipient_coldkey` is paid.
    pub fn sign(keypair: &Keypair, recipient_coldkey: Address, unix_seconds: u64) -> Self {
        Self {
            hotkey: keypair.hotkey(),
            recipient_coldkey,
            signed_at: unix_seconds,
            signature: keypair.sign(message(unix_seconds, recipient_coldkey).as_bytes()),
        }
    }

    /// The headers that go with it; the recipient itself is in the body.
    pub fn headers(&self) -> UpdateHeaders {
        UpdateHeaders {
            key: self.hotkey.to_string(),
            timestamp: self.signed_at.to_string(),
            signature: self.signature.to_string(),
        }
    }

    /// Reads the headers and checks form, freshness and signature. `now` is in
    /// Unix seconds; `window` says how many seconds the timestamp may lie before
    /// or after it.
    ///
    /// # Errors
    /// Any [`UpdateError`].
    pub fn authenticate(
        headers: &UpdateHeaders<&str>,
        recipient_coldkey: Address,
        now: u64,
        window: u64,
    ) -> Result<Self, UpdateError> {
        let update = Self {
            hotkey: headers.key.parse()?,
            recipient_coldkey,
            signed_at: seconds(headers.timestamp)?,
            signature: headers.signature.parse()?,
        };
        if update.signed_at.abs_diff(now) > window {
            return Err(UpdateError::Stale {
                signed_at: update.signed_at,
                now,
                window,
            });
        }
        if update.is_signed() {
            Ok(update)
        } else {
            Err(UpdateError::Mismatch)
        }
    }

    /// Whether the hotkey really signed this.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        let message = message(self.signed_at, self.recipient_coldkey);
        self.hotkey
            .verifies_maybe_wrapped(message.as_bytes(), &self.signature)
    }
}

fn message(unix_seconds: u64, recipient_coldkey: Address) -> String {
    format!("recipient_coldkey:update:{unix_seconds}:{recipient_coldkey}")
}

/// Reads the one spelling of a number: the text is signed, and must be the same
/// when it is made again from the number.
fn seconds(text: &str) -> Result<u64, UpdateError> {
    let number: Option<u64> = text.parse().ok();
    number
        .filter(|number| number.to_string() == text)
        .ok_or_else(|| UpdateError::Timestamp(text.chars().take(80).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_767_225_600;
    const PAID: Address = Address::from_bytes([9; 32]);

    fn check(headers: &UpdateHeaders, paid: Address, now: u64) -> Result<u64, UpdateError> {
        let headers = UpdateHeaders {
            key: headers.key.as_str(),
            timestamp: &headers.timestamp,
            signature: &headers.signature,
        };
        RecipientUpdate::authenticate(&headers, paid, now, 300).map(|update| update.signed_at)
    }

    fn signed() -> UpdateHeaders {
        RecipientUpdate::sign(&Keypair::from_seed(&[7; 32]), PAID, NOW).headers()
    }

    #[test]
    fn the_message_is_the_one_that_existing_clients_sign() {
        let expected = format!("recipient_coldkey:update:{NOW}:{PAID}");
        assert_eq!(message(NOW, PAID), expected);
    }

    #[test]
    fn a_signature_is_for_one_key_time_and_recipient() {
        assert_eq!(check(&signed(), PAID, NOW), Ok(NOW));
        let other = Address::from_bytes([8; 32]);
        assert_eq!(check(&signed(), other, NOW), Err(UpdateError::Mismatch));
        let later = UpdateHeaders {
            timestamp: (NOW + 1).to_string(),
            ..signed()
        };
        assert_eq!(check(&later, PAID, NOW), Err(UpdateError::Mismatch));
        let key = Keypair::from_seed(&[8; 32]).hotkey().to_string();
        let other = UpdateHeaders { key, ..signed() };
        assert_eq!(check(&other, PAID, NOW), Err(UpdateError::Mismatch));
    }

    #[test]
    fn an_old_future_or_oddly_written_time_is_refused() {
        for now in [NOW - 301, NOW + 301, 0, u64::MAX] {
            let found = check(&signed(), PAID, now);
            assert!(matches!(found, Err(UpdateError::Stale { .. })), "{found:?}");
        }
        for timestamp in ["", "-1", "+1", "01", "1.0", " 1", "18446744073709551616"] {
            let headers = UpdateHeaders {
                timestamp: timestamp.to_owned(),
                ..signed()
            };
            let found = check(&headers, PAID, NOW);
            assert!(
                matches!(found, Err(UpdateError::Timestamp(_))),
                "{timestamp}"
            );
        }
    }
}
