//! The verdict on a task, and everything that it rests on.

use std::time::Duration;

use protocol::{CommitId, Decimal, Sha256Digest, TreeId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::agreement::{Needed, needed};
use super::campaign::{Campaign, Tried};
use super::diagnosis::Finding;
use super::digits;
use super::lab::Lab;
use super::observation::Aspect;
use super::statistics::{median, median_interval, relative, width};
use super::variation::{Reach, Variation};
use crate::spec::Request;

/// Whether validators will agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The outcome and every metric are the same in every run.
    Deterministic,
    /// They vary, and less than the task tolerates.
    Stable,
    /// They vary by more than the task tolerates, or with what was changed.
    NotDeterministic,
}

impl Verdict {
    /// The exit status that `replay-runner check` promises to scripts.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Deterministic | Self::Stable => 0,
            Self::NotDeterministic => 3,
        }
    }
}

/// One metric over the repeats.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MetricChecked {
    /// Its name.
    pub name: String,
    /// Whether the supervisor measures it, so that it always varies.
    pub measured: bool,
    /// Each run's value in the usual surroundings.
    #[serde(deserialize_with = "digits::each")]
    pub values: Vec<Decimal>,
    /// The middle value.
    pub median: f64,
    /// The largest difference, relative to the median.
    pub relative_spread: f64,
    /// The bounds between which the median lies with 95 % confidence.
    pub median_interval: (f64, f64),
    /// What honest validators need to agree, for some numbers of repeats; empty
    /// if all values are equal.
    pub needed: Vec<Needed>,
    /// Whether the values vary by less than the task tolerates.
    pub verdict: Verdict,
}

/// What came of a variation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VariationStatus {
    /// Nothing changed.
    Same,
    /// The outcome or a metric changed.
    Changed,
    /// Only files or output changed.
    ChangedDetails,
    /// Repeats alone differ, so that nothing could be seen to change.
    DiffersAnyway,
    /// Repeats alone differ, and with this they agree.
    MadeSteady,
    /// It could not be made here.
    NotMade,
}

/// One variation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VariationChecked {
    /// Its name; `all-at-once` for all together.
    pub name: String,
    /// What was changed.
    pub changes: String,
    /// Whether honest hosts can differ in it.
    pub reach: Reach,
    /// What came of it.
    pub status: VariationStatus,
    /// Why it was not made.
    pub reason: Option<String>,
    /// How many runs there were.
    pub runs: usize,
    /// What changed.
    pub changed: Vec<Aspect>,
}

/// What the check cost.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Tally {
    /// From start to end.
    pub seconds: f64,
    /// How many runs there were in all.
    pub runs: usize,
}

/// Everything that a check found: the object of `check --format json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checked {
    /// The version of this shape; fields are added, never renamed.
    pub schema_version: u32,
    /// The task's slug.
    pub task: String,
    /// Whether validators will agree.
    pub verdict: Verdict,
    /// The outcome code of the first run.
    pub code: protocol::Code,
    /// The digest of what was replayed.
    pub spec_digest: Sha256Digest,
    /// The pinned commit.
    pub base_commit: CommitId,
    /// The submission's content identity.
    pub patched_tree: TreeId,
    /// The image's id.
    pub image: String,
    /// How far the task lets repeats and validators differ.
    #[serde(deserialize_with = "digits::option")]
    pub tolerance: Option<Decimal>,
    /// How often a replay of the task runs its benchmark.
    pub task_repeats: u32,
    /// How many repeats the check made.
    pub repeats: usize,
    /// The metrics, deciding one first.
    pub metrics: Vec<MetricChecked>,
    /// What was changed.
    pub variations: Vec<VariationChecked>,
    /// Why replays differ; what decides first.
    pub findings: Vec<Finding>,
    /// What it cost.
    pub tally: Tally,
    /// When the check was over: RFC 3339, UTC, to the second.
    pub made_at: String,
    /// Whether this is an earlier check's report, and nothing was replayed for it.
    pub reused: bool,
}

impl Checked {
    /// The version of this shape.
    pub const SCHEMA_VERSION: u32 = 1;
}

