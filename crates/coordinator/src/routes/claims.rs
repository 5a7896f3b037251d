//! Claims: what a miner takes before submitting.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::disclaimer::{DISCLAIMER, Disclaimer};
use super::openapi::Problem;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::http::auth::{Miner, Signed};
use crate::http::body::SMALL;
use crate::http::pages::{Id, ListQuery};
use crate::settings::CLAIM_SECONDS;
use crate::store::events::{self, Cause, Event};
use crate::store::rows::{ClaimRow, ClaimStatus, TaskState};
use crate::store::{Conn, claims, submissions, tasks, work_items};

/// A claim with what its owner must be shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClaimView {
    /// The claim.
    #[serde(flatten)]
    pub claim: ClaimRow,
    /// What its owner must be shown.
    pub participation_disclaimer: Disclaimer,
}

impl From<ClaimRow> for ClaimView {
    fn from(claim: ClaimRow) -> Self {
        Self {
            claim,
            participation_disclaimer: DISCLAIMER,
        }
    }
}

/// What a miner says of a claim.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; the fields are read one by one"
)]
pub struct ClaimRequest {
    /// What will be tried.
    #[schema(min_length = 1, max_length = 4000, pattern = r"\S")]
    claim_description: String,
    /// The submission that it builds on.
    #[schema(format = Uuid)]
    base_submission_id: Option<String>,
}

/// A claim that is about to be stored.
#[derive(Debug)]
pub struct NewClaim {
    /// The task.
    pub task_id: String,
    /// Who claims.
    pub hotkey: String,
    /// What will be tried.
    pub description: String,
    /// The submission that it builds on.
    pub base_submission_id: Option<String>,
    /// The work item that it is for.
    pub work_item_id: Option<String>,
    /// How many live claims the hotkey may hold on the task, this one included.
    pub at_most: i64,
}

/// Stores a claim if the task is live and the miner holds few enough.
pub async fn store(conn: &mut Conn, new: NewClaim, cause: &Cause) -> ApiResult<ClaimRow> {
    // Holding the task's row makes two claims of one miner wait for each other.
    sqlx::query("UPDATE tasks SET updated_at = updated_at WHERE id = $1")
        .bind(new.task_id.clone())
        .execute(&mut *conn)
        .await?;
    let task = tasks::get(conn, &new.task_id).await?;
    if task.state != TaskState::Live {
        let detail = format!("the task is {}", task.state.as_str());
        return Err(ApiError::conflict("task_not_live", detail));
    }
    if let Some(base) = &new.base_submission_id {
        let base = submissions::find(conn, base).await?;
        if base.is_none_or(|base| base.task_id != new.task_id) {
            return Err(ApiError::field(
                "base_submission_id",
                "is no submission of this task",
            ));
        }
    }
    let held = claims::held(conn, &new.task_id, &new.hotkey, cause.at).await?;
    if held >= new.at_most {
        let detail = format!("this hotkey holds {held} active claims on the task");
        return Err(ApiError::conflict("too_many_claims", detail));
    }
    let claim = ClaimRow {
        id: uuid::Uuid::new_v4().to_string(),
        task_id: new.task_id,
        miner_hotkey: new.hotkey,
        claim_description: new.description,
        base_submission_id: new.base_submission_id,
        work_item_id: new.work_item_id,
        status: ClaimStatus::Active,
        expires_at: cause.at.plus_seconds(CLAIM_SECONDS),
        created_at: cause.at,
        updated_at: cause.at,
    };
    claims::insert(conn, &claim).await?;
    let event = Event {
        action: "claim.created",
        subject: &claim.id,
        task_id: Some(&claim.task_id),
    };
    events::record(conn, cause, event, &json!({"expires_at": claim.expires_at})).await?;
    Ok(claim)
}

