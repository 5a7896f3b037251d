//! Submissions: from a miner, for everybody to read.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::Task;
use protocol::task::CompetitionMode;
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::Problem;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::flow::decide::task_of;
use crate::flow::submit::{self, Posted};
use crate::http::auth::{Admin, Miner};
use crate::http::body::SUBMISSION;
use crate::http::fields::Fields;
use crate::http::pages::{Id, ListQuery};
use crate::rules::diff;
use crate::rules::places::Places;
use crate::store::rows::{
    ClaimRow, EventRow, PeerEvaluationRow, SubmissionRow, SubmissionStatus, VerificationRow,
};
use crate::store::{claims, events, peers, submissions, tasks, verifications};

/// What a miner submits.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; the fields are read one by one"
)]
pub struct SubmissionRequest {
    /// An active claim of the same hotkey.
    #[schema(format = Uuid)]
    claim_id: String,
    /// What the patch was made against.
    #[schema(min_length = 1, max_length = 255)]
    base_ref: String,
    /// A unified git diff; may be left out for an artifact.
    patch: Option<String>,
    /// What was changed, and why it helps.
    #[schema(min_length = 1, max_length = 20000, pattern = r"\S")]
    summary: String,
    /// What the miner measured; never decides.
    claimed_metrics: std::collections::HashMap<String, f64>,
    /// What somebody could try next; needed in centerless tasks.
    #[schema(min_length = 1, max_length = 20000)]
    proposed_idea: Option<String>,
    /// The submission whose idea this one implements.
    #[schema(format = Uuid)]
    implemented_submission_id: Option<String>,
    /// Where the artifact is; https only.
    #[schema(max_length = 2048)]
    artifact_uri: Option<String>,
    #[schema(pattern = "^([0-9a-fA-F]{64})?$")]
    artifact_sha256: Option<String>,
    #[schema(minimum = 0)]
    artifact_size_bytes: Option<i64>,
    #[schema(max_length = 1_000_000)]
    execution_log: Option<String>,
}

/// A submission with its patch.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubmissionView {
    /// The submission.
    #[serde(flatten)]
    pub submission: SubmissionRow,
    /// Its patch; empty if it is an artifact alone.
    pub patch: String,
}

/// A submission with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubmissionDetail {
    /// The submission.
    #[serde(flatten)]
    pub submission: SubmissionRow,
    /// Its patch; empty if it is an artifact alone.
    pub patch: String,
    /// The slug of its task.
    pub task_slug: String,
    /// The claim that it was made for.
    pub claim: ClaimRow,
    /// What every validator holds or said.
    pub verifications: Vec<VerificationRow>,
    /// What peers said.
    pub peer_evaluations: Vec<PeerEvaluationRow>,
    /// What happened to it, oldest first.
    pub events: Vec<EventRow>,
}

fn read(mut fields: Fields, places: Places) -> ApiResult<Posted> {
    let posted = Posted {
        claim_id: fields.uuid("claim_id"),
        base_ref: fields.text("base_ref", 1, 255),
        patch: fields
            .optional_text("patch", 0, SUBMISSION)
            .unwrap_or_default(),
        summary: fields.prose("summary", 1, 20_000),
        claimed_metrics: fields.metrics("claimed_metrics"),
        proposed_idea: fields
            .optional_text("proposed_idea", 0, 20_000)
            .filter(|idea| !idea.trim().is_empty()),
        implemented_submission_id: fields.optional_uuid("implemented_submission_id"),
        artifact_uri: fields
            .optional_text("artifact_uri", 0, 2048)
            .filter(|uri| !uri.is_empty()),
        artifact_sha256: fields.optional_digest("artifact_sha256"),
        // A client without an artifact may say that it has 0 bytes.
        artifact_size_bytes: fields
            .optional_integer("artifact_size_bytes", 0, i64::MAX >> 10)
            .filter(|size| *size > 0),
        execution_log: fields.log("execution_log", 1_000_000),
    };
    artifact_problems(&mut fields, &posted, places);
    fields.done(posted)
}

