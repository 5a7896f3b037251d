//! The documents that epochs are computed from, for whoever recomputes them.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use protocol::Sha256Digest;

use super::App;
use super::error::{ApiError, ApiResult};
use super::openapi::Problem;
use crate::blobs::BlobError;

/// A document by its SHA-256: an epoch file, or one of its inputs.
#[utoipa::path(get, path = "/documents/{sha256}", tag = "claims",
    params(("sha256" = String, Path, description = "64 lower-case hex digits")),
    responses((status = 200, description = "The document", body = Object),
        (status = 404, description = "No such document", body = Problem)))]
pub(super) async fn document(
    State(app): State<App>,
    Path(digest): Path<String>,
) -> ApiResult<impl IntoResponse> {
    let none = || ApiError::not_found("no_such_document", "no document with this digest");
    // Only a digest is ever joined to a path.
    let digest: Sha256Digest = digest.parse().map_err(|_| none())?;
    let blobs = app.epochs.blobs().clone();
    let read = tokio::task::spawn_blocking(move || blobs.get(digest)).await;
    let bytes = match read {
        Ok(Err(BlobError::Missing { .. })) => return Err(none()),
        Ok(found) => found.map_err(crate::served::ServeError::from)?,
        Err(_) => return Err(crate::served::ServeError::Cancelled.into()),
    };
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        // A digest never means anything else later.
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, bytes))
}
