//! Reads the coordinator's reward snapshot (`WIRE.md` §2) for what the pool needs
//! of it: each miner's share.

use std::collections::BTreeMap;

use protocol::ss58::Address;
use serde::Deserialize;

/// Each paid miner's share, by hotkey. Together they are the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares(BTreeMap<Address, u64>);

/// Why a snapshot cannot be paid by.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Not JSON with the fields that are needed.
    #[error("the reward snapshot is unreadable: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// A miner is there twice.
    #[error("eligible_miners: {0} is there twice")]
    Twice(Address),
    /// The shares are not the whole.
    #[error("eligible_miners: the shares add up to {sum}, and share_total is {share_total}")]
    Sum {
        /// What they add up to.
        sum: u128,
        /// What they are parts of.
        share_total: u64,
    },
    /// Nobody is paid.
    #[error("eligible_miners: is empty, so there is nobody to divide a budget among")]
    Nobody,
}

#[derive(Deserialize)]
struct Snapshot {
    share_total: u64,
    eligible_miners: Vec<Miner>,
}

#[derive(Deserialize)]
struct Miner {
    hotkey: Address,
    share_ppb: u64,
}

impl Shares {
    /// Reads a snapshot's bytes.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let snapshot: Snapshot = serde_json::from_slice(bytes)?;
        let mut shares = BTreeMap::new();
        for miner in &snapshot.eligible_miners {
            if shares.insert(miner.hotkey, miner.share_ppb).is_some() {
                return Err(SnapshotError::Twice(miner.hotkey));
            }
        }
        let sum = shares.values().map(|share| u128::from(*share)).sum();
        if sum == 0 {
            return Err(SnapshotError::Nobody);
        }
        if sum != u128::from(snapshot.share_total) {
            return Err(SnapshotError::Sum {
                sum,
                share_total: snapshot.share_total,
            });
        }
        Ok(Self(shares))
    }

    /// The shares in the order of the hotkeys' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (Address, u64)> + '_ {
        self.0.iter().map(|(hotkey, share)| (*hotkey, *share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn miner(n: u8, share: u64) -> String {
        let hotkey = Address::from_bytes([n; 32]);
        format!(r#"{{"hotkey":"{hotkey}","share_ppb":{share},"results_ppb":1}}"#)
    }

    fn parse(total: &str, miners: &[String]) -> Result<Shares, SnapshotError> {
        let text = format!(
            r#"{{"generated_at":"x","share_total":{total},"eligible_miners":[{}]}}"#,
            miners.join(",")
        );
        Shares::parse(text.as_bytes())
    }

    #[test]
    fn shares_are_read_in_the_order_of_their_bytes() {
        let shares = parse("10", &[miner(2, 7), miner(1, 3)]).unwrap();
        let numbers: Vec<u64> = shares.iter().map(|(_, share)| share).collect();
        assert_eq!(numbers, [3, 7]);
    }

    #[test]
    fn a_snapshot_that_does_not_divide_the_whole_is_refused_with_its_reason() {
        let message =
            |total: &str, miners: &[String]| parse(total, miners).unwrap_err().to_string();
        assert!(message("10", &[miner(1, 3), miner(1, 7)]).contains("is there twice"));
        assert!(message("10", &[miner(1, 3)]).contains("add up to 3"));
        assert!(message("10", &[]).contains("is empty"));
        assert!(message("0", &[miner(1, 0)]).contains("is empty"));
        assert!(message("1.5", &[miner(1, 3)]).contains("unreadable"));
        let max = miner(1, u64::MAX);
        assert!(message("10", &[max, miner(2, u64::MAX)]).contains("36893488147419103230"));
        for text in [
            "",
            "{}",
            "[]",
            r#"{"share_total":1,"share_total":1,"eligible_miners":[]}"#,
        ] {
            assert!(Shares::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
