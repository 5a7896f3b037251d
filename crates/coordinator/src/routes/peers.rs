//! Peer evaluation: miners decide about each other's submissions.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use utoipa::ToSchema;

use super::openapi::Problem;
use crate::app::App;
use crate::error::ApiResult;
use crate::flow::peers::{self as flow, PeerConsensus};
use crate::http::auth::Miner;
use crate::http::body::SMALL;
use crate::http::pages::{Id, ListQuery};
use crate::store::rows::{JsonText, PeerEvaluationRow};
use crate::store::{peers, submissions};

/// What a peer observed.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; the fields are read one by one"
)]
pub struct PeerRequest {
    /// `accepted` (the default) or `rejected`.
    #[schema(pattern = "^(accepted|rejected)$")]
    status: Option<String>,
    /// Needed to accept.
    observed_metrics: Option<std::collections::HashMap<String, f64>>,
    /// Of more than 20,000 characters, its start and its end are kept.
    notes: Option<String>,
}

/// Evaluate another miner's submission, once.
#[utoipa::path(post, path = "/api/v1/submissions/{id}/peer-evaluate", tag = "peers",
    security(("hotkey" = [])), params(("id" = String, Path, format = Uuid)), request_body = PeerRequest,
    responses((status = 201, description = "The evaluation", body = PeerEvaluationRow),
        (status = 404, description = "No such submission", body = Problem),
        (status = 409, description = "Evaluated before, decided, or not for peers", body = Problem)))]
pub async fn evaluate(
    State(app): State<App>,
    Id(id): Id,
    Miner(signed): Miner<SMALL>,
) -> ApiResult<(StatusCode, Json<PeerEvaluationRow>)> {
    let mut fields = signed.fields()?;
    let status = fields
        .optional_text("status", 1, 20)
        .unwrap_or_else(|| "accepted".to_owned());
    if !["accepted", "rejected"].contains(&status.as_str()) {
        fields.problem("status", "is not one of accepted, rejected");
    }
    let cause = signed.cause();
    let evaluation = PeerEvaluationRow {
        id: uuid::Uuid::new_v4().to_string(),
        submission_id: id,
        task_id: String::new(),
        evaluator_hotkey: signed.hotkey.clone(),
        status,
        observed_metrics: JsonText::of(&fields.observed_metrics("observed_metrics")),
        notes: fields.log_of_result("notes", 20_000),
        created_at: cause.at,
    };
    let evaluation = fields.done(evaluation)?;
    let row = app
        .store
        .write(move |conn| Box::pin(async move { flow::evaluate(conn, evaluation, &cause).await }))
        .await?;
    Ok((StatusCode::CREATED, Json(row)))
}

/// Where the evaluations of a submission stand.
#[utoipa::path(get, path = "/api/v1/submissions/{id}/peer-consensus", tag = "peers", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "The standing", body = PeerConsensus),
        (status = 404, description = "No such submission", body = Problem)))]
pub async fn consensus(State(app): State<App>, Id(id): Id) -> ApiResult<Json<PeerConsensus>> {
    let mut conn = app.store.read().await?;
    let submission = submissions::get(&mut conn, &id).await?;
    Ok(Json(flow::standing(&mut conn, &submission).await?))
}

/// Evaluations, newest first.
#[utoipa::path(get, path = "/api/v1/peer-evaluations", tag = "peers",
    params(("submission_id" = Option<String>, Query, format = Uuid), ("task_id" = Option<String>, Query, format = Uuid),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "Evaluations; `Link` names the next page", body = Vec<PeerEvaluationRow>)))]
pub async fn list(State(app): State<App>, query: ListQuery) -> ApiResult<impl IntoResponse> {
    let page = query.page(100)?;
    let (submission, task) = (query.uuid("submission_id")?, query.uuid("task_id")?);
    let mut conn = app.store.read().await?;
    let rows = peers::list(&mut conn, submission.as_deref(), task.as_deref(), &page).await?;
    Ok(query.answer(rows, &page, |row| (row.created_at, &row.id)))
}
