//! Whether one observation is better than others, by a task's own metrics.

use std::cmp::Ordering;

use protocol::task::{Direction, RankingMode};
use protocol::{Decimal, Task};

use crate::client::answers::Metrics;

/// One observation: the values of the task's metrics, deciding one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point(Vec<Decimal>);

impl Point {
    /// The task's metrics among `metrics`, or `None` if one is missing.
    pub(crate) fn of(task: &Task, metrics: &Metrics) -> Option<Self> {
        let values = task.metric_names().map(|name| metrics.get(name).cloned());
        values.collect::<Option<Vec<_>>>().map(Self)
    }
}

/// Whether `candidate` is worth submitting beside `others`: better than all of
/// them in a scalar task, by more than `margin` of the other's value; in a pareto
/// task, matched in everything by none of them.
pub(crate) fn improves(task: &Task, candidate: &Point, others: &[Point], margin: f64) -> bool {
    let directions = [Some(task.metric_direction), task.secondary_metric_direction];
    let directions: Vec<Direction> = directions.into_iter().flatten().collect();
    let better = |index: usize, other: &Point| {
        by_how_much(
            directions[index],
            &candidate.0[index],
            &other.0[index],
            margin,
        )
    };
    others.iter().all(|other| match task.ranking_mode {
        RankingMode::Scalar => better(0, other) == Ordering::Greater,
        RankingMode::Pareto => {
            let compared = candidate.0.len().min(other.0.len()).min(directions.len());
            (0..compared).any(|index| better(index, other) == Ordering::Greater)
        }
    })
}

/// `Greater` if `candidate` is better by more than the margin.
fn by_how_much(
    direction: Direction,
    candidate: &Decimal,
    other: &Decimal,
    margin: f64,
) -> Ordering {
    let gain = match direction {
        Direction::Maximize => candidate.value() - other.value(),
        Direction::Minimize => other.value() - candidate.value(),
    };
    gain.partial_cmp(&(margin * other.value().abs()))
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(more: &str) -> Task {
        serde_json::from_str(&format!(
            r#"{{"slug": "sort", "benchmark_command": "true", "metric_name": "loss", "metric_direction": "minimize",
                "time_budget_seconds": 10, "allowed_patch_paths": ["src"] {more}}}"#
        ))
        .unwrap()
    }

    fn point(task: &Task, json: &str) -> Point {
        Point::of(task, &serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn a_scalar_task_wants_better_than_everybody_by_more_than_the_margin() {
        let task = task("");
        let candidate = point(&task, r#"{"loss": 0.90, "other": 7}"#);
        let improves = |others: &[&str], margin| {
            let others: Vec<Point> = others.iter().map(|json| point(&task, json)).collect();
            improves(&task, &candidate, &others, margin)
        };
        assert!(improves(&[], 0.0));
        assert!(improves(&[r#"{"loss": 1}"#, r#"{"loss": 0.91}"#], 0.0));
        assert!(!improves(&[r#"{"loss": 1}"#, r#"{"loss": 0.9}"#], 0.0));
        assert!(!improves(&[r#"{"loss": 0.1}"#], 0.0));
        assert!(!improves(&[r#"{"loss": 0.91}"#], 0.05));
        assert!(improves(&[r#"{"loss": 1}"#], 0.05));
        assert!(Point::of(&task, &serde_json::from_str(r#"{"los": 1}"#).unwrap()).is_none());
    }

    #[test]
    fn a_frontier_wants_a_point_that_nobody_matches_in_everything() {
        let task = task(
            r#", "ranking_mode": "pareto", "secondary_metric_name": "acc", "secondary_metric_direction": "maximize""#,
        );
        let candidate = point(&task, r#"{"loss": 5, "acc": 0.5}"#);
        for (other, wanted) in [
            (r#"{"loss": 1, "acc": 0.4}"#, true),
            (r#"{"loss": 6, "acc": 0.9}"#, true),
            (r#"{"loss": 5, "acc": 0.5}"#, false),
            (r#"{"loss": 5, "acc": 0.6}"#, false),
            (r#"{"loss": 4, "acc": 0.5}"#, false),
        ] {
            assert_eq!(
                improves(&task, &candidate, &[point(&task, other)], 0.0),
                wanted,
                "{other}"
            );
        }
    }
}
