//! What validators fetch, and what they post.

use axum::Json;
use axum::extract::State;
use protocol::{Code, CommitId, Fault, Status, Task, TreeId};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::openapi::Problem;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::flow::decide::task_of;
use crate::flow::jobs::{self, Observation, code_fits};
use crate::http::auth::Validator;
use crate::http::body::{RESULT, SMALL};
use crate::http::fields::Fields;
use crate::http::pages::Id;
use crate::store::rows::{JsonText, SubmissionRow, VerificationRow};
use crate::store::verifications::{self, Wanted};
use crate::store::{Conn, submissions, tasks};
use crate::time::Timestamp;

/// The most jobs of one worklist.
const WORKLIST: i64 = 100;
/// The most bytes of patches in one worklist, once it has a job.
const WORKLIST_BYTES: i64 = 16 << 20;

/// A job: what to replay, and how.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
pub struct Job {
    /// Under which the result is posted.
    job_id: String,
    submission_id: String,
    /// The submission with its patch.
    submission: super::submissions::SubmissionView,
    /// The task's rules, private inputs included.
    #[schema(value_type = Object)]
    replay_spec: JsonText,
    /// The frozen spec that `spec_digest` is of.
    #[schema(value_type = Object)]
    spec: JsonText,
    spec_digest: String,
    /// When the lease ends; absent in a worklist.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_expires_at: Option<Timestamp>,
}

/// What a validator has not decided.
#[derive(Debug, Serialize, ToSchema)]
pub struct Worklist {
    jobs: Vec<Job>,
}

/// Narrows what is asked for; may be left out.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; the fields are read one by one"
)]
pub struct WorkRequest {
    /// Only this task.
    #[schema(format = Uuid)]
    task_id: Option<String>,
    /// Only the task of this slug.
    #[schema(max_length = 120)]
    task_slug: Option<String>,
    /// Only this submission.
    #[schema(format = Uuid)]
    submission_id: Option<String>,
    /// At most so many jobs of a worklist, and never more than 100.
    #[schema(minimum = 1)]
    limit: Option<i64>,
}

/// What a validator observed.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; the fields are read one by one"
)]
pub struct ResultRequest {
    #[schema(format = Uuid)]
    submission_id: String,
    /// `accepted`, `rejected` or `error`.
    #[schema(pattern = "^(accepted|rejected|error)$")]
    status: String,
    /// What is no number is left out.
    observed_metrics: Option<std::collections::HashMap<String, f64>>,
    /// Of more than 20,000 characters, its start and its end are kept.
    notes: Option<String>,
    /// Of more than 4,000,000 characters, its start and its end are kept.
    replay_log: Option<String>,
    /// A stable dotted code.
    outcome_code: Option<String>,
    /// `submission`, `task` or `validator`.
    fault: Option<String>,
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    spec_digest: Option<String>,
    /// The id of the image that ran, if `spec_digest` is of the spec with it.
    image: Option<String>,
    /// The id of the tree after the patch.
    #[schema(pattern = "^[0-9a-f]{40}$")]
    patched_tree: Option<String>,
    /// A DSSE envelope.
    receipt: Option<serde_json::Value>,
}

/// When a lease ends now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Lease {
    job_id: String,
    #[schema(value_type = String, format = DateTime)]
    lease_expires_at: Timestamp,
}

fn wanted(app: &App, hotkey: &str, fields: &mut Fields) -> Wanted {
    let now = app.clock.now();
    Wanted {
        hotkey: hotkey.to_owned(),
        since: now.plus_seconds(-app.settings.worklist_days * 86_400),
        now,
        task_id: fields.optional_uuid("task_id").unwrap_or_default(),
        submission_id: fields.optional_uuid("submission_id").unwrap_or_default(),
        task_slug: fields
            .optional_text("task_slug", 0, 120)
            .unwrap_or_default(),
    }
}

