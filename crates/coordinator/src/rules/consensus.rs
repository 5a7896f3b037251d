//! When validators decide a submission.
//!
//! Decisive outcomes are `accepted` and `rejected`. A submission is accepted when
//! at least the quorum, and more than half of all decisive validators, accepted
//! it with metrics that agree; it is rejected when as many rejected it. Anything
//! else that a full quorum says is a disagreement, which one more validator at a
//! time may settle. An `error` is nobody's verdict: those whose fault is the
//! submission end it when they are repeated, those of a validator never count.

use std::collections::BTreeMap;

use protocol::Decimal;

/// Metrics by name.
pub type Metrics = BTreeMap<String, Decimal>;

/// A validator's decisive or failed replay.
#[derive(Debug, Clone)]
pub enum Said {
    /// It saw these metrics, of this patched tree if it said so.
    Accepted {
        /// By name.
        metrics: Metrics,
        /// The patched tree's id.
        tree: Option<String>,
    },
    /// It saw a broken rule.
    Rejected {
        /// The outcome code, if it gave one.
        code: Option<String>,
    },
    /// It decided nothing, so many times by the submission's fault.
    Error {
        /// How often it blamed the submission.
        submission_faults: u32,
        /// The outcome code, if it gave one.
        code: Option<String>,
    },
}

/// What has to agree, and how many must say so.
#[derive(Debug, Clone)]
pub struct Terms<'a> {
    /// Distinct validators.
    pub quorum: usize,
    /// Relative to the median; equal without it.
    pub tolerance: Option<&'a Decimal>,
    /// The metrics that are compared.
    pub metrics: Vec<&'a str>,
}

/// What the validators together decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Consensus {
    /// Too few have reported.
    Waiting,
    /// Enough have, and they do not agree.
    Disagreement,
    /// It counts, with the median of those who agree.
    Accepted {
        /// The median by name.
        metrics: Metrics,
        /// The tree that they agree on.
        tree: Option<String>,
    },
    /// It does not count.
    Rejected {
        /// The code that most of them gave.
        code: Option<String>,
    },
    /// It could not be replayed, repeatedly, by its own fault.
    Error {
        /// The code that most of them gave.
        code: Option<String>,
    },
}

/// How many blames of the submission end it, whatever the quorum: one failed
/// download is bad luck.
const FAULTS_TO_END: u32 = 2;

/// Decides. `said` has one entry for each distinct validator.
pub fn decide(said: &[Said], terms: &Terms<'_>) -> Consensus {
    let accepted: Vec<(&Metrics, &Option<String>)> = said
        .iter()
        .filter_map(|one| match one {
            Said::Accepted { metrics, tree } => Some((metrics, tree)),
            _ => None,
        })
        .collect();
    let rejected: Vec<&Option<String>> = said
        .iter()
        .filter_map(|one| match one {
            Said::Rejected { code } => Some(code),
            _ => None,
        })
        .collect();
    let decisive = accepted.len() + rejected.len();
    let carries = |votes: usize| votes >= terms.quorum && votes * 2 > decisive;

    let agreeing = largest_agreement(&accepted, terms);
    if carries(agreeing.len()) {
        // What makes others' submissions copies takes as many votes as the metrics: those
        // who name no tree vouch for none.
        let vouched: Vec<&String> = agreeing
            .iter()
            .filter_map(|(_, tree)| tree.as_ref())
            .collect();
        return Consensus::Accepted {
            metrics: median(&agreeing),
            tree: vouched
                .first()
                .filter(|_| carries(vouched.len()))
                .map(|tree| (*tree).clone()),
        };
    }
    if carries(rejected.len()) {
        return Consensus::Rejected {
            code: most_frequent(&rejected),
        };
    }
    if decisive >= terms.quorum {
        return Consensus::Disagreement;
    }
    ended_by_faults(said, terms.quorum).unwrap_or(Consensus::Waiting)
}

fn ended_by_faults(said: &[Said], quorum: usize) -> Option<Consensus> {
    let blames: Vec<(u32, &Option<String>)> = said
        .iter()
        .filter_map(|one| match one {
            Said::Error {
                submission_faults,
                code,
            } if *submission_faults > 0 => Some((*submission_faults, code)),
            _ => None,
        })
        .collect();
    let total: u32 = blames.iter().map(|(count, _)| count).sum();
    let codes: Vec<_> = blames.iter().map(|(_, code)| *code).collect();
    (blames.len() >= quorum && total >= FAULTS_TO_END).then(|| Consensus::Error {
        code: most_frequent(&codes),
    })
}

