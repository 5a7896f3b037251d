//! What happened, compared with what should have.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use protocol::task::{Direction, Task};
use protocol::{Code, Decimal, Report, Status};
use serde::Deserialize;
use serde_json::Value;

use crate::fixtures::Expectation;

/// How a submission ended, whoever says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Accepted, rejected or error.
    pub status: Status,
    /// The outcome code.
    pub code: Code,
    /// Why, in a sentence; empty where nobody says.
    pub message: String,
    /// What was observed.
    pub metrics: BTreeMap<String, Decimal>,
}

impl From<&Report> for Decision {
    fn from(report: &Report) -> Self {
        Self {
            status: report.status,
            code: report.code,
            message: report.message.clone(),
            metrics: report.observed_metrics.clone(),
        }
    }
}

impl Decision {
    /// Reads a coordinator's row of a submission or of a verification that is
    /// decided.
    pub fn of_row(row: &Value) -> Result<Self> {
        let text = |name: &str| row[name].as_str().with_context(|| format!("{name}: {row}"));
        let read = |(name, value): (&String, &Value)| {
            let value = value.to_string().parse();
            Ok((name.clone(), value.with_context(|| name.clone())?))
        };
        let metrics = row["observed_metrics"].as_object();
        // A validator's notes begin with what the row says anyway.
        let (status, code) = (text("status")?, text("outcome_code")?);
        let notes = row["notes"].as_str().unwrap_or_default();
        let message = notes.lines().next().unwrap_or_default();
        let said = format!("{status} {code}: ");
        Ok(Self {
            status: serde_json::from_value(row["status"].clone())?,
            code: code.parse()?,
            message: message.strip_prefix(&said).unwrap_or(message).to_owned(),
            metrics: metrics
                .into_iter()
                .flatten()
                .map(read)
                .collect::<Result<_>>()?,
        })
    }
}

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
    /// Compares `decision` with `baseline` in the metrics of `task`. `None` if one
    /// of them lacks a metric.
    pub fn of(task: &Task, decision: &Decision, baseline: &Decision) -> Option<Self> {
        let mut better = false;
        let mut worse = false;
        for (name, direction) in metrics(task) {
            let value = decision.metrics.get(name)?;
            let known = baseline.metrics.get(name)?;
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

/// Everything in which `decision` is not what `expected` says; empty if all is well.
pub fn differences(
    expected: &Expectation,
    task: &Task,
    decision: &Decision,
    baseline: Option<&Decision>,
) -> Vec<String> {
    let mut found = Vec::new();
    if (decision.status, decision.code) != (expected.status, expected.code) {
        found.push(format!(
            "expected {} {}, got {} {}: {}",
            expected.status, expected.code, decision.status, decision.code, decision.message
        ));
        return found;
    }
    if let Some(standing) = expected.metric {
        match baseline.and_then(|baseline| Standing::of(task, decision, baseline)) {
            Some(observed) if observed == standing => {}
            Some(observed) => found.push(format!(
                "expected metrics {standing:?} against the baseline, they are {observed:?}"
            )),
            None => found.push("there are no metrics to compare with the baseline's".to_owned()),
        }
    }
    found
}
