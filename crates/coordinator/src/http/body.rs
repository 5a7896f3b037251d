//! Reads a request's body: bounded in bytes and in time, then as strict JSON.

use std::time::Duration;

use axum::body::Body;
use axum::http::Extensions;
use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::SemaphorePermit;

use super::crowd::Place;
use super::fields::Fields;
use super::frame::ClientAddress;
use crate::app::App;
use crate::error::{ApiError, ApiResult};

/// What a small body may have: claims, evaluations, heartbeats.
pub const SMALL: usize = 256 << 10;
/// A task, with its brief and onboarding text.
pub const TASK: usize = 2 << 20;
/// A submission: the largest patch that a task can allow, escaped, and a log.
pub const SUBMISSION: usize = 72 << 20;
/// A result with its replay log.
pub const RESULT: usize = 8 << 20;

/// Over this, a body needs one of a few places.
pub const LARGE: usize = 1 << 20;

/// What is read of a body that is refused for its length, and for how long.
const DRAIN: usize = 16 << 20;
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// A body that is strict JSON: no duplicate keys, no NaN, nothing after the end.
#[derive(Debug, Clone)]
pub struct StrictJson {
    /// As it was sent; empty if there was none.
    pub text: String,
    canonical: String,
}

impl StrictJson {
    /// Reads and checks a body of at most `limit` bytes. Nobody is authenticated
    /// before it is read, so a large one must find a place among a few.
    pub async fn read(app: &App, parts: &Parts, body: Body, limit: usize) -> ApiResult<Self> {
        let patience = app.settings.patience;
        // A body in chunks is as long as its chunks, whatever it declares.
        let is_chunked = parts.headers.contains_key(TRANSFER_ENCODING);
        let declared = parts
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<usize>().ok())
            .filter(|_| !is_chunked);
        if declared.is_some_and(|length| length > limit) {
            drain(body).await;
            return Err(too_large(limit));
        }
        let is_large = limit > LARGE && declared.is_none_or(|length| length > LARGE);
        let _place = if is_large {
            Some(place(app, &parts.extensions).await?)
        } else {
            None
        };
        let mut body = body;
        let read = tokio::time::timeout(patience, Limited::new(&mut body, limit).collect());
        let bytes = match read.await {
            Ok(Ok(bytes)) => bytes.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                drain(body).await;
                return Err(too_large(limit));
            }
            Ok(Err(_)) => {
                let detail = "the body could not be read";
                return Err(ApiError::malformed("body_unreadable", detail));
            }
            Err(_) => {
                let detail = "the body took too long to arrive";
                return Err(ApiError::malformed("body_too_slow", detail));
            }
        };
        if bytes.len() <= LARGE {
            return Self::check(bytes.into());
        }
        // Too long for the reactor's own threads.
        tokio::task::spawn_blocking(move || Self::check(bytes.into()))
            .await
            .map_err(|error| ApiError::Internal(error.to_string()))?
    }

    fn check(bytes: Vec<u8>) -> ApiResult<Self> {
        let not_utf8 = |_| ApiError::malformed("not_utf8", "the body is not UTF-8");
        let text = String::from_utf8(bytes).map_err(not_utf8)?;
        if text.is_empty() {
            return Ok(Self {
                text,
                canonical: String::new(),
            });
        }
        let canonical = protocol::canonical_json::canonicalize(text.as_bytes())
            .map_err(|error| ApiError::malformed("malformed_json", error.to_string()))?;
        Ok(Self { text, canonical })
    }

    /// SHA-256 of the canonical form: what of the body is signed.
    pub fn digest(&self) -> protocol::Sha256Digest {
        protocol::Sha256Digest::of(self.canonical.as_bytes())
    }

    /// The fields of a body that must be there.
    pub fn fields(&self) -> ApiResult<Fields> {
        Fields::of(&self.text)
    }

    /// The fields of a body that may be left out.
    pub fn fields_if_any(&self) -> ApiResult<Fields> {
        if self.text.is_empty() {
            return Ok(Fields::none());
        }
        self.fields()
    }
}

/// A place among those of everybody, and among those of one address.
async fn place<'a>(
    app: &'a App,
    extensions: &Extensions,
) -> ApiResult<(SemaphorePermit<'a>, Place<String>)> {
    let address = extensions.get::<ClientAddress>();
    let name = address.map_or_else(String::new, |address| address.0.clone());
    let of_one = app
        .large_bodies_of_one
        .enter(name)
        .ok_or(ApiError::TooMany {
            retry_after_seconds: 1,
        })?;
    let busy = || ApiError::unavailable("busy", "too many large bodies at once");
    match tokio::time::timeout(app.settings.patience, app.large_bodies.acquire()).await {
        Ok(Ok(place)) => Ok((place, of_one)),
        Ok(Err(_)) | Err(_) => Err(busy()),
    }
}

/// Takes what is still on its way, within bounds: a connection that is closed on
/// a client in the middle of sending resets it, and the client never reads why.
async fn drain(mut body: Body) {
    let mut left = DRAIN;
    let take = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, bytes::Bytes::len);
            left = left.saturating_sub(length);
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_PATIENCE, take).await;
}

fn too_large(limit: usize) -> ApiError {
    ApiError::too_large("body_too_large", format!("the body is over {limit} bytes"))
}
