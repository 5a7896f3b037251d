//! Who is best: by one metric, or by the frontier of two.
//!
//! Better means strictly better. Between equals the earlier submission wins, by
//! the moment it was submitted and not by when a validator got to it.

use std::cmp::Ordering;

use protocol::task::{Direction, RankingMode, Task};

use super::consensus::Metrics;
use crate::time::Timestamp;

/// An accepted submission as the ranking sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The submission.
    pub id: String,
    /// The deciding metric.
    pub metric: f64,
    /// The second metric of a frontier.
    pub secondary: Option<f64>,
    /// When it was submitted.
    pub submitted_at: Timestamp,
}

/// How the entries of a task compare.
#[derive(Debug, Clone, Copy)]
pub struct Ranking {
    mode: RankingMode,
    direction: Direction,
    secondary: Option<Direction>,
}

/// What an accepted submission changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Whether it is best, or on the frontier, now.
    pub enters: bool,
    /// Those that are not any more.
    pub leaves: Vec<String>,
}

impl Ranking {
    /// The ranking of a task.
    pub fn of(task: &Task) -> Self {
        Self {
            mode: task.ranking_mode,
            direction: task.metric_direction,
            secondary: task.secondary_metric_direction,
        }
    }

    /// An entry from observed metrics; `None` without the deciding metric.
    pub fn entry(
        &self,
        task: &Task,
        id: &str,
        metrics: &Metrics,
        submitted_at: Timestamp,
    ) -> Option<Entry> {
        let secondary = task
            .secondary_metric_name
            .as_ref()
            .and_then(|name| metrics.get(name));
        if self.mode == RankingMode::Pareto && secondary.is_none() {
            return None;
        }
        Some(Entry {
            id: id.to_owned(),
            metric: metrics.get(&task.metric_name)?.value(),
            secondary: secondary.map(protocol::Decimal::value),
            submitted_at,
        })
    }

    /// What `new` does to the current best or frontier.
    pub fn admit(self, new: &Entry, current: &[Entry]) -> Change {
        if current.iter().any(|old| self.beats(old, new)) {
            return Change::default();
        }
        let beaten = current.iter().filter(|old| self.beats(new, old));
        Change {
            enters: true,
            leaves: beaten.map(|old| old.id.clone()).collect(),
        }
    }

    /// Whether `one` makes `other` pointless: by one metric it is better, or as
    /// good and earlier; by two it is at least as good in both, and better in
    /// one or earlier.
    pub fn beats(self, one: &Entry, other: &Entry) -> bool {
        let earlier = (one.submitted_at, &one.id) < (other.submitted_at, &other.id);
        match self.compare(one, other) {
            Some(Ordering::Greater) => true,
            Some(Ordering::Equal) => earlier,
            Some(Ordering::Less) | None => false,
        }
    }

    /// Best first; a total order, also of a frontier's members.
    pub fn order(self, one: &Entry, other: &Entry) -> Ordering {
        let by_metric = better(self.direction, one.metric, other.metric).reverse();
        let by_secondary = || self.compare_secondary(one, other).reverse();
        by_metric
            .then_with(by_secondary)
            .then_with(|| one.submitted_at.cmp(&other.submitted_at))
            .then_with(|| one.id.cmp(&other.id))
    }

    fn compare(self, one: &Entry, other: &Entry) -> Option<Ordering> {
        let first = better(self.direction, one.metric, other.metric);
        if self.mode == RankingMode::Scalar {
            return Some(first);
        }
        match (first, self.compare_secondary(one, other)) {
            (Ordering::Equal, second) => Some(second),
            (first, Ordering::Equal) => Some(first),
            (first, second) if first == second => Some(first),
            _ => None,
        }
    }

    fn compare_secondary(self, one: &Entry, other: &Entry) -> Ordering {
        match (self.mode, self.secondary, one.secondary, other.secondary) {
            (RankingMode::Pareto, Some(direction), Some(a), Some(b)) => better(direction, a, b),
            _ => Ordering::Equal,
        }
    }
}

