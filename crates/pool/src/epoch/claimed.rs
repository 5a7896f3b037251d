//! What the contract had paid before an epoch was computed. Without it an epoch
//! must declare all that was ever earned, and the contract would have to own what
//! it paid out long ago.

use std::collections::BTreeMap;

use protocol::ss58::Address;
use serde::Deserialize;

use super::file::Balance;
use crate::Rao;

const FORMAT: &str = "pool-claimed-v1";

/// Amounts that were claimed, cumulative, by hotkey. A claim that came later, or
/// is missing here, only makes an epoch declare more than it needs.
#[derive(Debug, Clone, Default)]
pub struct Claimed(BTreeMap<Address, Rao>);

/// Why the document is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimedError {
    /// Not JSON with exactly the fields of the format.
    #[error("the claimed amounts are unreadable: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Another format.
    #[error("the format of the claimed amounts is {0:?}, and not {FORMAT:?}")]
    Format(String),
    /// A hotkey is there twice.
    #[error("claimed: {0} is there twice")]
    Twice(Address),
    /// The chain paid for what this ledger never credited.
    #[error("claimed: {hotkey} has claimed {claimed} rao, and earned only {earned}")]
    MoreThanEarned {
        /// Whose.
        hotkey: Address,
        /// What was claimed.
        claimed: Rao,
        /// What was earned.
        earned: Rao,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    claimed: Vec<Balance>,
}

impl Claimed {
    /// Reads `{"format": "pool-claimed-v1", "claimed": [{"hotkey", "amount_rao"}]}`.
    ///
    /// # Errors
    /// [`ClaimedError`], except [`ClaimedError::MoreThanEarned`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ClaimedError> {
        let document: Document = serde_json::from_slice(bytes)?;
        if document.format != FORMAT {
            return Err(ClaimedError::Format(
                document.format.chars().take(80).collect(),
            ));
        }
        let mut claimed = BTreeMap::new();
        for one in document.claimed {
            if claimed.insert(one.hotkey, one.amount_rao).is_some() {
                return Err(ClaimedError::Twice(one.hotkey));
            }
        }
        Ok(Self(claimed))
    }

    /// What of `earned` is still to be paid.
    ///
    /// # Errors
    /// [`ClaimedError::MoreThanEarned`].
    pub fn left_of(&self, hotkey: Address, earned: Rao) -> Result<Rao, ClaimedError> {
        let claimed = self.0.get(&hotkey).copied().unwrap_or_default();
        let left = earned.0.checked_sub(claimed.0);
        left.map(Rao).ok_or(ClaimedError::MoreThanEarned {
            hotkey,
            claimed,
            earned,
        })
    }
}
