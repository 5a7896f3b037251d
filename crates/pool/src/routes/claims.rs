//! Epochs and claim packages.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use protocol::claims::ClaimPackage;
use protocol::ss58::Address;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::error::{ApiError, ApiResult};
use super::openapi::{ClaimPackageView, Problem};
use crate::served::ServedEpoch;
use crate::store::{EpochRow, State as EpochState};

/// That the service answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`.
    status: &'static str,
}

/// Which epochs there are.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EpochList {
    /// Their numbers, oldest first.
    epochs: Vec<u64>,
    /// The newest published one; the newest built one while none is published.
    default_epoch: Option<u64>,
}

/// An epoch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EpochView {
    epoch: u64,
    /// `built`, or `published` when the chain has it for good.
    state: String,
    /// The contract that pays it, an ss58 address.
    #[schema(value_type = String)]
    contract: Address,
    /// `0x` and 64 hex digits.
    root: String,
    num_of_leaves: u32,
    /// In decimal digits: doubles lose the last of them.
    total_rao: String,
    /// In decimal digits.
    budget_rao: String,
    /// The epoch file is `/claims/documents/{file_sha256}`.
    file_sha256: String,
    /// Miners with a balance who had named no recipient.
    unassigned: usize,
}

/// Liveness.
#[utoipa::path(get, path = "/health", tag = "claims",
    responses((status = 200, description = "The service answers", body = Health)))]
pub(super) async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Every epoch that can be looked at.
#[utoipa::path(get, path = "/epochs", tag = "claims",
    responses((status = 200, description = "The epochs", body = EpochList)))]
pub(super) async fn epochs(State(app): State<App>) -> ApiResult<Json<EpochList>> {
    let rows = built(&app).await?;
    Ok(Json(EpochList {
        default_epoch: default_of(&rows).map(|row| row.epoch),
        epochs: rows.iter().map(|row| row.epoch).collect(),
    }))
}

/// The default epoch.
#[utoipa::path(get, path = "/epoch", tag = "claims",
    responses((status = 200, description = "The epoch", body = EpochView),
        (status = 404, description = "There is none yet", body = Problem)))]
pub(super) async fn default_epoch(State(app): State<App>) -> ApiResult<Json<EpochView>> {
    view(&app, default_row(&app).await?).await
}

/// One epoch.
#[utoipa::path(get, path = "/epoch/{id}", tag = "claims", params(("id" = u64, Path)),
    responses((status = 200, description = "The epoch", body = EpochView),
        (status = 404, description = "No such epoch", body = Problem)))]
pub(super) async fn epoch(
    State(app): State<App>,
    Path(id): Path<String>,
) -> ApiResult<Json<EpochView>> {
    view(&app, row_of(&app, &id).await?).await
}

/// A hotkey's claim package in an epoch.
#[utoipa::path(get, path = "/epoch/{id}/proof/{hotkey}", tag = "claims",
    params(("id" = u64, Path), ("hotkey" = String, Path, description = "ss58 address")),
    responses((status = 200, description = "The claim package", body = ClaimPackageView),
        (status = 404, description = "No such epoch, or nothing to claim in it", body = Problem)))]
pub(super) async fn proof(
    State(app): State<App>,
    Path((id, hotkey)): Path<(String, String)>,
) -> ApiResult<Json<ClaimPackage>> {
    let row = row_of(&app, &id).await?;
    package(&app, row, &hotkey).await
}

/// The same by its other name.
#[utoipa::path(get, path = "/epoch/{id}/claim/{hotkey}", tag = "claims",
    params(("id" = u64, Path), ("hotkey" = String, Path, description = "ss58 address")),
    responses((status = 200, description = "The claim package", body = ClaimPackageView),
        (status = 404, description = "No such epoch, or nothing to claim in it", body = Problem)))]
pub(super) async fn claim(
    app: State<App>,
    path: Path<(String, String)>,
) -> ApiResult<Json<ClaimPackage>> {
    proof(app, path).await
}

/// A hotkey's claim package in the default epoch.
#[utoipa::path(get, path = "/epoch/proof/{hotkey}", tag = "claims",
    params(("hotkey" = String, Path, description = "ss58 address")),
    responses((status = 200, description = "The claim package", body = ClaimPackageView),
        (status = 404, description = "No epoch yet, or nothing to claim in it", body = Problem)))]
pub(super) async fn default_proof(
    State(app): State<App>,
    Path(hotkey): Path<String>,
) -> ApiResult<Json<ClaimPackage>> {
    let row = default_row(&app).await?;
    package(&app, row, &hotkey).await
}

/// The same by its other name.
#[utoipa::path(get, path = "/claim/{hotkey}", tag = "claims",
    params(("hotkey" = String, Path, description = "ss58 address")),
    responses((status = 200, description = "The claim package", body = ClaimPackageView),
        (status = 404, description = "No epoch yet, or nothing to claim in it", body = Problem)))]
pub(super) async fn default_claim(
    app: State<App>,
    path: Path<String>,
) -> ApiResult<Json<ClaimPackage>> {
    default_proof(app, path).await
}

async fn built(app: &App) -> ApiResult<Vec<EpochRow>> {
    let mut rows = app.store.epochs().await?;
    rows.retain(|row| row.state.is_served());
    Ok(rows)
}

fn default_of(rows: &[EpochRow]) -> Option<&EpochRow> {
    let mut published = rows.iter().rev();
    let newest = published.find(|row| row.state == EpochState::Published);
    newest.or(rows.last())
}

async fn default_row(app: &App) -> ApiResult<EpochRow> {
    let rows = built(app).await?;
    let none = || ApiError::not_found("no_epoch", "no epoch is built yet");
    default_of(&rows).cloned().ok_or_else(none)
}

async fn row_of(app: &App, id: &str) -> ApiResult<EpochRow> {
    let none = || ApiError::not_found("no_such_epoch", format!("no epoch {id:.40}"));
    let number: u64 = id.parse().map_err(|_| none())?;
    let row = app.store.epoch(number).await?;
    row.filter(|row| row.state.is_served()).ok_or_else(none)
}

async fn load(app: &App, row: &EpochRow) -> ApiResult<Arc<ServedEpoch>> {
    let none = || ApiError::not_found("no_such_epoch", format!("epoch {} is not built", row.epoch));
    let digest = row.file_sha256.ok_or_else(none)?;
    Ok(app.epochs.get(digest).await?)
}

async fn view(app: &App, row: EpochRow) -> ApiResult<Json<EpochView>> {
    let served = load(app, &row).await?;
    let file = &served.file;
    Ok(Json(EpochView {
        epoch: file.epoch,
        state: row.state.to_string(),
        contract: file.contract,
        root: file.root.to_string(),
        num_of_leaves: file.num_of_leaves,
        total_rao: file.total_rao.to_string(),
        budget_rao: file.budget_rao.to_string(),
        file_sha256: served.digest.to_string(),
        unassigned: file.unassigned.len(),
    }))
}

async fn package(app: &App, row: EpochRow, hotkey: &str) -> ApiResult<Json<ClaimPackage>> {
    let problem = "is not an ss58 address of this network";
    let hotkey: Address = hotkey
        .parse()
        .map_err(|_| ApiError::field("path", "hotkey", problem))?;
    let served = load(app, &row).await?;
    let found = served.package(&hotkey).ok_or_else(|| {
        let detail = format!("{hotkey} has nothing to claim in epoch {}", row.epoch);
        ApiError::not_found("no_claim", detail)
    })?;
    Ok(Json(found))
}
