//! From a report to a statement: claims apart from observations.

use std::collections::BTreeMap;

use protocol::receipt::{
    ClaimedOutcome, Claims, HostFacts, Observations, PREDICATE_TYPE, Predicate, STATEMENT_TYPE,
    Signer, StageFacts, Statement, Subject, Text,
};
use protocol::report::StageReport;
use protocol::{Decimal, ReplaySpec, Report, Sha256Digest};

use super::ReceiptError;

/// The statement of one replay: what `report` says of `spec`, by `signer`.
/// `finished_at_unix` is in Unix seconds, by this host's clock.
///
/// The report's message, notes and output stay out of it: they are no evidence,
/// and may hold what is not for everybody. Digests and lengths of output stand in.
///
/// # Errors
/// [`ReceiptError::OtherSpec`] when the report is not of this spec,
/// [`ReceiptError::NotFinite`] for a time that is no number.
pub fn statement(
    spec: &ReplaySpec,
    report: &Report,
    host: HostFacts,
    signer: Signer,
    finished_at_unix: u64,
) -> Result<Statement, ReceiptError> {
    Ok(Statement {
        statement_type: STATEMENT_TYPE.to_owned(),
        subject: subjects(spec, report),
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: Predicate {
            claims: claims(spec, report)?,
            observations: observations(report, host, finished_at_unix)?,
            signer,
        },
    })
}

/// What honest validators must agree on about the replay of `spec`.
///
/// # Errors
/// [`ReceiptError::OtherSpec`] when the report is not of this spec.
pub fn claims(spec: &ReplaySpec, report: &Report) -> Result<Claims, ReceiptError> {
    let spec_digest = spec.digest();
    let same_commit = report
        .base_commit
        .is_none_or(|commit| commit == spec.base_commit);
    if report.spec_digest != Some(spec_digest) || !same_commit {
        return Err(ReceiptError::OtherSpec);
    }
    Ok(Claims {
        spec_digest,
        base_commit: spec.base_commit,
        patched_tree: report.patched_tree,
        image: report.image.clone(),
        outcome: ClaimedOutcome {
            status: report.status,
            code: report.code,
        },
        metrics: metrics(report),
        result_digest: report.result_digest,
    })
}

fn subjects(spec: &ReplaySpec, report: &Report) -> Vec<Subject> {
    let patch = spec.patch.as_ref();
    let artifact = spec.artifact.as_ref();
    [
        patch.and_then(|patch| Subject::new(Subject::PATCH, &patch.sha256)),
        artifact.and_then(|artifact| Subject::new(Subject::ARTIFACT, &artifact.sha256)),
        Subject::new(Subject::BASE_COMMIT, &spec.base_commit),
        report
            .patched_tree
            .and_then(|tree| Subject::new(Subject::PATCHED_TREE, &tree)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn metrics(report: &Report) -> BTreeMap<String, Text<Decimal>> {
    let metrics = report.observed_metrics.iter();
    metrics
        .map(|(name, value)| (name.clone(), Text(value.clone())))
        .collect()
}

fn observations(
    report: &Report,
    host: HostFacts,
    finished_at_unix: u64,
) -> Result<Observations, ReceiptError> {
    let repeats = report.spread.iter().map(|(name, spread)| {
        let values = spread.values.iter().cloned().map(Text).collect();
        (name.clone(), values)
    });
    Ok(Observations {
        fault: report.fault,
        finished_at: Text(finished_at_unix),
        total_seconds: seconds("total_seconds", report.timing.total_seconds)?,
        overhead_seconds: seconds("overhead_seconds", report.timing.overhead_seconds)?,
        stages: report.stages.iter().map(stage).collect::<Result<_, _>>()?,
        repeats: repeats.collect(),
        host,
    })
}

fn stage(stage: &StageReport) -> Result<StageFacts, ReceiptError> {
    let limits = [
        ("time", stage.timed_out),
        ("memory", stage.oom_killed),
        ("workspace", stage.workspace_full),
    ];
    let limits_hit = limits.into_iter().filter(|(_, hit)| *hit);
    Ok(StageFacts {
        name: stage.name.clone(),
        pass: Text(stage.pass),
        exit_code: stage.exit_code.map(Text),
        wall_seconds: seconds("wall_seconds", stage.wall_seconds)?,
        cpu_seconds: seconds("cpu_seconds", stage.cpu_seconds)?,
        peak_memory_bytes: Text(stage.peak_memory_bytes),
        limits_hit: limits_hit.map(|(name, _)| name.to_owned()).collect(),
        output_bytes: Text(stage.output_bytes),
        kept_output_bytes: Text(stage.output.len() as u64),
        kept_output_sha256: Sha256Digest::of(stage.output.as_bytes()),
        truncated: stage.output_truncated,
    })
}

fn seconds(field: &'static str, value: f64) -> Result<Text<Decimal>, ReceiptError> {
    Decimal::from_f64(value)
        .map(Text)
        .ok_or(ReceiptError::NotFinite(field))
}