type Observation<'a> = (&'a Metrics, &'a Option<String>);

/// The largest set of observations whose metrics agree with those of one of them, and
/// of which no two name different trees.
fn largest_agreement<'a>(accepted: &[Observation<'a>], terms: &Terms<'_>) -> Vec<Observation<'a>> {
    let around = |pivot: &Observation<'a>| -> Vec<Observation<'a>> {
        let mut near: Vec<Observation<'a>> = accepted
            .iter()
            .filter(|other| agree(pivot, other, terms))
            .copied()
            .collect();
        // Who names no tree agrees with each of those who do, and must not join them.
        let trees: Vec<_> = near
            .iter()
            .map(|(_, tree)| *tree)
            .filter(|tree| tree.is_some())
            .collect();
        let tree = most_frequent(&trees);
        near.retain(|(_, other)| other.is_none() || **other == tree);
        near
    };
    accepted
        .iter()
        .map(around)
        .rev()
        .max_by_key(Vec::len)
        .unwrap_or_default()
}

fn agree(one: &Observation<'_>, other: &Observation<'_>, terms: &Terms<'_>) -> bool {
    let trees_differ = matches!((one.1, other.1), (Some(a), Some(b)) if a != b);
    !trees_differ
        && terms
            .metrics
            .iter()
            .all(|name| match (one.0.get(*name), other.0.get(*name)) {
                (Some(a), Some(b)) => close(a, b, terms.tolerance),
                _ => false,
            })
}

fn close(a: &Decimal, b: &Decimal, tolerance: Option<&Decimal>) -> bool {
    match tolerance.map(Decimal::value) {
        Some(relative) if relative > 0.0 => {
            (a.value() - b.value()).abs() <= relative * a.value().abs()
        }
        _ => a.compare(b).is_eq(),
    }
}

/// The median of each metric that all of them have. An odd count keeps the text
/// of the one in the middle.
pub fn median_of(all: &[&Metrics]) -> Metrics {
    let Some(first) = all.first() else {
        return Metrics::new();
    };
    let mut medians = Metrics::new();
    for name in first.keys() {
        let mut values: Vec<&Decimal> = all.iter().filter_map(|one| one.get(name)).collect();
        if values.len() < all.len() {
            continue;
        }
        values.sort_by(|a, b| a.compare(b));
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        let middle = if low.compare(high).is_eq() {
            low.clone()
        } else {
            // Halves first: the sum of two large doubles may overflow.
            let mean = low.value() / 2.0 + high.value() / 2.0;
            Decimal::from_f64(mean).unwrap_or_else(|| low.clone())
        };
        medians.insert(name.clone(), middle);
    }
    medians
}

