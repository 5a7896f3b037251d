//! What happened, compared with what should have.

use std::cmp::Ordering;

use protocol::task::{Direction, Task};
use protocol::{Decimal, Report};
use serde::Deserialize;

use crate::fixtures::Expectation;

/// How the metrics of a submission compare with those of the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Better in one metric, and not worse in the other.
    Better,
    /// Worse in one metric, and not better in the other.
    Worse,
    /// Equal in all.
    Same,
    /// Better in one, worse in the other.
    Trade,
}

impl Standing {
    /// Compares `report` with `baseline` in the metrics of `task`. `None` if one
    /// of them lacks a metric.
    pub fn of(task: &Task, report: &Report, baseline: &Report) -> Option<Self> {
        let mut better = false;
        let mut worse = false;
        for (name, direction) in metrics(task) {
            let value = report.observed_metrics.get(name)?;
            let known = baseline.observed_metrics.get(name)?;
            match preference(direction, value, known) {
                Ordering::Greater => better = true,
                Ordering::Less => worse = true,
                Ordering::Equal => {}
            }
        }
        Some(match (better, worse) {
            (true, true) => Self::Trade,
            (true, false) => Self::Better,
            (false, true) => Self::Worse,
            (false, false) => Self::Same,
        })
    }
}

/// The metrics of `task` with the way in which each is better.
pub fn metrics(task: &Task) -> impl Iterator<Item = (&str, Direction)> {
    let second = task
        .secondary_metric_name
        .as_deref()
        .zip(task.secondary_metric_direction);
    std::iter::once((task.metric_name.as_str(), task.metric_direction)).chain(second)
}

/// `Greater` if `value` is better than `known`.
fn preference(direction: Direction, value: &Decimal, known: &Decimal) -> Ordering {
    match direction {
        Direction::Maximize => value.compare(known),
        Direction::Minimize => known.compare(value),
    }
}

/// Everything in which `report` is not what `expected` says; empty if all is well.
pub fn differences(
    expected: &Expectation,
    task: &Task,
    report: &Report,
    baseline: Option<&Report>,
) -> Vec<String> {
    let mut found = Vec::new();
    if (report.status, report.code) != (expected.status, expected.code) {
        found.push(format!(
            "expected {} {}, got {} {}: {}",
            expected.status, expected.code, report.status, report.code, report.message
        ));
        return found;
    }
    if let Some(standing) = expected.metric {
        match baseline.and_then(|baseline| Standing::of(task, report, baseline)) {
            Some(observed) if observed == standing => {}
            Some(observed) => found.push(format!(
                "expected metrics {standing:?} against the baseline, they are {observed:?}"
            )),
            None => found.push("there are no metrics to compare with the baseline's".to_owned()),
        }
    }
    found
}
