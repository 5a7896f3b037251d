//! What each miner has earned so far.

use std::collections::BTreeMap;

use protocol::apportion::apportion;
use protocol::ss58::Address;

use super::Shares;
use crate::Rao;

/// Cumulative amounts by hotkey: they only ever grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balances(BTreeMap<Address, Rao>);

/// Why an amount cannot be credited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BalanceError {
    /// More than 64 bits.
    #[error("what {0} has earned so far is over 2^64 rao")]
    Overflow(Address),
    /// A hotkey is there twice.
    #[error("{0} has two balances")]
    Twice(Address),
}

impl Balances {
    /// The balances of a list in which each hotkey is once.
    ///
    /// # Errors
    /// [`BalanceError::Twice`].
    pub fn of(list: impl IntoIterator<Item = (Address, Rao)>) -> Result<Self, BalanceError> {
        let mut balances = BTreeMap::new();
        for (hotkey, amount) in list {
            if balances.insert(hotkey, amount).is_some() {
                return Err(BalanceError::Twice(hotkey));
            }
        }
        Ok(Self(balances))
    }

    /// Divides `budget` by the shares with the largest remainders, and adds each
    /// miner's part. Between equal remainders the hotkey whose bytes come first
    /// gets the unit.
    ///
    /// # Errors
    /// [`BalanceError::Overflow`], and then nothing is credited.
    pub fn credit(&mut self, shares: &Shares, budget: Rao) -> Result<(), BalanceError> {
        let (hotkeys, weights): (Vec<_>, Vec<_>) = shares.iter().unzip();
        let mut credited = self.0.clone();
        for (hotkey, part) in hotkeys.into_iter().zip(apportion(budget.0, &weights)) {
            let balance = credited.entry(hotkey).or_default();
            *balance = balance
                .checked_add(Rao(part))
                .ok_or(BalanceError::Overflow(hotkey))?;
        }
        self.0 = credited;
        Ok(())
    }

    /// Every hotkey that has earned something, in the order of their bytes.
    pub fn iter(&self) -> impl Iterator<Item = (Address, Rao)> + '_ {
        let all = self.0.iter().map(|(hotkey, amount)| (*hotkey, *amount));
        all.filter(|(_, amount)| *amount > Rao(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn shares(weights: &[u64]) -> Shares {
        let miners: Vec<_> = (0u8..)
            .zip(weights)
            .map(|(n, weight)| {
                serde_json::json!({"hotkey": Address::from_bytes([n; 32]), "share_ppb": weight})
            })
            .collect();
        let total: u64 = weights.iter().sum();
        let snapshot = serde_json::json!({"share_total": total, "eligible_miners": miners});
        Shares::parse(snapshot.to_string().as_bytes()).unwrap()
    }

    fn sum(balances: &Balances) -> u128 {
        balances
            .iter()
            .map(|(_, amount)| u128::from(amount.0))
            .sum()
    }

    proptest! {
        #[test]
        fn what_is_credited_is_the_budget_and_no_balance_ever_shrinks(
            epochs in vec((vec(1u64..1_000_000_000, 1..40), 0u64..21_000_000_000_000_000), 1..10)
        ) {
            let mut balances = Balances::default();
            let mut paid = 0u128;
            for (weights, budget) in epochs {
                let before = balances.clone();
                balances.credit(&shares(&weights), Rao(budget)).unwrap();
                paid += u128::from(budget);
                prop_assert_eq!(sum(&balances), paid);
                for (hotkey, amount) in before.iter() {
                    prop_assert!(balances.0[&hotkey] >= amount);
                }
            }
        }
    }

    #[test]
    fn an_overflow_credits_nothing() {
        let full = Address::from_bytes([1; 32]);
        let mut balances = Balances::of([(full, Rao(u64::MAX))]).unwrap();
        let before = balances.clone();
        let refused = balances.credit(&shares(&[1, 1]), Rao(2));
        assert_eq!(refused, Err(BalanceError::Overflow(full)));
        assert_eq!(balances, before);
    }
}