fn median(observations: &[Observation<'_>]) -> Metrics {
    let metrics: Vec<&Metrics> = observations.iter().map(|(metrics, _)| *metrics).collect();
    median_of(&metrics)
}

/// The most frequent entry; the first of those that are equally frequent.
fn most_frequent(codes: &[&Option<String>]) -> Option<String> {
    let count = |code: &Option<String>| codes.iter().filter(|other| ***other == *code).count();
    codes
        .iter()
        .rev()
        .max_by_key(|code| count(code))
        .and_then(|code| (*code).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saw(value: &str) -> Said {
        let metrics = Metrics::from([("score".to_owned(), value.parse().unwrap())]);
        Said::Accepted {
            metrics,
            tree: None,
        }
    }

    fn refused() -> Said {
        Said::Rejected {
            code: Some("benchmark.failed".to_owned()),
        }
    }

    fn blamed(times: u32) -> Said {
        Said::Error {
            submission_faults: times,
            code: None,
        }
    }

    fn with_quorum(quorum: usize, said: &[Said]) -> Consensus {
        let terms = Terms {
            quorum,
            tolerance: None,
            metrics: vec!["score"],
        };
        decide(said, &terms)
    }

    fn median_score(consensus: Consensus) -> String {
        match consensus {
            Consensus::Accepted { metrics, .. } => metrics["score"].to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_validator_decides_where_the_quorum_is_one() {
        assert_eq!(median_score(with_quorum(1, &[saw("0.10")])), "0.10");
        assert!(matches!(
            with_quorum(1, &[refused()]),
            Consensus::Rejected { .. }
        ));
        assert_eq!(with_quorum(1, &[]), Consensus::Waiting);
    }

    #[test]
    fn a_quorum_that_is_not_full_decides_nothing() {
        assert_eq!(with_quorum(2, &[saw("1")]), Consensus::Waiting);
        assert_eq!(with_quorum(3, &[saw("1"), saw("1")]), Consensus::Waiting);
    }

    #[test]
    fn a_liar_is_outvoted_and_never_moves_the_median() {
        let two = [saw("0.5"), saw("9000")];
        assert_eq!(with_quorum(2, &two), Consensus::Disagreement);
        let three = [saw("9000"), saw("0.5"), saw("0.5")];
        assert_eq!(median_score(with_quorum(2, &three)), "0.5");
    }

    #[test]
    fn equal_camps_decide_nothing() {
        let camps = [saw("1"), saw("1"), saw("2"), saw("2")];
        assert_eq!(with_quorum(2, &camps), Consensus::Disagreement);
        assert_eq!(
            with_quorum(1, &[saw("1"), refused()]),
            Consensus::Disagreement
        );
    }

    #[test]
    fn metrics_agree_within_the_tolerance_relative_to_one_of_them() {
        let tolerance: Decimal = "0.01".parse().unwrap();
        let terms = Terms {
            quorum: 2,
            tolerance: Some(&tolerance),
            metrics: vec!["score"],
        };
        assert_eq!(
            median_score(decide(&[saw("100"), saw("101")], &terms)),
            "100.5"
        );
        assert_eq!(
            decide(&[saw("100"), saw("102")], &terms),
            Consensus::Disagreement
        );
        assert_eq!(
            with_quorum(2, &[saw("100"), saw("100.1")]),
            Consensus::Disagreement
        );
    }

    #[test]
    fn different_patched_trees_never_agree() {
        let seen = |tree: &str| Said::Accepted {
            metrics: Metrics::from([("score".to_owned(), "1".parse().unwrap())]),
            tree: Some(tree.to_owned()),
        };
        assert_eq!(
            with_quorum(2, &[seen("a"), seen("b")]),
            Consensus::Disagreement
        );
    }

    #[test]
    fn a_tree_takes_as_many_votes_as_the_metrics() {
        let seen = |tree: Option<&str>| Said::Accepted {
            metrics: Metrics::from([("score".to_owned(), "1".parse().unwrap())]),
            tree: tree.map(str::to_owned),
        };
        let (a, b, none) = (seen(Some("a")), seen(Some("b")), seen(None));
        let tree = |quorum, said: &[Said]| match with_quorum(quorum, said) {
            Consensus::Accepted { tree, .. } => Ok(tree),
            other => Err(other),
        };
        let named = Ok(Some("a".to_owned()));
        assert_eq!(tree(1, std::slice::from_ref(&a)), named);
        assert_eq!(tree(2, &[none.clone(), a.clone()]), Ok(None));
        assert_eq!(tree(2, &[a.clone(), none.clone(), a.clone()]), named);
        assert_eq!(tree(2, &[b.clone(), a.clone(), a.clone()]), named);
        assert_eq!(
            tree(3, &[a, none, b]),
            Err(Consensus::Disagreement),
            "who names no tree is no bridge between those who name different ones"
        );
    }

    #[test]
    fn zero_is_zero_with_either_sign() {
        assert_eq!(median_score(with_quorum(2, &[saw("0"), saw("-0.0")])), "0");
        assert_eq!(
            median_score(with_quorum(2, &[saw("1e2"), saw("100")])),
            "1e2"
        );
    }

    #[test]
    fn a_validators_own_errors_never_count() {
        assert_eq!(with_quorum(1, &[blamed(0), blamed(0)]), Consensus::Waiting);
        assert_eq!(median_score(with_quorum(1, &[blamed(0), saw("1")])), "1");
    }

    #[test]
    fn only_repeated_blame_from_a_quorum_ends_a_submission() {
        assert_eq!(with_quorum(1, &[blamed(1)]), Consensus::Waiting);
        assert!(matches!(
            with_quorum(1, &[blamed(2)]),
            Consensus::Error { .. }
        ));
        assert_eq!(with_quorum(2, &[blamed(5)]), Consensus::Waiting);
        assert!(matches!(
            with_quorum(2, &[blamed(1), blamed(1)]),
            Consensus::Error { .. }
        ));
    }

    #[test]
    fn the_median_keeps_digits_and_does_not_overflow() {
        assert_eq!(
            median_score(with_quorum(3, &[saw("1.50"), saw("1.5"), saw("1.500")])),
            "1.5"
        );
        let one = Metrics::from([("m".to_owned(), "1.7e308".parse().unwrap())]);
        let two = Metrics::from([("m".to_owned(), "1.6e308".parse().unwrap())]);
        assert!(median_of(&[&one, &two])["m"].value().is_finite());
    }
}
