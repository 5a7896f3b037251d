//! Tasks: posted by their owners, read by everybody.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use protocol::task::{CompetitionMode, Direction, MetricRange, RankingMode};
use protocol::{Decimal, Task};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::flow::decide::task_of;
use crate::flow::leaders;
use crate::http::auth::Admin;
use crate::http::pages::{Id, ListQuery};
use crate::rules::{onboarding, task_document};
use crate::store::events::{self, Event};
use crate::store::rows::{SubmissionRow, TaskRow, TaskState};
use crate::store::tasks::NewTask;
use crate::store::{bests, tasks};
use crate::time::Timestamp;

/// A task as everybody sees it. What is private has no field here: private
/// inputs and the benchmark's environment reach validators in signed worklists only.
#[derive(Debug, Serialize, ToSchema)]
#[expect(
    missing_docs,
    clippy::struct_excessive_bools,
    reason = "the fields of the wire"
)]
pub struct TaskView {
    pub id: String,
    pub slug: String,
    pub title: String,
    pub brief: String,
    pub onboard_md: String,
    pub repository: Option<String>,
    pub base_ref: Option<String>,
    pub base_commit_sha: String,
    pub setup_command: Option<String>,
    pub benchmark_command: String,
    pub result_path: Option<String>,
    pub allowed_patch_paths: Vec<String>,
    pub max_patch_bytes: u64,
    pub metric_name: String,
    #[schema(value_type = String)]
    pub metric_direction: Direction,
    #[schema(value_type = String)]
    pub ranking_mode: RankingMode,
    pub secondary_metric_name: Option<String>,
    #[schema(value_type = Option<String>)]
    pub secondary_metric_direction: Option<Direction>,
    #[schema(value_type = String)]
    pub competition_mode: CompetitionMode,
    pub min_peer_evaluations: Option<u32>,
    pub time_budget_seconds: u64,
    pub quorum: i64,
    pub image: Option<String>,
    pub score_command: Option<String>,
    pub outputs: Vec<String>,
    pub protected_paths: Vec<String>,
    pub repeats: u32,
    #[schema(value_type = Object)]
    pub metric_range: MetricRange,
    #[schema(value_type = Object)]
    pub secondary_metric_range: MetricRange,
    #[schema(value_type = Option<f64>)]
    pub metric_tolerance: Option<Decimal>,
    pub allow_binary_patch: bool,
    pub allow_executable: bool,
    pub max_patch_files: u32,
    pub max_decoded_bytes: u64,
    pub setup_network: bool,
    pub artifact_required: bool,
    pub max_artifact_bytes: u64,
    #[schema(value_type = Object)]
    pub limits: protocol::Limits,
    /// Whether the deciding stage sees files that miners do not.
    pub has_private_inputs: bool,
    pub task_state: TaskState,
    pub is_active: bool,
    pub onboard_path: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl TaskView {
    /// The public part of a row.
    pub fn of(row: &TaskRow) -> ApiResult<Self> {
        let task = task_of(row)?;
        Ok(Self::from_parts(row, task))
    }

    fn from_parts(row: &TaskRow, task: Task) -> Self {
        Self {
            artifact_required: task.requires_artifact(),
            has_private_inputs: !task.private_inputs.is_empty(),
            id: row.id.clone(),
            slug: task.slug,
            title: task.title,
            brief: task.brief,
            onboard_md: task.onboard_md,
            repository: task.repository,
            base_ref: task.base_ref,
            base_commit_sha: row.base_commit.clone(),
            setup_command: task.setup_command,
            benchmark_command: task.benchmark_command,
            result_path: task.result_path,
            allowed_patch_paths: task.allowed_patch_paths,
            max_patch_bytes: task.max_patch_bytes,
            metric_name: task.metric_name,
            metric_direction: task.metric_direction,
            ranking_mode: task.ranking_mode,
            secondary_metric_name: task.secondary_metric_name,
            secondary_metric_direction: task.secondary_metric_direction,
            competition_mode: task.competition_mode,
            min_peer_evaluations: task.min_peer_evaluations,
            time_budget_seconds: task.time_budget_seconds,
            quorum: row.quorum,
            image: task.image,
            score_command: task.score_command,
            outputs: task.outputs,
            protected_paths: task.protected_paths,
            repeats: task.repeats,
            metric_range: task.metric_range,
            secondary_metric_range: task.secondary_metric_range,
            metric_tolerance: task.metric_tolerance,
            allow_binary_patch: task.allow_binary_patch,
            allow_executable: task.allow_executable,
            max_patch_files: task.max_patch_files,
            max_decoded_bytes: task.max_decoded_bytes.get(),
            setup_network: task.setup_network,
            max_artifact_bytes: task.artifact.max_bytes.get(),
            limits: task.limits,
            task_state: row.state,
            is_active: row.state == TaskState::Live,
            onboard_path: format!("/api/v1/tasks/{}/onboard.md", row.id),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Create a task. Its `base_ref` is resolved to a commit now, and stays that commit.
#[utoipa::path(post, path = "/api/v1/tasks", tag = "tasks", security(("admin_token" = [])),
    request_body = crate::routes::openapi::TaskRequest,
    responses((status = 201, description = "The task", body = TaskView),
        (status = 409, description = "The slug is taken", body = crate::routes::openapi::Problem)))]
pub async fn create(
    State(app): State<App>,
    admin: Admin,
) -> ApiResult<(StatusCode, Json<TaskView>)> {
    let posted = task_document::read(admin.fields()?, app.settings.places)?;
    let (mut task, quorum) = (posted.task, posted.quorum);
    let repository = task.repository.clone().unwrap_or_default();
    let base = app
        .references
        .resolve(&repository, task.base_ref.as_deref())
        .await?;
    task.min_peer_evaluations = match task.competition_mode {
        CompetitionMode::PeerEvaluation => Some(task.min_peer_evaluations.unwrap_or(1)),
        _ => task.min_peer_evaluations,
    };
    let document = serde_json::to_string(&task).map_err(|e| ApiError::Internal(e.to_string()))?;
    let new = NewTask {
        id: uuid::Uuid::new_v4().to_string(),
        slug: task.slug.clone(),
        competition_mode: mode_text(task.competition_mode).to_owned(),
        quorum,
        base_commit: base.to_string(),
        document,
    };
    let cause = admin.cause();
    let row = app
        .store
        .write(move |conn| {
            Box::pin(async move {
                tasks::insert(conn, &new, cause.at).await?;
                let event = Event {
                    action: "task.created",
                    subject: &new.id,
                    task_id: Some(&new.id),
                };
                let detail = json!({"slug": new.slug, "base_commit": new.base_commit});
                events::record(conn, &cause, event, &detail).await?;
                tasks::get(conn, &new.id).await
            })
        })
        .await?;
    Ok((StatusCode::CREATED, Json(TaskView::of(&row)?)))
}

const fn mode_text(mode: CompetitionMode) -> &'static str {
    match mode {
        CompetitionMode::Centerless => "centerless",
        CompetitionMode::Standard => "standard",
        CompetitionMode::PeerEvaluation => "peer_evaluation",
    }
}

/// The catalog, newest first.
#[utoipa::path(get, path = "/api/v1/tasks", tag = "tasks",
    params(("task_state" = Option<TaskState>, Query, description = "Only tasks in this state"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "Tasks; `Link` names the next page", body = Vec<TaskView>)))]
