//! Jobs: who may replay what, for how long, and what comes back.
//!
//! A job is one validator's replay of one submission. Its id follows from both,
//! so that a worklist can be read without writing, a result that is posted
//! twice meets its own row, and nobody can post under another's id.

use protocol::outcome::Control;
use protocol::task::Redactor;
use protocol::{Code, Fault, Outcome, ReplaySpec, Status, Task};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{decide, receipts};
use crate::error::{ApiError, ApiResult};
use crate::rules::consensus::Metrics;
use crate::store::events::{self, Cause, Event};
use crate::store::rows::{
    JsonText, SubmissionRow, SubmissionStatus, VerificationRow, VerificationStatus,
};
use crate::store::verifications::{self, Posted, Wanted};
use crate::store::{Conn, Dialect, submissions, tasks};
use crate::time::Timestamp;

/// The id of a validator's job for a submission.
pub fn job_id(submission_id: &str, hotkey: &str) -> String {
    let digest = Sha256::digest(format!("job\n{submission_id}\n{hotkey}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes)
        .into_uuid()
        .to_string()
}

/// How often a lost race for a row is tried again before "nothing to do".
const ATTEMPTS: usize = 8;

/// Leases the oldest submission that wants a replay by this validator.
pub async fn claim(
    conn: &mut Conn,
    dialect: Dialect,
    wanted: &Wanted,
    lease_seconds: i64,
    cause: &Cause,
) -> ApiResult<Option<SubmissionRow>> {
    for _ in 0..ATTEMPTS {
        let Some(found) = verifications::next(conn, dialect, wanted).await? else {
            return Ok(None);
        };
        // The query that found it may have read the leases before the one who held
        // the row until now committed another.
        if !verifications::has_place(conn, wanted, &found.id).await? {
            continue;
        }
        let id = job_id(&found.id, &wanted.hotkey);
        let until = wanted.now.plus_seconds(lease_seconds);
        verifications::lease(conn, &id, &found, &wanted.hotkey, wanted.now, until).await?;
        let event = Event {
            action: "job.leased",
            subject: &found.id,
            task_id: Some(&found.task_id),
        };
        events::record(conn, cause, event, &json!({"job_id": id, "until": until})).await?;
        return Ok(Some(found));
    }
    Ok(None)
}

/// Extends a lease. A lost one is won back if nobody took the place.
pub async fn heartbeat(
    conn: &mut Conn,
    id: &str,
    wanted: Wanted,
    lease_seconds: i64,
    cause: &Cause,
) -> ApiResult<Timestamp> {
    let job = verifications::find(conn, id)
        .await?
        .ok_or_else(|| no_job(id))?;
    if job.validator_hotkey != wanted.hotkey {
        return Err(not_yours());
    }
    let submission = submissions::lock(conn, &job.submission_id).await?;
    if submission.status != SubmissionStatus::PendingVerification {
        return Err(decided());
    }
    let now = wanted.now;
    let job = verifications::find(conn, id)
        .await?
        .ok_or_else(|| no_job(id))?;
    let holds = job.status == VerificationStatus::Leased
        && (job.lease_expires_at > now
            || verifications::has_place(conn, &wanted, &submission.id).await?);
    let until = now.plus_seconds(lease_seconds);
    if holds && verifications::renew(conn, id, now, until).await? {
        // Of the job and not of the submission, whose life line a long replay would
        // fill with nothing else.
        let event = Event {
            action: "job.renewed",
            subject: id,
            task_id: Some(&submission.task_id),
        };
        let detail = json!({"submission_id": submission.id, "until": until});
        events::record(conn, cause, event, &detail).await?;
        return Ok(until);
    }
    Err(ApiError::conflict(
        "lease_lost",
        "the lease ended, and the place is taken or done",
    ))
}

/// A posted result, its fields checked one by one.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields of the wire")]
pub struct Observation {
    pub submission_id: String,
    pub status: Status,
    pub outcome_code: Option<Code>,
    pub fault: Option<Fault>,
    pub observed_metrics: Metrics,
    pub patched_tree: Option<String>,
    pub notes: String,
    pub replay_log: String,
    pub receipt: Option<String>,
    pub spec_digest: Option<protocol::Sha256Digest>,
    pub image: Option<String>,
}

/// Records a result and decides what it settles. Returns the job's row.
pub async fn post(
    conn: &mut Conn,
    id: &str,
    hotkey: &str,
    seen: Observation,
    cause: &Cause,
) -> ApiResult<VerificationRow> {
    let submission = submissions::lock(conn, &seen.submission_id).await?;
    let existing = verifications::find(conn, id).await?;
    if id != job_id(&submission.id, hotkey) {
        return Err(if existing.is_some() {
            not_yours()
        } else {
            no_job(id)
        });
    }
    let row = tasks::get(conn, &submission.task_id).await?;
    let task = decide::task_of(&row)?;
    let seen = without_secrets(seen, &task);
    let digest = cause.request_digest.clone().unwrap_or_default();
    if let Some(row) = existing
        .as_ref()
        .filter(|row| row.status != VerificationStatus::Leased)
        && let Some(answer) = repeated(row, &task, &seen, &digest)?
    {
        return Ok(answer);
    }
    if submission.status != SubmissionStatus::PendingVerification {
        return Err(decided());
    }
    check(conn, &task, &submission, hotkey, &seen).await?;
    if existing.is_none() {
        // Worked from the worklist, without a lease.
        verifications::lease(conn, id, &submission, hotkey, cause.at, cause.at).await?;
    }
    let attempts = existing.map_or(0, |row| row.attempts);
    verifications::post(
        conn,
        id,
        &posted(&seen, digest, attempts, cause.at),
        cause.at,
    )
    .await?;
    let event = Event {
        action: "result.posted",
        subject: &submission.id,
        task_id: Some(&submission.task_id),
    };
    let detail = json!({
        "job_id": id, "status": seen.status, "outcome_code": seen.outcome_code,
        "fault": seen.fault, "observed_metrics": JsonText::of(&seen.observed_metrics).0,
    });
    events::record(conn, cause, event, &detail).await?;
    decide::by_validators(conn, &row, &submission, cause).await?;
    verifications::find(conn, id)
        .await?
        .ok_or_else(|| no_job(id))
}

/// `seen`, whose texts everybody may read, without what the task keeps private.
fn without_secrets(seen: Observation, task: &Task) -> Observation {
    let redactor = Redactor::of(task);
    Observation {
        notes: redactor.clean(&seen.notes),
        replay_log: redactor.clean(&seen.replay_log),
        ..seen
    }
}

/// The row again, if this is what it already says, by the values of the task's own
/// metrics; 409 if a decided row would be said otherwise. `None` lets a validator
/// decide after its own error.
fn repeated(
    row: &VerificationRow,
    task: &Task,
    seen: &Observation,
    digest: &str,
) -> ApiResult<Option<VerificationRow>> {
    if row.result_digest.as_deref() == Some(digest) {
        return Ok(Some(row.clone()));
    }
    if row.status == VerificationStatus::Error {
        return Ok(None);
    }
    let before: Metrics = row.observed_metrics.read();
    let is_same = |name: &str| match (before.get(name), seen.observed_metrics.get(name)) {
        (Some(before), Some(now)) => before.compare(now).is_eq(),
        (before, now) => before.is_none() && now.is_none(),
    };
    if row.status.as_str() == seen.status.to_string() && task.metric_names().all(is_same) {
        return Ok(Some(row.clone()));
    }
    Err(ApiError::conflict(
        "result_differs",
        "this validator has posted another result for this job",
    ))
}

async fn check(
    conn: &mut Conn,
    task: &Task,
    submission: &SubmissionRow,
    hotkey: &str,
    seen: &Observation,
) -> ApiResult<()> {
    if task.competition_mode == protocol::task::CompetitionMode::PeerEvaluation {
        return Err(ApiError::conflict(
            "peers_decide",
            "peers decide this task's submissions",
        ));
    }
    if seen.status == Status::Accepted {
        metric_problems(task, &seen.observed_metrics)?;
    }
    if seen.spec_digest.is_none() && seen.receipt.is_none() {
        return Ok(());
    }
    let spec = submissions::content(conn, &submission.id).await?.spec;
    let spec: ReplaySpec = serde_json::from_str(&spec)
        .map_err(|error| ApiError::Internal(format!("a spec is unreadable: {error}")))?;
    if let Some(digest) = seen.spec_digest
        && !crate::rules::freeze::is_digest_of(&spec, digest, seen.image.as_deref())
    {
        let detail = format!("is not the frozen spec {}", submission.spec_digest);
        return Err(ApiError::field("spec_digest", detail));
    }
    if let Some(receipt) = &seen.receipt {
        receipts::check(receipt, hotkey, &spec, seen)?;
    }
    Ok(())
}

/// An accepted result has every metric of the task, within its honest range.
pub fn metric_problems(task: &Task, metrics: &Metrics) -> ApiResult<()> {
    let ranges = [&task.metric_range, &task.secondary_metric_range];
    let mut found = Vec::new();
    for (name, range) in task.metric_names().zip(ranges) {
        let problem = match metrics.get(name) {
            None => "is missing, or no number; an accepted result has every metric of the task"
                .to_owned(),
            Some(value) if !range.contains(value) => {
                format!("{value} is outside the range that the task declares")
            }
            Some(_) => continue,
        };
        found.push(protocol::task::FieldError {
            field: format!("observed_metrics.{name}"),
            problem,
        });
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(ApiError::Fields(found))
}

/// Whether a code can end with this status, whatever the control did.
pub fn code_fits(code: Code, status: Status) -> bool {
    [Control::Passed, Control::Failed]
        .iter()
        .any(|control| Outcome::of(code, Some(*control)).status == status)
}

/// How long a validator waits after its own error: longer each time.
fn retry_at(attempts: i64, now: Timestamp) -> Timestamp {
    let doublings = u32::try_from(attempts.clamp(0, 7)).unwrap_or(7);
    now.plus_seconds(30 * i64::from(2u32.pow(doublings)))
}

fn posted(seen: &Observation, digest: String, attempts: i64, now: Timestamp) -> Posted {
    let is_error = seen.status == Status::Error;
    // Older clients name no fault: what they call an error is a failed
    // benchmark, and it takes two of those to end a submission.
    let fault = seen.fault.or_else(|| {
        seen.outcome_code
            .and_then(|code| Outcome::of(code, None).fault)
    });
    Posted {
        status: match seen.status {
            Status::Accepted => "accepted",
            Status::Rejected => "rejected",
            Status::Error => "error",
        },
        outcome_code: seen.outcome_code.map(|code| code.to_string()),
        fault: fault
            .filter(|_| seen.status != Status::Accepted)
            .map(|fault| fault.to_string()),
        observed_metrics: JsonText::of(&seen.observed_metrics),
        patched_tree: seen.patched_tree.clone(),
        notes: seen.notes.clone(),
        replay_log: seen.replay_log.clone(),
        receipt: seen.receipt.clone().map(JsonText),
        result_digest: digest,
        retry_at: if is_error {
            retry_at(attempts, now)
        } else {
            now
        },
        is_submission_fault: is_error && matches!(fault, None | Some(Fault::Submission)),
    }
}

fn no_job(id: &str) -> ApiError {
    ApiError::not_found("job_not_found", format!("no job {id} of this validator"))
}

fn not_yours() -> ApiError {
    ApiError::conflict(
        "job_of_another",
        "the job is another validator's or of another submission",
    )
}

fn decided() -> ApiError {
    ApiError::conflict("submission_decided", "the submission is decided")
}
