//! What a pool answers, as far as it is shown. Fields that another pool may not have
//! are optional; unknown ones are passed over.

use std::collections::BTreeMap;

use protocol::Sha256Digest;
use protocol::claims::MerkleHash;
use protocol::ss58::Address;
use serde::{Deserialize, Deserializer};

/// The list of epochs.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct EpochList {
    pub(super) epochs: Vec<u64>,
    pub(super) default_epoch: Option<u64>,
}

/// One epoch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EpochAnswer {
    /// Its number.
    pub epoch: u64,
    /// `built`, or `published` when the chain has it for good.
    #[serde(default, deserialize_with = "short")]
    pub state: Option<String>,
    /// The contract that pays it.
    #[serde(default)]
    pub contract: Option<Address>,
    /// Its root.
    #[serde(default)]
    pub root: Option<MerkleHash>,
    /// How many leaves it has.
    #[serde(default)]
    pub num_of_leaves: Option<u32>,
    /// What it declares, in rao.
    #[serde(default, deserialize_with = "rao")]
    pub total_rao: Option<u64>,
    /// What it added to all balances, in rao.
    #[serde(default, deserialize_with = "rao")]
    pub budget_rao: Option<u64>,
    /// The digest of its file.
    #[serde(default)]
    pub file_sha256: Option<Sha256Digest>,
}

/// What the claim contract had paid at a block, by hotkey.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Claimed {
    /// The block.
    pub block: u64,
    #[serde(deserialize_with = "by_hotkey")]
    claimed: BTreeMap<Address, u64>,
}

impl Claimed {
    /// What was paid to a miner in all, in rao; 0 for one that is not there.
    pub fn of(&self, hotkey: &Address) -> u64 {
        self.claimed.get(hotkey).copied().unwrap_or(0)
    }
}

fn by_hotkey<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Address, u64>, D::Error> {
    #[derive(Deserialize)]
    struct One {
        hotkey: Address,
        #[serde(default, deserialize_with = "rao")]
        amount_rao: Option<u64>,
    }
    let list = Vec::<One>::deserialize(deserializer)?;
    let pairs = list
        .into_iter()
        .map(|one| (one.hotkey, one.amount_rao.unwrap_or(0)));
    Ok(pairs.collect())
}

/// An amount: decimal digits in a text, as ours, or a plain number.
pub(super) fn rao<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Amount {
        Text(String),
        Number(u64),
    }
    match Option::<Amount>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Amount::Number(rao)) => Ok(Some(rao)),
        Some(Amount::Text(text)) => match text.parse() {
            Ok(rao) => Ok(Some(rao)),
            Err(_) => Err(serde::de::Error::custom("an amount is not a number of rao")),
        },
    }
}

/// A word of another service, cut to what a table holds.
fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| text.chars().take(40).collect()))
}