pub async fn list(State(app): State<App>, query: ListQuery) -> ApiResult<impl IntoResponse> {
    let page = query.page(200)?;
    let state = query.choice("task_state", TaskState::ALL)?;
    let mut conn = app.store.read().await?;
    let rows = tasks::list(&mut conn, state.as_deref(), &page).await?;
    let views: Vec<TaskView> = rows.iter().map(TaskView::of).collect::<ApiResult<_>>()?;
    Ok(query.answer(views, &page, |view| (view.created_at, &view.id)))
}

/// One task.
#[utoipa::path(get, path = "/api/v1/tasks/{id}", tag = "tasks", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "The task", body = TaskView),
        (status = 404, description = "No such task", body = crate::routes::openapi::Problem)))]
pub async fn get(State(app): State<App>, Id(id): Id) -> ApiResult<Json<TaskView>> {
    let mut conn = app.store.read().await?;
    Ok(Json(TaskView::of(&tasks::get(&mut conn, &id).await?)?))
}

/// The generated onboarding page.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/onboard.md", tag = "tasks", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "Markdown", body = String, content_type = "text/markdown"),
        (status = 404, description = "No such task", body = crate::routes::openapi::Problem)))]
pub async fn onboarding(State(app): State<App>, Id(id): Id) -> ApiResult<impl IntoResponse> {
    let mut conn = app.store.read().await?;
    let row = tasks::get(&mut conn, &id).await?;
    let page = onboarding::onboarding(&row.id, &task_of(&row)?, &row.base_commit);
    Ok((
        [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")],
        page,
    ))
}

/// Stop taking claims and submissions; replays go on.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/pause", tag = "tasks", security(("admin_token" = [])),
    params(("id" = String, Path, format = Uuid)), responses((status = 200, description = "The task", body = TaskView),
        (status = 404, description = "No such task", body = crate::routes::openapi::Problem),
        (status = 409, description = "It is not live", body = crate::routes::openapi::Problem)))]
