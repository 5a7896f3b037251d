//! Who is paid, and whether the hotkey itself said so.

use protocol::claims::RecipientUpdate;
use protocol::hotkey::{Hotkey, Signature};
use protocol::ss58::Address;
use serde::Serialize;

/// A recipient that a pool shows for a hotkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Mapping {
    pub(crate) recipient_coldkey: Address,
    /// By the signer's clock, in Unix seconds.
    pub(crate) signed_at: Option<u64>,
    /// Whether the signature beside it is the hotkey's, over this recipient.
    pub(crate) signed_by_hotkey: bool,
}

impl Mapping {
    /// Checks what a pool shows.
    pub(super) fn of(
        hotkey: Address,
        recipient_coldkey: Address,
        signed_at: Option<u64>,
        signature: Option<Signature>,
    ) -> Self {
        let signed = signed_at
            .zip(signature)
            .is_some_and(|(signed_at, signature)| {
                let update = RecipientUpdate {
                    hotkey: Hotkey::from_bytes(*hotkey.as_bytes()),
                    recipient_coldkey,
                    signed_at,
                    signature,
                };
                update.is_signed()
            });
        Self {
            recipient_coldkey,
            signed_at,
            signed_by_hotkey: signed,
        }
    }
}

/// Whether the hotkey ever signed that `recipient` is paid. An epoch is frozen with
/// the mapping of its time, which need not be the newest.
pub(crate) fn is_chosen(mappings: &[Mapping], recipient: Address) -> bool {
    mappings
        .iter()
        .any(|one| one.signed_by_hotkey && one.recipient_coldkey == recipient)
}

#[cfg(test)]
mod tests {
    use protocol::hotkey::Keypair;

    use super::*;

    #[test]
    fn a_recipient_counts_only_by_the_hotkeys_own_signature() {
        let (me, other) = (Keypair::from_seed(&[1; 32]), Keypair::from_seed(&[2; 32]));
        let (mine, theirs) = (Address::from_bytes([7; 32]), Address::from_bytes([8; 32]));
        let hotkey = Address::from_bytes(*me.hotkey().as_bytes());
        let signed = RecipientUpdate::sign(&me, mine, 5);
        let of = |recipient, at, signature| Mapping::of(hotkey, recipient, at, signature);
        let forged = RecipientUpdate::sign(&other, theirs, 5).signature;
        let wrong = [
            of(mine, Some(6), Some(signed.signature)),
            of(theirs, Some(5), Some(signed.signature)),
            of(theirs, Some(5), Some(forged)),
            of(theirs, None, Some(forged)),
            of(theirs, Some(5), None),
        ];
        assert!(!is_chosen(&wrong, mine) && !is_chosen(&wrong, theirs));
        let good = [of(mine, Some(5), Some(signed.signature))];
        assert!(is_chosen(&good, mine) && !is_chosen(&good, theirs));
    }
}