/// Claim a task before submitting for it. A claim lives 45 minutes.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/claim", tag = "claims", security(("hotkey" = [])),
    params(("id" = String, Path, format = Uuid)), request_body = ClaimRequest,
    responses((status = 201, description = "The claim", body = ClaimView),
        (status = 404, description = "No such task", body = Problem),
        (status = 409, description = "The task is not live, or the hotkey holds too many claims", body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Id(task_id): Id,
    Miner(signed): Miner<SMALL>,
) -> ApiResult<(StatusCode, Json<ClaimView>)> {
    let mut fields = signed.fields()?;
    let new = NewClaim {
        task_id,
        hotkey: signed.hotkey.clone(),
        description: fields.prose("claim_description", 1, 4000),
        base_submission_id: fields.optional_uuid("base_submission_id"),
        work_item_id: None,
        at_most: app.settings.claims_per_task,
    };
    let new = fields.done(new)?;
    let cause = signed.cause();
    let claim = app
        .store
        .write(move |conn| Box::pin(async move { store(conn, new, &cause).await }))
        .await?;
    Ok((StatusCode::CREATED, Json(claim.into())))
}

/// Ends the claims whose time is over, so that what is shown is true.
pub async fn sweep(app: &App) -> ApiResult<()> {
    let now = app.clock.now();
    loop {
        let due = claims::any_due(&mut *app.store.read().await?, now).await?;
        if !due {
            return Ok(());
        }
        app.store
            .write(move |conn| Box::pin(async move { claims::expire(conn, now).await }))
            .await?;
    }
}

/// Claims, newest first.
#[utoipa::path(get, path = "/api/v1/claims", tag = "claims",
    params(("task_id" = Option<String>, Query, format = Uuid), ("status" = Option<ClaimStatus>, Query),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "Claims; `Link` names the next page", body = Vec<ClaimView>)))]
pub async fn list(State(app): State<App>, query: ListQuery) -> ApiResult<impl IntoResponse> {
    let page = query.page(100)?;
    let (task, status) = (
        query.uuid("task_id")?,
        query.choice("status", ClaimStatus::ALL)?,
    );
    sweep(&app).await?;
    let mut conn = app.store.read().await?;
    let rows = claims::list(&mut conn, task.as_deref(), status.as_deref(), &page).await?;
    let views: Vec<ClaimView> = rows.into_iter().map(ClaimView::from).collect();
    Ok(query.answer(views, &page, |view| (view.claim.created_at, &view.claim.id)))
}

/// Give up an active claim of one's own.
#[utoipa::path(post, path = "/api/v1/claims/{id}/cancel", tag = "claims", security(("hotkey" = [])),
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "The claim", body = ClaimView),
        (status = 404, description = "No such claim", body = Problem),
        (status = 409, description = "It is not active", body = Problem)))]
pub async fn cancel(
    State(app): State<App>,
    Id(id): Id,
    signed: Signed<SMALL>,
) -> ApiResult<Json<ClaimView>> {
    let cause = signed.cause();
    let claim = app
        .store
        .write(move |conn| {
            Box::pin(async move {
                let claim = claims::get(conn, &id).await?;
                if claim.miner_hotkey != cause.actor {
                    let detail = "the claim is another hotkey's";
                    return Err(ApiError::forbidden("claim_of_another", detail));
                }
                if !claims::end(conn, &id, "cancelled", cause.at).await? {
                    let ended = claim.expires_at <= cause.at;
                    let state = if ended {
                        "expired"
                    } else {
                        claim.status.as_str()
                    };
                    let detail = format!("the claim is {state}");
                    return Err(ApiError::conflict("claim_not_active", detail));
                }
                work_items::release(conn, &id, cause.at).await?;
                let event = Event {
                    action: "claim.cancelled",
                    subject: &id,
                    task_id: Some(&claim.task_id),
                };
                events::record(conn, &cause, event, &json!({})).await?;
                claims::get(conn, &id).await
            })
        })
        .await?;
    Ok(Json(claim.into()))
}
