//! Planned work items.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::claims::{ClaimView, NewClaim};
use super::openapi::Problem;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::flow::plan;
use crate::http::auth::{Admin, Miner};
use crate::http::body::SMALL;
use crate::http::pages::{Id, ListQuery};
use crate::store::rows::{TaskState, WorkItemRow, WorkItemStatus};
use crate::store::{tasks, work_items};

/// Which task is planned; all live ones without it.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; the fields are read one by one"
)]
pub struct PlanRequest {
    #[schema(format = Uuid)]
    task_id: Option<String>,
}

/// What a run of the planner changed.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct PlanResult {
    /// Tasks that were planned.
    tasks: usize,
    /// New work items.
    created: usize,
    /// Open ones that became obsolete.
    retired: usize,
}

/// A work item with the claim that it became.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClaimedItem {
    /// The work item.
    work_item: WorkItemRow,
    /// The claim to submit for.
    claim: ClaimView,
}

/// Turn the current best and the open ideas into work items.
#[utoipa::path(post, path = "/api/v1/planner/run", tag = "planner", security(("admin_token" = [])),
    request_body(content = Option<PlanRequest>),
    responses((status = 200, description = "What changed", body = PlanResult),
        (status = 404, description = "No such task", body = Problem)))]
pub async fn run(State(app): State<App>, admin: Admin) -> ApiResult<Json<PlanResult>> {
    let mut fields = admin.fields_if_any()?;
    let task_id = fields.optional_uuid("task_id");
    let task_id = fields.done(task_id)?;
    let cause = admin.cause();
    let mut conn = app.store.read().await?;
    let rows = match &task_id {
        Some(id) => vec![tasks::get(&mut conn, id).await?],
        None => tasks::all(&mut conn).await?,
    };
    drop(conn);
    let mut result = PlanResult::default();
    for row in rows.into_iter().filter(|row| row.state == TaskState::Live) {
        let cause = cause.clone();
        let changed = app
            .store
            .write(move |conn| Box::pin(async move { plan::run(conn, &row, &cause).await }))
            .await?;
        result.tasks += 1;
        result.created += changed.created;
        result.retired += changed.retired;
    }
    Ok(Json(result))
}

/// Work items, newest first.
#[utoipa::path(get, path = "/api/v1/work-items", tag = "planner",
    params(("task_id" = Option<String>, Query, format = Uuid), ("status" = Option<WorkItemStatus>, Query),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "Work items; `Link` names the next page", body = Vec<WorkItemRow>)))]
pub async fn list(State(app): State<App>, query: ListQuery) -> ApiResult<impl IntoResponse> {
    let page = query.page(100)?;
    let (task, status) = (
        query.uuid("task_id")?,
        query.choice("status", WorkItemStatus::ALL)?,
    );
    super::claims::sweep(&app).await?;
    let mut conn = app.store.read().await?;
    let rows = work_items::list(&mut conn, task.as_deref(), status.as_deref(), &page).await?;
    Ok(query.answer(rows, &page, |row| (row.created_at, &row.id)))
}

/// Claim a work item: a claim on its task that completes it when submitted for.
#[utoipa::path(post, path = "/api/v1/work-items/{id}/claim", tag = "planner", security(("hotkey" = [])),
    params(("id" = String, Path, format = Uuid)),
    responses((status = 201, description = "The item and the claim", body = ClaimedItem),
        (status = 404, description = "No such item", body = Problem),
        (status = 409, description = "It is not open, or the hotkey holds too many claims", body = Problem)))]
pub async fn claim(
    State(app): State<App>,
    Id(id): Id,
    Miner(signed): Miner<SMALL>,
) -> ApiResult<(StatusCode, Json<ClaimedItem>)> {
    super::claims::sweep(&app).await?;
    let (cause, at_most) = (signed.cause(), app.settings.claims_per_task);
    let item = app
        .store
        .write(move |conn| {
            Box::pin(async move {
                let item = work_items::get(conn, &id).await?;
                let new = NewClaim {
                    task_id: item.task_id,
                    hotkey: cause.actor.clone(),
                    description: item.title,
                    base_submission_id: item.base_submission_id,
                    work_item_id: Some(id.clone()),
                    at_most,
                };
                let claim = super::claims::store(conn, new, &cause).await?;
                if !work_items::take(conn, &id, &claim.id, &cause.actor, cause.at).await? {
                    return Err(ApiError::conflict(
                        "work_item_not_open",
                        "the item is not open",
                    ));
                }
                Ok(ClaimedItem {
                    work_item: work_items::get(conn, &id).await?,
                    claim: claim.into(),
                })
            })
        })
        .await?;
    Ok((StatusCode::CREATED, Json(item)))
}