/// `Greater` if `a` is better than `b`.
fn better(direction: Direction, a: f64, b: f64) -> Ordering {
    // Zero and minus zero are one value, which total_cmp does not think.
    let (a, b) = (a + 0.0, b + 0.0);
    match direction {
        Direction::Maximize => a.total_cmp(&b),
        Direction::Minimize => b.total_cmp(&a),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scalar(direction: Direction) -> Ranking {
        Ranking {
            mode: RankingMode::Scalar,
            direction,
            secondary: None,
        }
    }

    const PARETO: Ranking = Ranking {
        mode: RankingMode::Pareto,
        direction: Direction::Maximize,
        secondary: Some(Direction::Minimize),
    };

    fn entry(id: u32, metric: f64, secondary: f64, at: i64) -> Entry {
        Entry {
            id: format!("{id:04}"),
            metric,
            secondary: Some(secondary),
            submitted_at: Timestamp::from_micros(at),
        }
    }

    #[test]
    fn only_a_strict_improvement_takes_the_lead() {
        let leader = entry(1, 2.0, 0.0, 10);
        for (ranking, metric, enters) in [
            (scalar(Direction::Maximize), 2.1, true),
            (scalar(Direction::Maximize), 2.0, false),
            (scalar(Direction::Maximize), 1.9, false),
            (scalar(Direction::Minimize), 1.9, true),
            (scalar(Direction::Minimize), 2.0, false),
        ] {
            let change = ranking.admit(&entry(2, metric, 0.0, 20), std::slice::from_ref(&leader));
            assert_eq!(change.enters, enters, "{ranking:?} {metric}");
            assert_eq!(change.leaves.len(), usize::from(enters));
        }
    }

    #[test]
    fn the_earlier_of_two_equals_leads_even_if_it_was_replayed_later() {
        let copy = entry(9, 2.0, 0.0, 20);
        let change = scalar(Direction::Maximize).admit(&entry(1, 2.0, 0.0, 10), &[copy]);
        assert_eq!(change.leaves, ["0009"]);
    }

    #[test]
    fn zero_and_minus_zero_are_equal() {
        let change =
            scalar(Direction::Maximize).admit(&entry(2, 0.0, 0.0, 20), &[entry(1, -0.0, 0.0, 10)]);
        assert!(!change.enters);
    }

    #[test]
    fn the_frontier_keeps_what_nothing_else_beats_in_both() {
        let front = [entry(1, 1.0, 1.0, 1), entry(2, 2.0, 2.0, 2)];
        assert!(PARETO.admit(&entry(3, 3.0, 3.0, 3), &front).enters);
        assert!(!PARETO.admit(&entry(3, 1.0, 1.5, 3), &front).enters);
        let both = PARETO.admit(&entry(3, 2.0, 1.0, 3), &front);
        assert_eq!(both.leaves, ["0001", "0002"]);
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_change_who_is_best(
            points in proptest::collection::vec((0i8..5, 0i8..5), 1..24), seed in any::<u64>()
        ) {
            for ranking in [PARETO, scalar(Direction::Minimize)] {
                let entries: Vec<Entry> = (0u32..).zip(&points)
                    .map(|(n, (a, b))| entry(n, f64::from(*a), f64::from(*b), i64::from(n)))
                    .collect();
                let mut shuffled = entries.clone();
                shuffled.sort_by_key(|e| e.id.bytes().fold(seed, |h, b| {
                    (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3).rotate_left(17)
                }));
                prop_assert_eq!(settle(ranking, &entries), settle(ranking, &shuffled));
            }
        }
    }

    fn settle(ranking: Ranking, entries: &[Entry]) -> Vec<Entry> {
        let mut current: Vec<Entry> = Vec::new();
        for new in entries {
            let change = ranking.admit(new, &current);
            current.retain(|old| !change.leaves.contains(&old.id));
            if change.enters {
                current.push(new.clone());
            }
        }
        current.sort_by(|a, b| ranking.order(a, b));
        current
    }
}
