//! Accepted submissions in the order of their task's ranking.

use std::cmp::Ordering;

use protocol::Task;

use crate::rules::consensus::Metrics;
use crate::rules::ranking::{Entry, Ranking};
use crate::store::rows::SubmissionRow;

/// A submission as the ranking sees it; `None` if it has no observed metric.
pub fn entry(ranking: Ranking, task: &Task, row: &SubmissionRow) -> Option<Entry> {
    let metrics: Metrics = row.observed_metrics.as_ref()?.read();
    ranking.entry(task, &row.id, &metrics, row.created_at)
}

/// Sorts best first; of a frontier, by the first metric. What cannot be ranked
/// comes last.
pub fn sort(task: &Task, rows: &mut [SubmissionRow]) {
    let ranking = Ranking::of(task);
    let rank = |one: &SubmissionRow, other: &SubmissionRow| match (
        entry(ranking, task, one),
        entry(ranking, task, other),
    ) {
        (Some(one), Some(other)) => ranking.order(&one, &other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.id.cmp(&other.id),
    };
    rows.sort_by(rank);
}