pub async fn pause(State(app): State<App>, Id(id): Id, admin: Admin) -> ApiResult<Json<TaskView>> {
    change(
        &app,
        id,
        &admin,
        "task.paused",
        &[TaskState::Live],
        TaskState::Paused,
    )
    .await
}

/// Take claims and submissions again.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/resume", tag = "tasks", security(("admin_token" = [])),
    params(("id" = String, Path, format = Uuid)), responses((status = 200, description = "The task", body = TaskView),
        (status = 404, description = "No such task", body = crate::routes::openapi::Problem),
        (status = 409, description = "It is not paused", body = crate::routes::openapi::Problem)))]
pub async fn resume(State(app): State<App>, Id(id): Id, admin: Admin) -> ApiResult<Json<TaskView>> {
    change(
        &app,
        id,
        &admin,
        "task.resumed",
        &[TaskState::Paused],
        TaskState::Live,
    )
    .await
}

/// End a task for good; what was submitted is still decided.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/close", tag = "tasks", security(("admin_token" = [])),
    params(("id" = String, Path, format = Uuid)), responses((status = 200, description = "The task", body = TaskView),
        (status = 404, description = "No such task", body = crate::routes::openapi::Problem),
        (status = 409, description = "It is closed", body = crate::routes::openapi::Problem)))]
pub async fn close(State(app): State<App>, Id(id): Id, admin: Admin) -> ApiResult<Json<TaskView>> {
    let open = &[TaskState::Live, TaskState::Paused];
    change(&app, id, &admin, "task.closed", open, TaskState::Closed).await
}

async fn change(
    app: &App,
    id: String,
    admin: &Admin,
    action: &'static str,
    from: &'static [TaskState],
    to: TaskState,
) -> ApiResult<Json<TaskView>> {
    let cause = admin.cause();
    let row = app
        .store
        .write(move |conn| {
            Box::pin(async move {
                let changed = tasks::change_state(conn, &id, from, to, cause.at).await?;
                let row = tasks::get(conn, &id).await?;
                if !changed {
                    let detail = format!("the task is {}", row.state.as_str());
                    return Err(ApiError::conflict("wrong_task_state", detail));
                }
                let event = Event {
                    action,
                    subject: &id,
                    task_id: Some(&id),
                };
                events::record(conn, &cause, event, &json!({})).await?;
                Ok(row)
            })
        })
        .await?;
    Ok(Json(TaskView::of(&row)?))
}

/// Who is best: one submission, or a frontier, and how it came to that.
#[derive(Debug, Serialize, ToSchema)]
pub struct BestView {
    task_id: String,
    #[schema(value_type = String)]
    ranking_mode: RankingMode,
    metric_name: String,
    #[schema(value_type = String)]
    metric_direction: Direction,
    /// The best submission of a scalar task.
    best: Option<SubmissionRow>,
    /// The frontier of a pareto task, best by the first metric first; one entry or none otherwise.
    frontier: Vec<SubmissionRow>,
    /// All that ever were best, in the order they became it.
    history: Vec<Reign>,
}

/// How long one submission was best.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reign {
    submission_id: String,
    #[schema(value_type = String, format = DateTime)]
    entered_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    left_at: Option<Timestamp>,
}

/// The current best of a task, or its frontier.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/best", tag = "tasks", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "The best", body = BestView),
        (status = 404, description = "No such task", body = crate::routes::openapi::Problem)))]
pub async fn best(State(app): State<App>, Id(id): Id) -> ApiResult<Json<BestView>> {
    let mut conn = app.store.read().await?;
    let task = task_of(&tasks::get(&mut conn, &id).await?)?;
    let mut frontier = bests::current(&mut conn, &id).await?;
    leaders::sort(&task, &mut frontier);
    let history = bests::history(&mut conn, &id).await?;
    let reign = |row: bests::BestRow| Reign {
        submission_id: row.submission_id,
        entered_at: row.entered_at,
        left_at: row.left_at,
    };
    let is_scalar = task.ranking_mode == RankingMode::Scalar;
    Ok(Json(BestView {
        task_id: id,
        ranking_mode: task.ranking_mode,
        metric_name: task.metric_name,
        metric_direction: task.metric_direction,
        best: frontier.first().filter(|_| is_scalar).cloned(),
        frontier,
        history: history.into_iter().map(reign).collect(),
    }))
}