/// A task's rules as existing clients read them, with what is private: this goes
/// to a validator whose signature was just checked, and nowhere else.
fn replay_spec(task: &Task, base_commit: &str) -> JsonText {
    let base: Option<CommitId> = base_commit.parse().ok();
    let mut spec = serde_json::to_value(task).unwrap_or_default();
    if let Some(object) = spec.as_object_mut() {
        for prose in ["slug", "title", "brief", "onboard_md"] {
            object.remove(prose);
        }
        for optional in [
            "setup_command",
            "result_path",
            "secondary_metric_name",
            "secondary_metric_direction",
        ] {
            object.entry(optional).or_insert(serde_json::Value::Null);
        }
        object.insert("base_commit_sha".to_owned(), json!(base));
    }
    JsonText::of(&spec)
}

async fn job(
    conn: &mut Conn,
    submission: SubmissionRow,
    hotkey: &str,
    lease_expires_at: Option<Timestamp>,
) -> ApiResult<Job> {
    let row = tasks::get(conn, &submission.task_id).await?;
    let content = submissions::content(conn, &submission.id).await?;
    Ok(Job {
        job_id: jobs::job_id(&submission.id, hotkey),
        submission_id: submission.id.clone(),
        replay_spec: replay_spec(&task_of(&row)?, &row.base_commit),
        spec: JsonText(content.spec),
        spec_digest: submission.spec_digest.clone(),
        submission: super::submissions::SubmissionView {
            submission,
            patch: content.patch,
        },
        lease_expires_at,
    })
}

/// The worklist: everything recent that this validator has not decided, oldest
/// first. Nothing is leased by it.
#[utoipa::path(post, path = "/api/v1/validator/submissions/scan", tag = "validators", security(("hotkey" = [])),
    request_body(content = Option<WorkRequest>),
    responses((status = 200, description = "The worklist", body = Worklist)))]
pub async fn scan(
    State(app): State<App>,
    Validator(signed): Validator<SMALL>,
) -> ApiResult<Json<Worklist>> {
    let mut fields = signed.fields_if_any()?;
    // Whoever asks for more gets what there is at most, and asks again.
    let limit = fields
        .optional_integer("limit", 1, i64::MAX)
        .unwrap_or(WORKLIST)
        .min(WORKLIST);
    let wanted = wanted(&app, &signed.hotkey, &mut fields);
    let wanted = fields.done(wanted)?;
    let mut conn = app.store.read().await?;
    let mut list = Vec::new();
    let mut bytes = 0;
    for submission in verifications::worklist(&mut conn, &wanted, limit).await? {
        // What does not fit waits until it is the oldest; what comes after it need not.
        if !list.is_empty() && bytes + submission.patch_bytes > WORKLIST_BYTES {
            continue;
        }
        bytes += submission.patch_bytes;
        list.push(job(&mut conn, submission, &signed.hotkey, None).await?);
    }
    Ok(Json(Worklist { jobs: list }))
}

/// Lease one job: the oldest, or the one that the body names.
#[utoipa::path(post, path = "/api/v1/validator/jobs/claim", tag = "validators", security(("hotkey" = [])),
    request_body(content = Option<WorkRequest>),
    responses((status = 200, description = "The job, leased", body = Job),
        (status = 404, description = "`no pending validator jobs`", body = Problem)))]
pub async fn claim(
    State(app): State<App>,
    Validator(signed): Validator<SMALL>,
) -> ApiResult<Json<Job>> {
    let mut fields = signed.fields_if_any()?;
    let wanted = wanted(&app, &signed.hotkey, &mut fields);
    let wanted = fields.done(wanted)?;
    let (dialect, seconds) = (app.store.dialect(), app.settings.lease_seconds);
    let (cause, until) = (signed.cause(), wanted.now.plus_seconds(seconds));
    let leased = app
        .store
        .write(move |conn| {
            Box::pin(async move { jobs::claim(conn, dialect, &wanted, seconds, &cause).await })
        })
        .await?
        .ok_or_else(|| ApiError::not_found("no_pending_jobs", "no pending validator jobs"))?;
    let mut conn = app.store.read().await?;
    Ok(Json(
        job(&mut conn, leased, &signed.hotkey, Some(until)).await?,
    ))
}