/// Judges what was run.
pub(crate) fn judge(
    lab: &Lab<'_>,
    request: &Request,
    campaign: &Campaign,
    mut findings: Vec<Finding>,
    elapsed: Duration,
) -> Checked {
    let spec = &lab.spec;
    let tolerance = spec.tolerance.as_ref().map_or(0.0, Decimal::value);
    let metrics: Vec<MetricChecked> = spec
        .metrics
        .iter()
        .filter_map(|metric| {
            let values: Option<Vec<Decimal>> = campaign.plain[..campaign.repeats]
                .iter()
                .map(|run| run.metrics.get(&metric.name).cloned())
                .collect();
            let values = values?;
            Some(measured(
                &metric.name,
                metric.is_supervised(),
                values,
                spec.repeats,
                tolerance,
            ))
        })
        .collect();
    for finding in &mut findings {
        finding.decides = finding
            .aspects
            .iter()
            .any(|aspect| breaks(campaign, &metrics, aspect, tolerance));
    }
    findings.sort_by_key(|finding| !finding.decides);
    let scatter = metrics.iter().map(|metric| metric.verdict).max();
    let verdict = if findings.iter().any(|finding| finding.decides) {
        Verdict::NotDeterministic
    } else {
        scatter.unwrap_or(Verdict::Deterministic)
    };
    let runs = campaign.plain.len()
        + campaign
            .tried
            .iter()
            .map(|one| one.runs().len())
            .sum::<usize>();
    Checked {
        schema_version: Checked::SCHEMA_VERSION,
        task: request.task.slug.clone(),
        verdict,
        code: campaign.plain[0].code,
        spec_digest: spec.digest(),
        base_commit: spec.base_commit,
        patched_tree: lab.patched_tree(),
        image: spec.image.clone(),
        tolerance: spec.tolerance.clone(),
        task_repeats: spec.repeats,
        repeats: campaign.repeats,
        metrics,
        variations: campaign
            .tried
            .iter()
            .map(|tried| summary(campaign, tried))
            .collect(),
        findings,
        tally: Tally {
            seconds: elapsed.as_secs_f64(),
            runs,
        },
        made_at: now(),
        reused: false,
    }
}

/// This moment by this host's clock; nothing if its year has five digits.
fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let second = now.replace_nanosecond(0).unwrap_or(now);
    second.format(&Rfc3339).unwrap_or_default()
}

fn measured(
    name: &str,
    is_measured: bool,
    values: Vec<Decimal>,
    repeats: u32,
    tolerance: f64,
) -> MetricChecked {
    let numbers: Vec<f64> = values.iter().map(Decimal::value).collect();
    let middle = median(&numbers);
    let relative_spread = relative(width(&numbers), middle);
    let mut counts = vec![1, 3, repeats];
    counts.sort_unstable();
    counts.dedup();
    let all: Vec<Needed> = counts
        .iter()
        .map(|count| needed(&numbers, *count))
        .collect();
    let of_task = all.iter().find(|needed| needed.repeats == repeats);
    let verdict = if relative_spread == 0.0 {
        Verdict::Deterministic
    } else if of_task.is_some_and(|needed| needed.tolerance_estimate <= tolerance) {
        Verdict::Stable
    } else {
        Verdict::NotDeterministic
    };
    MetricChecked {
        name: name.to_owned(),
        measured: is_measured,
        values,
        median: middle,
        relative_spread,
        median_interval: median_interval(&numbers),
        needed: if relative_spread == 0.0 {
            Vec::new()
        } else {
            all
        },
        verdict,
    }
}

/// Whether validators disagree for what happens to `aspect`: any change of the
/// outcome, and a metric that leaves the tolerance.
fn breaks(campaign: &Campaign, metrics: &[MetricChecked], aspect: &Aspect, tolerance: f64) -> bool {
    let name = match aspect {
        Aspect::Outcome => return true,
        Aspect::Metric(name) => name,
        _ => return false,
    };
    let Some(metric) = metrics.iter().find(|metric| metric.name == *name) else {
        return true;
    };
    if metric.verdict == Verdict::NotDeterministic {
        return true;
    }
    let every_run = campaign
        .plain
        .iter()
        .chain(campaign.tried.iter().flat_map(Tried::runs));
    every_run
        .into_iter()
        .any(|run| match run.metrics.get(name) {
            Some(value) => {
                relative((value.value() - metric.median).abs(), metric.median) > tolerance
            }
            None => false,
        })
}

fn summary(campaign: &Campaign, tried: &Tried) -> VariationChecked {
    let aspects = campaign.aspects();
    let changed: Vec<Aspect> = aspects
        .iter()
        .filter(|aspect| {
            let wavers = aspect.decides() && tried.wavers(aspect);
            !campaign.is_unsteady(aspect) && (wavers || campaign.changes(tried, aspect))
        })
        .cloned()
        .collect();
    let mut unsteady = aspects
        .iter()
        .filter(|aspect| aspect.decides() && campaign.is_unsteady(aspect))
        .peekable();
    let status = if tried.result.is_err() {
        VariationStatus::NotMade
    } else if changed.iter().any(Aspect::decides) {
        VariationStatus::Changed
    } else if unsteady.peek().is_some() {
        if unsteady.any(|aspect| campaign.cures(tried, aspect)) {
            VariationStatus::MadeSteady
        } else {
            VariationStatus::DiffersAnyway
        }
    } else if changed.is_empty() {
        VariationStatus::Same
    } else {
        VariationStatus::ChangedDetails
    };
    VariationChecked {
        name: tried.name().to_owned(),
        changes: tried
            .variation
            .map_or(
                "everything of the above that could be made",
                Variation::changes,
            )
            .to_owned(),
        reach: tried
            .variation
            .map_or(Reach::DiffersBetweenHosts, Variation::reach),
        status,
        reason: tried.result.as_ref().err().cloned(),
        runs: tried.runs().len(),
        changed,
    }
}
