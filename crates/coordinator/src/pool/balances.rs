//! Who can claim how much, from an epoch's file.

use protocol::ss58::Address;
use serde::Deserialize;

use super::answers::rao;

/// The most miners that are kept: those with the most.
const MOST: usize = 1000;

/// One miner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// Whose reward it is.
    pub hotkey: Address,
    /// Who is paid.
    pub recipient_coldkey: Address,
    /// Everything earned so far, in rao.
    #[serde(deserialize_with = "amount")]
    pub amount_rao: u64,
}

/// The amounts of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balances {
    /// The epoch.
    pub epoch: u64,
    /// Miners with a claim, the largest first; at most 1,000.
    pub entries: Vec<Entry>,
    /// How many there are in all.
    pub count: usize,
    /// Miners who have named no recipient.
    pub unassigned: usize,
}

#[derive(Deserialize)]
struct File {
    epoch: u64,
    leaves: Vec<Entry>,
    #[serde(default)]
    unassigned: Vec<serde::de::IgnoredAny>,
}

fn amount<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    rao(deserializer)?.ok_or_else(|| serde::de::Error::custom("an amount is missing"))
}

impl Balances {
    /// Reads an epoch's file.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn read(file: &[u8]) -> Result<Self, String> {
        let unreadable = |error: serde_json::Error| {
            format!("the epoch's file cannot be read (line {})", error.line())
        };
        let file: File = serde_json::from_slice(file).map_err(unreadable)?;
        let mut entries = file.leaves;
        let count = entries.len();
        entries.sort_unstable_by_key(|one| (std::cmp::Reverse(one.amount_rao), one.hotkey));
        entries.truncate(MOST);
        Ok(Self {
            epoch: file.epoch,
            entries,
            count,
            unassigned: file.unassigned.len(),
        })
    }
}
