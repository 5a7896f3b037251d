//! What miners have claimed.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::error::{ApiError, ApiResult};
use super::openapi::Problem;

/// What the contract had paid, at one block.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClaimedView {
    /// The number of the finalized block.
    block: u64,
    /// In the order of the hotkeys' bytes; a hotkey that is not here was paid nothing.
    claimed: Vec<ClaimedAmount>,
}

/// What one hotkey was paid.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClaimedAmount {
    /// An ss58 address.
    hotkey: String,
    /// In all, in decimal digits.
    amount_rao: String,
}

/// What the contract had paid each hotkey, as this pool's publisher last read it.
#[utoipa::path(get, path = "/claimed", tag = "claims",
    responses((status = 200, description = "The amounts, all of one block", body = ClaimedView),
        (status = 404, description = "Nothing was read yet (`not_reported`)", body = Problem)))]
pub(super) async fn claimed(State(app): State<App>) -> ApiResult<Json<ClaimedView>> {
    let none = || {
        let detail = "no publisher of this pool has read yet what the contract paid";
        ApiError::not_found("not_reported", detail)
    };
    let kept = app.store.claimed().await?.ok_or_else(none)?;
    let amounts = kept.amounts.into_iter();
    Ok(Json(ClaimedView {
        block: kept.finalized_block,
        claimed: amounts
            .map(|(hotkey, amount)| ClaimedAmount {
                hotkey: hotkey.to_string(),
                amount_rao: amount.to_string(),
            })
            .collect(),
    }))
}