fn artifact_problems(fields: &mut Fields, posted: &Posted, places: Places) {
    let Some(uri) = &posted.artifact_uri else {
        if posted.patch.is_empty() && fields.is_sound() {
            fields.problem("patch", "is empty, and there is no artifact_uri");
        }
        return;
    };
    if let Some(problem) = places.file_problem(uri) {
        fields.problem(
            "artifact_uri",
            format!("artifact.scheme_not_allowed: {problem}"),
        );
    }
    if posted.artifact_sha256.is_none() {
        fields.problem(
            "artifact_sha256",
            "artifact.digest_missing: needed with artifact_uri",
        );
    }
    if posted.artifact_size_bytes.is_none() {
        fields.problem("artifact_size_bytes", "is needed with artifact_uri");
    }
}

/// What the task's own rules refuse.
fn task_problems(task: &Task, posted: &Posted) -> Vec<protocol::task::FieldError> {
    let mut found = Vec::new();
    let mut add = |field: &str, problem: &str| {
        found.push(protocol::task::FieldError {
            field: field.to_owned(),
            problem: problem.to_owned(),
        });
    };
    if task.competition_mode == CompetitionMode::Centerless && posted.proposed_idea.is_none() {
        add("proposed_idea", "is needed in a centerless task");
    }
    if task.requires_artifact() && posted.artifact_uri.is_none() {
        add(
            "artifact_uri",
            "artifact.missing: the task needs an artifact",
        );
    }
    let size = posted
        .artifact_size_bytes
        .and_then(|size| u64::try_from(size).ok());
    if size.is_some_and(|size| size > task.artifact.max_bytes.get()) {
        add(
            "artifact_size_bytes",
            "artifact.too_large: more than the task allows",
        );
    }
    if !posted.patch.is_empty() {
        found.extend(diff::problems(task, &posted.patch));
    }
    found
}

/// Submit for an active claim. The replay is frozen at this moment.
#[utoipa::path(post, path = "/api/v1/submissions", tag = "submissions", security(("hotkey" = [])),
    request_body = SubmissionRequest,
    responses((status = 201, description = "The submission", body = SubmissionView),
        (status = 404, description = "No such claim", body = Problem),
        (status = 409, description = "The claim is not active, or the content was submitted before", body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Miner(signed): Miner<SUBMISSION>,
) -> ApiResult<(StatusCode, Json<SubmissionView>)> {
    let posted = read(signed.fields()?, app.settings.places)?;
    let cause = signed.cause();
    let mut conn = app.store.read().await?;
    let claim = claims::get(&mut conn, &posted.claim_id).await?;
    let row = tasks::get(&mut conn, &claim.task_id).await?;
    submit::check_claim(&claim, &row, &signed.hotkey, &cause)?;
    let task = task_of(&row)?;
    let mut found = task_problems(&task, &posted);
    if let Some(id) = &posted.implemented_submission_id {
        let implemented = submissions::find(&mut conn, id).await?;
        let is_idea =
            implemented.is_some_and(|one| one.task_id == row.id && one.proposed_idea.is_some());
        if !is_idea {
            found.push(protocol::task::FieldError {
                field: "implemented_submission_id".to_owned(),
                problem: "is no submission of this task that proposed an idea".to_owned(),
            });
        }
    }
    drop(conn);
    if !found.is_empty() {
        return Err(ApiError::Fields(found));
    }
    let frozen = submit::frozen(&row, &task, &claim, posted, &cause)?;
    let patch = frozen.content.patch.clone();
    let submission = app
        .store
        .write(move |conn| Box::pin(async move { submit::store(conn, frozen, &cause).await }))
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(SubmissionView { submission, patch }),
    ))
}

/// Submissions, newest first.
#[utoipa::path(get, path = "/api/v1/submissions", tag = "submissions",
    params(("task_id" = Option<String>, Query, format = Uuid), ("status" = Option<SubmissionStatus>, Query),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "Submissions; `Link` names the next page", body = Vec<SubmissionRow>)))]
