//! Every refusal: its status, its stable code, and its sentence.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::task::FieldError;
use serde_json::json;

/// Why a request is refused. The code is stable; the sentence is for people.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A refusal with a status and a code of its own.
    #[error("{detail}")]
    Refused {
        /// The status of the answer.
        status: StatusCode,
        /// The stable code.
        code: &'static str,
        /// One sentence for a person.
        detail: String,
    },
    /// Fields of the body or the query that are wrong, all of them.
    #[error("{} wrong field(s)", .0.len())]
    Fields(Vec<FieldError>),
    /// Too many requests.
    #[error("too many requests; wait {retry_after_seconds} s")]
    TooMany {
        /// What `Retry-After` says.
        retry_after_seconds: u64,
    },
    /// The database failed. What it said goes to the log, never to a client.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A mistake of ours, named in the log.
    #[error("internal error: {0}")]
    Internal(String),
}

/// The result of everything that a request asks for.
pub type ApiResult<T> = Result<T, ApiError>;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $status:ident;)+) => {
        impl ApiError {
            $($(#[$doc])*
            pub fn $name(code: &'static str, detail: impl Into<String>) -> Self {
                Self::Refused { status: StatusCode::$status, code, detail: detail.into() }
            })+
        }
    };
}

refusals! {
    /// 400: the request is not what the route reads.
    malformed = BAD_REQUEST;
    /// 401: not authenticated.
    unauthenticated = UNAUTHORIZED;
    /// 403: authenticated, and not allowed.
    forbidden = FORBIDDEN;
    /// 404: no such thing.
    not_found = NOT_FOUND;
    /// 409: the state of things does not allow it.
    conflict = CONFLICT;
    /// 413: too large.
    too_large = PAYLOAD_TOO_LARGE;
    /// 503: something that decides is not reachable.
    unavailable = SERVICE_UNAVAILABLE;
}

impl ApiError {
    /// 422 for one field.
    pub fn field(field: &str, problem: impl Into<String>) -> Self {
        Self::Fields(vec![FieldError {
            field: field.to_owned(),
            problem: problem.into(),
        }])
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused { status, .. } => *status,
            Self::Fields(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Database(error) if is_busy(error) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Fields(_) => "invalid_fields",
            Self::TooMany { .. } => "too_many_requests",
            Self::Database(error) if is_busy(error) => "database_busy",
            Self::Database(_) => "database_failed",
            Self::Internal(_) => "internal",
        }
    }

    fn body(&self) -> serde_json::Value {
        match self {
            Self::Fields(errors) => {
                let list: Vec<_> = errors.iter().map(field_entry).collect();
                json!({"detail": list, "code": self.code()})
            }
            Self::Internal(_) => json!({"detail": "internal error", "code": self.code()}),
            _ => json!({"detail": self.to_string(), "code": self.code()}),
        }
    }
}

fn field_entry(error: &FieldError) -> serde_json::Value {
    json!({"loc": ["body", error.field], "field": error.field, "msg": error.problem})
}

/// Whether trying again later can help: no connection was free in time, or
/// another process held the lock for longer than the busy timeout.
fn is_busy(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => matches!(
            error.code().as_deref(),
            // SQLite's busy and its kinds; PostgreSQL's serialization failure,
            // deadlock, too many connections and shutdown.
            Some("5" | "261" | "517" | "40001" | "40P01" | "53300" | "57P01" | "57P03")
        ),
        _ => false,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match &self {
            Self::Database(error) => tracing::error!(%error, "the database failed"),
            Self::Internal(error) => tracing::error!(error, "internal error"),
            _ => tracing::debug!(code = self.code(), detail = %self, "refused"),
        }
        let mut response = (self.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        match &self {
            Self::TooMany {
                retry_after_seconds,
            } => {
                headers.insert(header::RETRY_AFTER, (*retry_after_seconds).into());
            }
            _ if self.status() == StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ if self.status() == StatusCode::UNAUTHORIZED => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("BT-AUTH-V1"),
                );
            }
            _ => {}
        }
        response
    }
}
