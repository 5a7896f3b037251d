//! How a hotkey vouches for a receipt key: one sr25519 signature, made once.

use serde::{Deserialize, Serialize};

use super::{PublicKey, Text};
use crate::hotkey::{Hotkey, Keypair, Signature};

/// The first of the signed lines. No request (`BT-AUTH-V1`), transaction or
/// wallet message begins so.
const SCHEME: &str = "REPLAY-RECEIPT-KEY-V1";

/// The statement of a hotkey that a receipt key is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBinding {
    /// Who vouches.
    pub hotkey: Hotkey,
    /// For which receipt key.
    pub public_key: PublicKey,
    /// Since when, in Unix seconds, by the validator's clock.
    pub bound_at: Text<u64>,
    /// The hotkey's signature over these three.
    pub signature: Signature,
}

impl KeyBinding {
    /// Binds `public_key` to the hotkey of `keypair`.
    pub fn sign(keypair: &Keypair, public_key: PublicKey, bound_at_unix: u64) -> Self {
        let hotkey = keypair.hotkey();
        let message = message(hotkey, public_key, bound_at_unix);
        Self {
            hotkey,
            public_key,
            bound_at: Text(bound_at_unix),
            signature: keypair.sign(message.as_bytes()),
        }
    }

    /// Whether the hotkey really signed it. A wallet's `<Bytes>` are accepted.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let message = message(self.hotkey, self.public_key, self.bound_at.0);
        self.hotkey
            .verifies_maybe_wrapped(message.as_bytes(), &self.signature)
    }
}

fn message(hotkey: Hotkey, public_key: PublicKey, bound_at: u64) -> String {
    format!("{SCHEME}\n{hotkey}\n{public_key}\n{bound_at}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipt::SigningKey;

    #[test]
    fn a_binding_is_for_one_hotkey_key_and_time() {
        let keypair = Keypair::from_seed(&[1; 32]);
        let public = |seed| SigningKey::from_seed(&[seed; 32]).public();
        let good = KeyBinding::sign(&keypair, public(2), 1_700_000_000);
        assert!(good.is_valid());
        let other = Keypair::from_seed(&[3; 32]).hotkey();
        for bad in [
            KeyBinding {
                hotkey: other,
                ..good
            },
            KeyBinding {
                public_key: public(3),
                ..good
            },
            KeyBinding {
                bound_at: Text(1_700_000_001),
                ..good
            },
            KeyBinding {
                signature: keypair.sign(b"x"),
                ..good
            },
        ] {
            assert!(!bad.is_valid(), "{bad:?}");
        }
    }
}