pub async fn list(State(app): State<App>, query: ListQuery) -> ApiResult<impl IntoResponse> {
    let page = query.page(100)?;
    let (task, status) = (
        query.uuid("task_id")?,
        query.choice("status", SubmissionStatus::ALL)?,
    );
    let mut conn = app.store.read().await?;
    let rows = submissions::list(&mut conn, task.as_deref(), status.as_deref(), &page).await?;
    Ok(query.answer(rows, &page, |row| (row.created_at, &row.id)))
}

/// One submission with its patch.
#[utoipa::path(get, path = "/api/v1/submissions/{id}", tag = "submissions", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "The submission", body = SubmissionView),
        (status = 404, description = "No such submission", body = Problem)))]
pub async fn get(State(app): State<App>, Id(id): Id) -> ApiResult<Json<SubmissionView>> {
    let mut conn = app.store.read().await?;
    let submission = submissions::get(&mut conn, &id).await?;
    let patch = submissions::content(&mut conn, &id).await?.patch;
    Ok(Json(SubmissionView { submission, patch }))
}

/// One submission with its claim, replays and events.
#[utoipa::path(get, path = "/api/v1/submissions/{id}/detail", tag = "submissions", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "The submission", body = SubmissionDetail),
        (status = 404, description = "No such submission", body = Problem)))]
pub async fn detail(State(app): State<App>, Id(id): Id) -> ApiResult<Json<SubmissionDetail>> {
    let mut conn = app.store.read().await?;
    let submission = submissions::get(&mut conn, &id).await?;
    Ok(Json(SubmissionDetail {
        patch: submissions::content(&mut conn, &id).await?.patch,
        task_slug: tasks::get(&mut conn, &submission.task_id).await?.slug,
        claim: claims::get(&mut conn, &submission.claim_id).await?,
        verifications: verifications::of(&mut conn, &id).await?,
        peer_evaluations: peers::of(&mut conn, &id).await?,
        events: events::of(&mut conn, &id).await?,
        submission,
    }))
}

fn plain(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// The log that the miner sent along.
#[utoipa::path(get, path = "/api/v1/submissions/{id}/execution.log", tag = "submissions", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "The log", body = String, content_type = "text/plain"),
        (status = 404, description = "No such submission", body = Problem)))]
pub async fn execution_log(State(app): State<App>, Id(id): Id) -> ApiResult<Response> {
    let mut conn = app.store.read().await?;
    submissions::get(&mut conn, &id).await?;
    Ok(plain(
        submissions::content(&mut conn, &id).await?.execution_log,
    ))
}

/// To the artifact, where the miner put it.
#[utoipa::path(get, path = "/api/v1/submissions/{id}/artifact", tag = "submissions", params(("id" = String, Path, format = Uuid)),
    responses((status = 307, description = "To `artifact_uri`"),
        (status = 404, description = "No such submission, or it has no artifact", body = Problem)))]
pub async fn artifact(State(app): State<App>, Id(id): Id) -> ApiResult<Response> {
    let mut conn = app.store.read().await?;
    let submission = submissions::get(&mut conn, &id).await?;
    let none = || ApiError::not_found("no_artifact", "the submission has no artifact");
    // Parsed again, so that what goes into a header is an https URL and nothing else.
    let url = submission
        .artifact_uri
        .and_then(|uri| url::Url::parse(&uri).ok())
        .filter(|url| url.scheme() == "https")
        .ok_or_else(none)?;
    let location = HeaderValue::from_str(url.as_str()).map_err(|_| none())?;
    Ok((
        StatusCode::TEMPORARY_REDIRECT,
        [(header::LOCATION, location)],
    )
        .into_response())
}

/// The replay log that a validator posted last.
#[utoipa::path(get, path = "/api/v1/submissions/{id}/replay.log", tag = "submissions", security(("admin_token" = [])),
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "The log", body = String, content_type = "text/plain"),
        (status = 404, description = "No such submission, or no replay yet", body = Problem)))]
pub async fn replay_log(State(app): State<App>, Id(id): Id, _admin: Admin) -> ApiResult<Response> {
    let mut conn = app.store.read().await?;
    submissions::get(&mut conn, &id).await?;
    let log = verifications::latest_log(&mut conn, &id).await?;
    log.map(plain)
        .ok_or_else(|| ApiError::not_found("no_replay", "no validator has posted a replay"))
}