/// Keep a leased job.
#[utoipa::path(post, path = "/api/v1/validator/jobs/{job_id}/heartbeat", tag = "validators",
    security(("hotkey" = [])), params(("job_id" = String, Path, format = Uuid)),
    responses((status = 200, description = "When the lease ends now", body = Lease),
        (status = 404, description = "No such job", body = Problem),
        (status = 409, description = "Another's job, a lost lease, or decided", body = Problem)))]
pub async fn heartbeat(
    State(app): State<App>,
    Id(job_id): Id,
    Validator(signed): Validator<SMALL>,
) -> ApiResult<Json<Lease>> {
    let wanted = wanted(&app, &signed.hotkey, &mut Fields::none());
    let seconds = app.settings.lease_seconds;
    let (id, cause) = (job_id.clone(), signed.cause());
    let lease_expires_at = app
        .store
        .write(move |conn| {
            Box::pin(async move { jobs::heartbeat(conn, &id, wanted, seconds, &cause).await })
        })
        .await?;
    Ok(Json(Lease {
        job_id,
        lease_expires_at,
    }))
}

/// Reads what a validator posts.
pub fn read(mut fields: Fields, submission_id: Option<String>) -> ApiResult<Observation> {
    let status: Option<Status> =
        fields.optional("status", "one of \"accepted\", \"rejected\", \"error\"");
    if status.is_none() && fields.is_sound() {
        fields.problem("status", "is missing");
    }
    let seen = Observation {
        submission_id: submission_id.unwrap_or_else(|| fields.uuid("submission_id")),
        status: status.unwrap_or(Status::Error),
        outcome_code: fields.optional::<Code>("outcome_code", "a known outcome code"),
        fault: fields.optional::<Fault>("fault", "one of \"submission\", \"task\", \"validator\""),
        observed_metrics: fields.observed_metrics("observed_metrics"),
        patched_tree: fields
            .optional::<TreeId>("patched_tree", "40 hex digits")
            .map(|tree| tree.to_string()),
        notes: fields.log_of_result("notes", 20_000),
        replay_log: fields.log_of_result("replay_log", 4_000_000),
        receipt: fields.raw("receipt").map(|raw| raw.get().to_owned()),
        spec_digest: fields.optional_digest("spec_digest"),
        image: fields.optional_text("image", 1, 400),
    };
    if let Some(code) = seen.outcome_code
        && status.is_some_and(|status| !code_fits(code, status))
    {
        fields.problem(
            "outcome_code",
            format!("{code} does not end {}", seen.status),
        );
    }
    fields.done(seen)
}

/// Post what was observed. Posting the same again is harmless.
#[utoipa::path(post, path = "/api/v1/validator/jobs/{job_id}/result", tag = "validators",
    security(("hotkey" = [])), params(("job_id" = String, Path, format = Uuid)), request_body = ResultRequest,
    responses((status = 200, description = "The job's row", body = VerificationRow),
        (status = 404, description = "No such job", body = Problem),
        (status = 409, description = "Another's job, another result, or decided", body = Problem)))]
pub async fn result(
    State(app): State<App>,
    Id(job_id): Id,
    Validator(signed): Validator<RESULT>,
) -> ApiResult<Json<VerificationRow>> {
    let seen = read(signed.fields()?, None)?;
    let cause = signed.cause();
    let row = app
        .store
        .write(move |conn| {
            Box::pin(async move {
                let hotkey = cause.actor.clone();
                jobs::post(conn, &job_id, &hotkey, seen, &cause).await
            })
        })
        .await?;
    Ok(Json(row))
}
