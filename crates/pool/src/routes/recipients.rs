//! Who is paid for a hotkey.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use protocol::claims::{
    KEY_HEADER, RecipientUpdate, SIGNATURE_HEADER, TIMESTAMP_HEADER, UpdateError, UpdateHeaders,
};
use protocol::hotkey::Hotkey;
use protocol::ss58::Address;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::App;
use super::error::{ApiError, ApiResult};
use super::openapi::{ColdkeyAddress, Problem, RecipientColdkey};
use crate::store::{RecipientRow, now};

/// A body, or why it was not read.
type Body = Result<Bytes, BytesRejection>;

/// How many mappings of a hotkey are shown.
const HISTORY: u32 = 1000;

/// A mapping, with the signature that anyone can check.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecipientView {
    /// An ss58 address.
    hotkey: String,
    /// An ss58 address.
    recipient_coldkey: String,
    /// What the miner signed as `{timestamp}`, in Unix seconds.
    signed_at: u64,
    /// Over `recipient_coldkey:update:{signed_at}:{recipient_coldkey}`, in hex.
    signature: String,
    /// In Unix seconds.
    received_at: u64,
}

impl From<RecipientRow> for RecipientView {
    fn from(row: RecipientRow) -> Self {
        Self {
            hotkey: row.update.hotkey.to_string(),
            recipient_coldkey: row.update.recipient_coldkey.to_string(),
            signed_at: row.update.signed_at,
            signature: row.update.signature.to_string(),
            received_at: row.received_at,
        }
    }
}

/// Say who is paid, from the next epoch on.
#[utoipa::path(put, path = "/api/v1/miners/recipient-coldkey", tag = "recipients",
    security(("recipient" = [])), request_body = RecipientColdkey,
    responses((status = 200, description = "In force", body = RecipientView),
        (status = 409, description = "An epoch is frozen (`epoch_frozen`), or a newer mapping is in force", body = Problem)))]
pub(super) async fn put(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Json<RecipientView>> {
    set(&app, &headers, body, "recipient_coldkey").await
}

/// The same with the other method.
#[utoipa::path(post, path = "/api/v1/miners/recipient-coldkey", tag = "recipients",
    security(("recipient" = [])), request_body = RecipientColdkey,
    responses((status = 200, description = "In force", body = RecipientView),
        (status = 409, description = "An epoch is frozen (`epoch_frozen`), or a newer mapping is in force", body = Problem)))]
pub(super) async fn post(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Json<RecipientView>> {
    set(&app, &headers, body, "recipient_coldkey").await
}

/// The same as older clients send it.
#[utoipa::path(post, path = "/coldkey_address/update", tag = "recipients",
    security(("recipient" = [])), request_body = ColdkeyAddress,
    responses((status = 200, description = "In force", body = RecipientView),
        (status = 409, description = "An epoch is frozen (`epoch_frozen`), or a newer mapping is in force", body = Problem)))]
pub(super) async fn update(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Json<RecipientView>> {
    set(&app, &headers, body, "coldkey_address").await
}

/// The same as older clients send it, at its other place.
#[utoipa::path(post, path = "/api/v1/miners/coldkey_address/update", tag = "recipients",
    security(("recipient" = [])), request_body = ColdkeyAddress,
    responses((status = 200, description = "In force", body = RecipientView),
        (status = 409, description = "An epoch is frozen (`epoch_frozen`), or a newer mapping is in force", body = Problem)))]
pub(super) async fn update_below_miners(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Json<RecipientView>> {
    set(&app, &headers, body, "coldkey_address").await
}

/// Who is paid now.
#[utoipa::path(get, path = "/api/v1/miners/recipient-coldkey/{hotkey}", tag = "recipients",
    params(("hotkey" = String, Path, description = "ss58 address")),
    responses((status = 200, description = "The mapping in force", body = RecipientView),
        (status = 404, description = "The hotkey named nobody", body = Problem)))]
pub(super) async fn get(
    State(app): State<App>,
    Path(hotkey): Path<String>,
) -> ApiResult<Json<RecipientView>> {
    let rows = app.store.recipients_of(&named(&hotkey)?, 1).await?;
    let newest = rows.into_iter().next();
    let none = || ApiError::not_found("no_recipient", format!("{hotkey} has named no recipient"));
    newest.map(|row| Json(row.into())).ok_or_else(none)
}

/// Every mapping that was ever in force, newest first, at most 1,000.
#[utoipa::path(get, path = "/api/v1/miners/recipient-coldkey/{hotkey}/history", tag = "recipients",
    params(("hotkey" = String, Path, description = "ss58 address")),
    responses((status = 200, description = "The mappings", body = Vec<RecipientView>)))]
pub(super) async fn history(
    State(app): State<App>,
    Path(hotkey): Path<String>,
) -> ApiResult<Json<Vec<RecipientView>>> {
    let rows = app.store.recipients_of(&named(&hotkey)?, HISTORY).await?;
    Ok(Json(rows.into_iter().map(RecipientView::from).collect()))
}

fn named(hotkey: &str) -> ApiResult<Hotkey> {
    let wrong = |_| ApiError::field("path", "hotkey", "is not an ss58 address of this network");
    hotkey.parse().map_err(wrong)
}

async fn set(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    field: &'static str,
) -> ApiResult<Json<RecipientView>> {
    let body =
        body.map_err(|error| ApiError::new(error.status(), "body_unreadable", error.body_text()))?;
    let headers = UpdateHeaders {
        key: only(headers, KEY_HEADER)?,
        timestamp: only(headers, TIMESTAMP_HEADER)?,
        signature: only(headers, SIGNATURE_HEADER)?,
    };
    let recipient = recipient(&body, field)?;
    let checked = RecipientUpdate::authenticate(&headers, recipient, now(), app.freshness_seconds);
    let update = checked.map_err(|error| refusal(&error))?;
    let row = app.store.set_recipient(update).await?;
    Ok(Json(row.into()))
}

/// The one value of a header. A second one is refused: a proxy might check one of
/// them and pass on both.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> ApiResult<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        let detail = format!("more than one {name}");
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "repeated_header",
            detail,
        ));
    }
    let text = value.and_then(|value| value.to_str().ok());
    text.ok_or_else(|| ApiError::unauthenticated("not_signed", format!("{name} is missing")))
}

fn recipient(body: &[u8], field: &'static str) -> ApiResult<Address> {
    // Canonical JSON refuses keys that are there twice; a plain reader takes one.
    let body: Value = protocol::canonical_json::canonicalize(body)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .filter(Value::is_object)
        .ok_or_else(|| {
            let detail = format!("the body is no JSON object with {field:?}");
            ApiError::new(StatusCode::BAD_REQUEST, "malformed_json", detail)
        })?;
    let text = body.get(field).and_then(Value::as_str);
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| ApiError::field("body", field, "is not an ss58 address of this network"))
}

fn refusal(error: &UpdateError) -> ApiError {
    let code = match error {
        UpdateError::Stale { .. } => "stale_timestamp",
        UpdateError::Mismatch => "wrong_signature",
        _ => "malformed_signature",
    };
    ApiError::unauthenticated(code, error.to_string())
}
