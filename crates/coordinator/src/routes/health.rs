//! Whether the service lives and can answer.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{ApiError, ApiResult};

/// That the process lives.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    status: &'static str,
}

/// Liveness.
#[utoipa::path(get, path = "/healthz", tag = "service",
    responses((status = 200, description = "The process lives", body = Health)))]
pub async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Readiness: the database answers.
#[utoipa::path(get, path = "/readyz", tag = "service",
    responses((status = 204, description = "The database answers")))]
pub async fn readyz(State(app): State<App>) -> ApiResult<StatusCode> {
    sqlx::query("SELECT 1")
        .execute(app.store.reads())
        .await
        .map_err(|_| {
            ApiError::unavailable("database_unreachable", "the database does not answer")
        })?;
    Ok(StatusCode::NO_CONTENT)
}
