//! What a coordinator's answers hold. A field that is missing, or is another
//! type, makes the job unusable and nothing else.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::error::ClientError;

/// More than a coordinator of ours ever sends at once.
const MOST_JOBS: usize = 1000;

/// What there is to do.
#[derive(Debug)]
pub enum Work {
    /// A worklist; nothing of it is leased.
    List(Vec<WireJob>),
    /// One job, leased.
    One(Box<WireJob>),
}

/// A job as it came, its ids checked and nothing else.
#[derive(Debug, Clone)]
pub struct WireJob {
    /// Under which the result is posted.
    pub job_id: String,
    /// What it is about.
    pub submission_id: String,
    /// The whole job as JSON.
    pub document: String,
    /// The task, if it says so.
    pub task_id: String,
    /// When the submission came, in Unix seconds; 0 if it does not say.
    pub created_at: u64,
    /// When the lease ends, as the coordinator told it.
    pub lease_expires_at: Option<String>,
}

/// What a validator's row says. Older coordinators call a row that waits by
/// other names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    /// Decided by this validator.
    Accepted,
    /// Decided by this validator.
    Rejected,
    /// This validator could not decide.
    Error,
    /// Anything else: nothing was posted yet.
    Open,
}

/// A row of `GET /api/v1/verifications`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowView {
    /// The job's id.
    pub id: String,
    /// What it says.
    pub status: JobStatus,
    /// The metrics that it holds, canonical.
    pub observed_metrics: Option<String>,
}

#[derive(Deserialize)]
struct RawList<'a> {
    #[serde(borrow)]
    jobs: Vec<&'a RawValue>,
}

fn protocol(problem: &str) -> ClientError {
    ClientError::Protocol(problem.to_owned())
}

/// A worklist, or one job: which, the answer itself tells.
pub(super) fn work(answer: &str) -> Result<Work, ClientError> {
    if let Ok(list) = serde_json::from_str::<RawList>(answer) {
        let jobs = list.jobs.iter().take(MOST_JOBS);
        // One job that cannot be read hides no other.
        return Ok(Work::List(jobs.filter_map(|raw| job(raw.get())).collect()));
    }
    job(answer)
        .map(|job| Work::One(Box::new(job)))
        .ok_or_else(|| protocol("neither a worklist nor a job"))
}

/// The ids of a job must be UUIDs: they go into paths and into the spool.
fn job(document: &str) -> Option<WireJob> {
    #[derive(Deserialize)]
    struct Outer {
        job_id: uuid::Uuid,
        submission_id: Option<uuid::Uuid>,
        submission: Inner,
        lease_expires_at: Option<Value>,
    }
    #[derive(Deserialize)]
    struct Inner {
        id: Option<uuid::Uuid>,
        task_id: Option<uuid::Uuid>,
        created_at: Option<Value>,
    }
    let outer: Outer = match serde_json::from_str(document) {
        Ok(outer) => outer,
        Err(error) => {
            tracing::warn!(%error, "a job of the worklist is unreadable and is passed over");
            return None;
        }
    };
    let submission_id = outer.submission_id.or(outer.submission.id)?;
    if outer.submission.id.is_some_and(|id| id != submission_id) {
        tracing::warn!(%submission_id, "a job names two submissions and is passed over");
        return None;
    }
    let text = |value: Option<Value>| value.as_ref().and_then(Value::as_str).map(str::to_owned);
    Some(WireJob {
        job_id: outer.job_id.to_string(),
        submission_id: submission_id.to_string(),
        document: document.to_owned(),
        task_id: outer
            .submission
            .task_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        created_at: text(outer.submission.created_at)
            .and_then(|text| super::super::clock::from_rfc3339(&text))
            .unwrap_or(0),
        lease_expires_at: text(outer.lease_expires_at),
    })
}

pub(super) fn lease_end(answer: &str) -> Option<String> {
    let answer: Map<String, Value> = serde_json::from_str(answer).ok()?;
    answer
        .get("lease_expires_at")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

pub(super) fn is_pending(answer: &str) -> Result<bool, ClientError> {
    let answer: Map<String, Value> =
        serde_json::from_str(answer).map_err(|_| protocol("a submission that is no object"))?;
    let status = answer.get("status").and_then(Value::as_str);
    status
        .map(|status| status == "pending_verification")
        .ok_or_else(|| protocol("a submission without a status"))
}

pub(super) fn row(answer: &str) -> Result<RowView, ClientError> {
    let value: Value =
        serde_json::from_str(answer).map_err(|_| protocol("a row that is no JSON"))?;
    read_row(&value).ok_or_else(|| protocol("a row without an id and a status"))
}

pub(super) fn rows(answer: &str) -> Result<Vec<RowView>, ClientError> {
    let values: Vec<Value> =
        serde_json::from_str(answer).map_err(|_| protocol("verifications that are no list"))?;
    Ok(values.iter().filter_map(read_row).collect())
}

/// The submissions of rows that `hotkey` holds and has not answered, each with its
/// job's id.
pub(super) fn held(answer: &str, hotkey: &str) -> Result<Vec<(String, String)>, ClientError> {
    let values: Vec<Value> =
        serde_json::from_str(answer).map_err(|_| protocol("verifications that are no list"))?;
    let id = |row: &Value, name: &str| {
        let id: uuid::Uuid = row.get(name)?.as_str()?.parse().ok()?;
        Some(id.to_string())
    };
    let ours = values.iter().filter(|row| {
        let text = |name| row.get(name).and_then(Value::as_str);
        text("validator_hotkey") == Some(hotkey) && text("status") == Some("leased")
    });
    let ids = ours.filter_map(|row| Some((id(row, "id")?, id(row, "submission_id")?)));
    Ok(ids.take(MOST_JOBS).collect())
}

fn read_row(value: &Value) -> Option<RowView> {
    let id: uuid::Uuid = value.get("id")?.as_str()?.parse().ok()?;
    let status = match value.get("status")?.as_str()? {
        "accepted" => JobStatus::Accepted,
        "rejected" => JobStatus::Rejected,
        "error" => JobStatus::Error,
        _ => JobStatus::Open,
    };
    Some(RowView {
        id: id.to_string(),
        status,
        observed_metrics: value.get("observed_metrics").and_then(|metrics| {
            protocol::canonical_json::canonicalize(metrics.to_string().as_bytes()).ok()
        }),
    })
}

pub(super) fn task_by_slug(answer: &str, slug: &str) -> Result<Option<String>, ClientError> {
    let tasks: Vec<Value> =
        serde_json::from_str(answer).map_err(|_| protocol("tasks that are no list"))?;
    let found = tasks
        .iter()
        .find(|task| task.get("slug").and_then(Value::as_str) == Some(slug))
        .and_then(|task| task.get("id")?.as_str()?.parse::<uuid::Uuid>().ok());
    Ok(found.map(|id| id.to_string()))
}
