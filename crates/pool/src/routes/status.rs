//! What operators' monitors read.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::error::ApiResult;
use crate::publisher;
use crate::store::{ContractSeen, now};

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

/// The newest published epoch, as the publisher last read it: this process has no
/// chain connection of its own, and does not guess.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContractStatus {
    /// Why nothing is known now.
    read_error: Option<String>,
    /// 1 while it is disputed; there is never more than one dispute.
    active_veto_count: Option<u32>,
    is_veto_active: Option<bool>,
    /// Whether it can be claimed. False when that is not known.
    claim_ready: bool,
}

impl ContractStatus {
    fn of(seen: Option<ContractSeen>, now: u64) -> Self {
        let unknown = |why: String| Self {
            read_error: Some(why),
            active_veto_count: None,
            is_veto_active: None,
            claim_ready: false,
        };
        let Some(seen) = seen else {
            return unknown("no publisher has seen a published epoch".to_owned());
        };
        let age = now.saturating_sub(seen.seen_at);
        if age > SILENCE {
            return unknown(format!(
                "the publisher has not read the contract for {age} s"
            ));
        }
        Self {
            read_error: None,
            active_veto_count: Some(seen.is_disputed.into()),
            is_veto_active: Some(seen.is_disputed),
            claim_ready: seen.is_open(),
        }
    }
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
            contract_status: ContractStatus::of(app.store.contract_seen().await?, now),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(seen_at: u64, finalized_block: u64, is_disputed: bool) -> ContractStatus {
        let seen = ContractSeen {
            seen_at,
            finalized_block,
            is_disputed,
            claims_open_at: 100,
        };
        ContractStatus::of(Some(seen), 1_000)
    }

    #[test]
    fn claims_are_ready_when_they_are_open_and_nobody_disputes_them() {
        assert!(told(1_000, 100, false).claim_ready);
        assert!(!told(1_000, 99, false).claim_ready);
        let disputed = told(940, 100, true);
        assert!(!disputed.claim_ready);
        assert_eq!(
            (disputed.active_veto_count, disputed.is_veto_active),
            (Some(1), Some(true))
        );
    }

    #[test]
    fn what_was_read_long_ago_is_not_told_as_if_it_were_now() {
        let old = told(939, 100, false);
        assert!(old.read_error.unwrap().contains("for 61 s"));
        assert_eq!((old.active_veto_count, old.claim_ready), (None, false));
        assert!(ContractStatus::of(None, 1_000).read_error.is_some());
    }
}
