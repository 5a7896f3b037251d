//! The reward snapshot: who is paid which part, from the state and nothing else.
//!
//! Shares are whole billionths that add up to a billion exactly, so that a pool
//! can turn them into money without rounding anything twice.

use std::collections::BTreeMap;

use protocol::apportion::apportion;

use super::policy::RewardPolicy;

/// The whole of all shares.
pub const BILLION: u64 = 1_000_000_000;

/// A competition as the shares see it.
#[derive(Debug)]
pub struct Competition {
    /// The task's slug.
    pub slug: String,
    /// Whether ideas are paid.
    pub pays_ideas: bool,
    /// The miners on the frontier, or the best one: a miner with two
    /// submissions on a frontier is here twice.
    pub holders: Vec<String>,
    /// The proposers of paid ideas, once for each implementation.
    pub proposers: Vec<String>,
}

/// What a competition is worth, and to whom.
#[derive(Debug, PartialEq, Eq)]
pub struct Portion {
    /// The competition's part of everything, in billionths.
    pub share: u64,
    /// For the results, by hotkey.
    pub results: BTreeMap<String, u64>,
    /// For the ideas, by hotkey.
    pub ideas: BTreeMap<String, u64>,
}

/// Divides everything: among the competitions that have a winner, by weight.
pub fn divide(policy: &RewardPolicy, competitions: &[Competition]) -> Vec<Portion> {
    let weights: Vec<u64> = competitions
        .iter()
        .map(|one| {
            if one.holders.is_empty() {
                0
            } else {
                policy.weight_of(&one.slug)
            }
        })
        .collect();
    let shares = apportion(BILLION, &weights);
    competitions
        .iter()
        .zip(shares)
        .map(|(one, share)| portion(policy, one, share))
        .collect()
}

fn portion(policy: &RewardPolicy, competition: &Competition, share: u64) -> Portion {
    let for_ideas = if competition.pays_ideas && !competition.proposers.is_empty() {
        policy.idea_millionths()
    } else {
        0
    };
    let parts = apportion(share, &[1_000_000 - for_ideas.min(1_000_000), for_ideas]);
    Portion {
        share,
        results: among(&competition.holders, parts[0]),
        ideas: among(&competition.proposers, parts[1]),
    }
}

/// Equal parts, added up by hotkey.
fn among(hotkeys: &[String], total: u64) -> BTreeMap<String, u64> {
    let parts = apportion(total, &vec![1; hotkeys.len()]);
    let mut sums = BTreeMap::new();
    for (hotkey, part) in hotkeys.iter().zip(parts) {
        *sums.entry(hotkey.clone()).or_insert(0) += part;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::policy::CompetitionWeight;

    fn competition(slug: &str, holders: &[&str], proposers: &[&str]) -> Competition {
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        Competition {
            slug: slug.to_owned(),
            pays_ideas: true,
            holders: owned(holders),
            proposers: owned(proposers),
        }
    }

    fn total(portions: &[Portion]) -> u64 {
        let sums = portions
            .iter()
            .flat_map(|one| one.results.values().chain(one.ideas.values()));
        sums.sum()
    }

    #[test]
    fn everything_is_paid_and_nothing_more() {
        let policy = RewardPolicy::default();
        let three = [
            competition("a", &["m1"], &["m2"]),
            competition("b", &["m1", "m2", "m3"], &[]),
            competition("c", &[], &["m9"]),
        ];
        let portions = divide(&policy, &three);
        assert_eq!(total(&portions), BILLION);
        assert_eq!(portions[2].share, 0, "no winner, no pay");
        assert_eq!(portions[0].ideas["m2"], 50_000_000);
        assert_eq!(divide(&policy, &[]), []);
    }

    #[test]
    fn weights_divide_between_competitions() {
        let policy = RewardPolicy {
            competitions: vec![CompetitionWeight {
                slug: "a".to_owned(),
                weight: "3".parse().unwrap(),
            }],
            ..RewardPolicy::default()
        };
        let portions = divide(
            &policy,
            &[competition("a", &["x"], &[]), competition("b", &["y"], &[])],
        );
        assert_eq!(portions[0].results["x"], 750_000_000);
        assert_eq!(portions[1].results["y"], 250_000_000);
    }
}
