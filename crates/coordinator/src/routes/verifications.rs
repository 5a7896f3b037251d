//! What validators said, and saying it without a job.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;

use super::jobs::ResultRequest;
use super::openapi::Problem;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::flow::jobs;
use crate::http::auth::Validator;
use crate::http::body::RESULT;
use crate::http::pages::{Id, ListQuery};
use crate::store::rows::{VerificationRow, VerificationStatus};
use crate::store::verifications;

/// Direct verification, off unless the operator turns it on.
#[utoipa::path(post, path = "/api/v1/submissions/{id}/verify", tag = "validators",
    security(("hotkey" = [])), params(("id" = String, Path, format = Uuid)), request_body = ResultRequest,
    responses((status = 200, description = "The job's row", body = VerificationRow),
        (status = 404, description = "No such submission", body = Problem),
        (status = 409, description = "Another result, or decided", body = Problem)))]
pub async fn verify(
    State(app): State<App>,
    Id(id): Id,
    Validator(signed): Validator<RESULT>,
) -> ApiResult<Json<VerificationRow>> {
    if !app.settings.direct_verification {
        let detail = "direct verification is off; use the worklist";
        return Err(ApiError::forbidden("direct_verification_off", detail));
    }
    let seen = super::jobs::read(signed.fields()?, Some(id.clone()))?;
    let cause = signed.cause();
    let row = app
        .store
        .write(move |conn| {
            Box::pin(async move {
                let hotkey = cause.actor.clone();
                let job_id = jobs::job_id(&id, &hotkey);
                jobs::post(conn, &job_id, &hotkey, seen, &cause).await
            })
        })
        .await?;
    Ok(Json(row))
}

/// Verifications, newest first; the `id` of each is its job's id.
#[utoipa::path(get, path = "/api/v1/verifications", tag = "validators",
    params(("submission_id" = Option<String>, Query, format = Uuid), ("status" = Option<VerificationStatus>, Query),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "Verifications; `Link` names the next page", body = Vec<VerificationRow>)))]
pub async fn list(State(app): State<App>, query: ListQuery) -> ApiResult<impl IntoResponse> {
    let page = query.page(100)?;
    let (submission, status) = (
        query.uuid("submission_id")?,
        query.choice("status", VerificationStatus::ALL)?,
    );
    let mut conn = app.store.read().await?;
    let rows =
        verifications::list(&mut conn, submission.as_deref(), status.as_deref(), &page).await?;
    Ok(query.answer(rows, &page, |row| (row.created_at, &row.id)))
}
