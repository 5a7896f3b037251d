//! Every refusal: its status, its stable code, and its sentence.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::served::ServeError;
use crate::store::StoreError;

/// A refusal.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: Value,
    retry_after_seconds: Option<u64>,
}

pub(super) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: Value::String(detail.into()),
            retry_after_seconds: None,
        }
    }

    /// Says when to come back.
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        Self {
            retry_after_seconds: Some(seconds),
            ..self
        }
    }

    pub(super) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    pub(super) fn unauthenticated(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 422: one field, or one part of the path, is wrong.
    pub(super) fn field(place: &str, field: &str, problem: &str) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "invalid_fields",
            detail: json!([{"loc": [place, field], "field": field, "msg": problem}]),
            retry_after_seconds: None,
        }
    }

    fn internal(what: &dyn std::fmt::Display) -> Self {
        // What a database or a file system says is for our log only.
        tracing::error!(error = %what, "internal error");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "internal error",
        )
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let conflict = |code| Self::new(StatusCode::CONFLICT, code, error.to_string());
        match &error {
            StoreError::Frozen(_) => conflict("epoch_frozen"),
            StoreError::NotNewer { .. } => conflict("recipient_not_newer"),
            StoreError::Database(cause) => {
                tracing::error!(%cause, "the database failed");
                let detail = "the database is busy or away; nothing was changed";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_failed", detail).retry_after(5)
            }
            other => Self::internal(other),
        }
    }
}

impl From<ServeError> for ApiError {
    fn from(error: ServeError) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(json!({"detail": self.detail, "code": self.code}));
        let mut response = (self.status, body).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
