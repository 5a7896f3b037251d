//! What operators' monitors read.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::error::ApiResult;
use crate::publisher;
use crate::store::now;

/// A process that was silent for so many seconds does not run.
const SILENCE: u64 = 60;

/// The service and what it knows of the chain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Status {
    /// `healthy`.
    status: &'static str,
    onchain_runtime: Runtime,
}

/// What this pool does on the chain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Runtime {
    /// Whether a publisher runs.
    enabled: bool,
    proof_api: ProofApi,
    contract_status: ContractStatus,
    processes: Vec<ProcessView>,
    accounts: Accounts,
}

/// The claims routes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProofApi {
    /// Always true: this is it.
    enabled: bool,
}

/// The contract. This process has no chain connection of its own, and does not
/// guess.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContractStatus {
    read_error: Option<&'static str>,
    active_veto_count: Option<u32>,
    is_veto_active: Option<bool>,
    /// False when it is not known.
    claim_ready: bool,
}

/// A process of the pool.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProcessView {
    name: String,
    /// Whether it said so within the last minute.
    running: bool,
}

/// The accounts that sign.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accounts {
    /// An ss58 address, once a publisher has run.
    publisher: Option<String>,
}

/// Health, processes and accounts.
#[utoipa::path(get, path = "/status", tag = "service",
    responses((status = 200, description = "The status", body = Status)))]
pub(super) async fn status(State(app): State<App>) -> ApiResult<Json<Status>> {
    let now = now();
    let processes = app.store.processes().await?;
    let is_publisher = |name: &str| name == publisher::NAME;
    let publisher = processes.iter().find(|one| is_publisher(&one.name));
    let views: Vec<ProcessView> = processes
        .iter()
        .map(|one| ProcessView {
            name: one.name.clone(),
            running: now.saturating_sub(one.seen_at) <= SILENCE,
        })
        .collect();
    Ok(Json(Status {
        status: "healthy",
        onchain_runtime: Runtime {
            enabled: views
                .iter()
                .any(|one| one.running && is_publisher(&one.name)),
            proof_api: ProofApi { enabled: true },
            contract_status: ContractStatus {
                read_error: Some("this service reads no chain"),
                active_veto_count: None,
                is_veto_active: None,
                claim_ready: false,
            },
            accounts: Accounts {
                publisher: publisher.and_then(|one| one.account.clone()),
            },
            processes: views,
        },
    }))
}

/// Readiness: the database answers.
#[utoipa::path(get, path = "/readyz", tag = "service",
    responses((status = 204, description = "The database answers")))]
pub(super) async fn readyz(State(app): State<App>) -> ApiResult<StatusCode> {
    app.store.ping().await?;
    Ok(StatusCode::NO_CONTENT)
}
