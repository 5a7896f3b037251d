//! The recipient mappings that an epoch is computed with, each with the miner's
//! own signature: nobody has to believe the pool who is to be paid.

use std::collections::BTreeMap;

use protocol::claims::RecipientUpdate;
use protocol::ss58::Address;
use serde::{Deserialize, Serialize};

const FORMAT: &str = "pool-recipients-v1";

/// Mappings by hotkey.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipients(BTreeMap<Address, RecipientUpdate>);

/// Why mappings are refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientsError {
    /// Not JSON with exactly the fields of the format.
    #[error("the recipient mappings are unreadable: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Another format, order or spelling: the digest would be another.
    #[error("the recipient mappings are not written as this pool writes them")]
    Spelling,
    /// The hotkey did not sign this.
    #[error("recipients: the mapping of {0} is not signed by it")]
    Unsigned(Address),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    recipients: Vec<RecipientUpdate>,
}

impl Recipients {
    /// The mappings of a list; of several for one hotkey the last counts.
    pub fn of(list: impl IntoIterator<Item = RecipientUpdate>) -> Self {
        let by_hotkey = |update: RecipientUpdate| (update.hotkey.address(), update);
        Self(list.into_iter().map(by_hotkey).collect())
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`RecipientsError`], except [`RecipientsError::Unsigned`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RecipientsError> {
        let document: Document = serde_json::from_slice(bytes)?;
        let recipients = Self::of(document.recipients);
        // Covers the format's name, the order, and hotkeys that are there twice.
        if document.format != FORMAT || recipients.to_bytes() != bytes {
            return Err(RecipientsError::Spelling);
        }
        Ok(recipients)
    }

    /// The document's bytes: compact JSON in the order of the hotkeys' bytes, and
    /// a line feed.
    #[expect(clippy::missing_panics_doc, reason = "never: see the expectation")]
    pub fn to_bytes(&self) -> Vec<u8> {
        let document = Document {
            format: FORMAT.to_owned(),
            recipients: self.0.values().copied().collect(),
        };
        let written = serde_json::to_vec(&document);
        let mut bytes = written.expect("strings, numbers and lists are always JSON");
        bytes.push(b'\n');
        bytes
    }

    /// When the mapping of `hotkey` was signed, in Unix seconds, if there is one.
    pub fn signed_at(&self, hotkey: &Address) -> Option<u64> {
        self.0.get(hotkey).map(|update| update.signed_at)
    }

    /// Who is paid for `hotkey`, after looking at the signature.
    ///
    /// # Errors
    /// [`RecipientsError::Unsigned`].
    pub fn of_hotkey(&self, hotkey: &Address) -> Result<Option<Address>, RecipientsError> {
        match self.0.get(hotkey) {
            None => Ok(None),
            Some(update) if update.is_signed() => Ok(Some(update.recipient_coldkey)),
            Some(_) => Err(RecipientsError::Unsigned(*hotkey)),
        }
    }
}
