//! What is known of the chain: through the pool, which is asked for it.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiResult;
use crate::http::pages::ListQuery;
use crate::pool::{Balances, Claimed, Entry, EpochAnswer, Known, Report};
use crate::time::Timestamp;

/// Contract and chain status, as the pool reports it.
#[derive(Debug, Serialize, ToSchema)]
pub struct OnchainStatus {
    /// Whether the pool says that it publishes on the chain.
    enabled: bool,
    /// One sentence: what this answer rests on.
    pub(crate) detail: String,
    pool: PoolState,
    /// What the pool says of the contract; null where it says nothing.
    #[schema(value_type = Option<Object>)]
    contract_status: Option<serde_json::Value>,
    #[schema(value_type = Option<Object>)]
    proof_api: Option<serde_json::Value>,
    #[schema(value_type = Option<Vec<Object>>)]
    processes: Option<serde_json::Value>,
    #[schema(value_type = Option<Object>)]
    accounts: Option<serde_json::Value>,
    /// The epoch that the pool hands out when none is named.
    pub(crate) default_epoch: Option<u64>,
    /// How many epochs the pool has.
    pub(crate) epoch_count: usize,
    /// The newest of them, newest first; at most 20.
    pub(crate) epochs: Vec<EpochView>,
    pub(crate) balances: Option<BalancesView>,
}

/// Whether there is a pool, and whether it answers.
#[derive(Debug, Serialize, ToSchema)]
struct PoolState {
    configured: bool,
    answers: bool,
    /// When it said what is shown here.
    #[schema(value_type = Option<String>, format = DateTime)]
    as_of: Option<Timestamp>,
}

/// An epoch.
#[derive(Debug, Serialize, ToSchema)]
pub struct EpochView {
    pub(crate) epoch: u64,
    /// `built`, or `published` when the chain has it for good.
    pub(crate) state: Option<String>,
    /// An ss58 address.
    contract: Option<String>,
    /// `0x` and 64 hex digits.
    pub(crate) root: Option<String>,
    pub(crate) num_of_leaves: Option<u32>,
    /// What it declares: rao in decimal digits.
    pub(crate) total_rao: Option<String>,
    /// What it added: rao in decimal digits.
    pub(crate) budget_rao: Option<String>,
    file_sha256: Option<String>,
}

/// Who can claim how much in the default epoch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BalancesView {
    pub(crate) epoch: u64,
    /// How many miners have a claim.
    pub(crate) count: usize,
    /// Miners with a balance who have named no recipient.
    pub(crate) unassigned: usize,
    /// The block at which the contract was asked what it had paid; null where the
    /// pool does not report that.
    pub(crate) claimed_at_block: Option<u64>,
    /// The largest first, at most 1,000; with `hotkey` that one alone.
    pub(crate) miners: Vec<MinerView>,
}

/// A miner's claim.
#[derive(Debug, Serialize, ToSchema)]
pub struct MinerView {
    pub(crate) hotkey: String,
    pub(crate) recipient_coldkey: String,
    /// Everything earned so far: rao in decimal digits. A claim pays what of it was
    /// not paid before.
    pub(crate) amount_rao: String,
    /// What was paid before: rao in decimal digits; null where the pool does not report it.
    pub(crate) claimed_rao: Option<String>,
    /// What is left of it: rao in decimal digits; null while `claimed_rao` is.
    pub(crate) claimable_rao: Option<String>,
}

/// Contract and chain status. This process has no chain connection of its own: what
/// is shown is what the pool says, and `detail` says so when it says nothing.
#[utoipa::path(get, path = "/api/v1/onchain/status", tag = "rewards",
    params(("hotkey" = Option<String>, Query, description = "Only this miner's balance")),
    responses((status = 200, description = "What is known", body = OnchainStatus)))]
pub async fn status(State(app): State<App>, query: ListQuery) -> ApiResult<impl IntoResponse> {
    let mut view = read(&app).await;
    if let Some(hotkey) = query.hotkey("hotkey")?
        && let Some(balances) = &mut view.balances
    {
        balances.miners.retain(|one| one.hotkey == hotkey);
    }
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(view)))
}

/// What is known now.
pub async fn read(app: &App) -> OnchainStatus {
    match &app.settings.pool {
        None => OnchainStatus::of(None, "no pool is configured; nothing is known of the chain"),
        Some(pool) => {
            let Known {
                report, problem, ..
            } = pool.known(&app.clock).await;
            let detail = match (&report, problem) {
                (Some(_), None) => "as the pool reports it".to_owned(),
                (Some(_), Some(problem)) => format!("{problem}; this is what it said before"),
                (None, problem) => problem.unwrap_or_default(),
            };
            let answers = report.is_some() && detail == "as the pool reports it";
            let mut view = OnchainStatus::of(report.as_deref(), &detail);
            view.pool.configured = true;
            view.pool.answers = answers;
            view
        }
    }
}

impl OnchainStatus {
    fn of(report: Option<&Report>, detail: &str) -> Self {
        let runtime = report.and_then(|report| report.runtime.as_ref());
        let part = |name: &str| runtime.and_then(|runtime| runtime.get(name)).cloned();
        let balances = report.map(|report| &report.balances);
        let mut detail = detail.to_owned();
        if let Some(Err(problem)) = balances {
            detail = format!("{detail}; balances are not shown: {problem}");
        }
        Self {
            enabled: part("enabled") == Some(serde_json::Value::Bool(true)),
            detail,
            pool: PoolState {
                configured: false,
                answers: false,
                as_of: report.map(|report| report.at),
            },
            contract_status: part("contract_status"),
            proof_api: part("proof_api"),
            processes: part("processes"),
            accounts: part("accounts"),
            default_epoch: report.and_then(|report| report.default_epoch),
            epoch_count: report.map_or(0, |report| report.epoch_count),
            epochs: report.map_or_else(Vec::new, |report| {
                report.epochs.iter().map(EpochView::of).collect()
            }),
            balances: balances
                .and_then(|balances| balances.as_ref().ok())
                .map(|balances| {
                    let claimed = report.and_then(|report| report.claimed.as_ref());
                    BalancesView::of(balances, claimed)
                }),
        }
    }

    /// Whether what is shown is what the pool says now.
    pub(crate) const fn is_current(&self) -> bool {
        self.pool.answers
    }

    /// When the pool said it.
    pub(crate) const fn as_of(&self) -> Option<Timestamp> {
        self.pool.as_of
    }

    /// The contract of the newest epoch.
    pub(crate) fn contract(&self) -> Option<&str> {
        self.epochs.iter().find_map(|one| one.contract.as_deref())
    }
}

impl EpochView {
    fn of(epoch: &EpochAnswer) -> Self {
        let text = |rao: Option<u64>| rao.map(|rao| rao.to_string());
        Self {
            epoch: epoch.epoch,
            state: epoch.state.clone(),
            contract: epoch.contract.map(|contract| contract.to_string()),
            root: epoch.root.map(|root| root.to_string()),
            num_of_leaves: epoch.num_of_leaves,
            total_rao: text(epoch.total_rao),
            budget_rao: text(epoch.budget_rao),
            file_sha256: epoch.file_sha256.map(|digest| digest.to_string()),
        }
    }
}

impl BalancesView {
    fn of(balances: &Balances, claimed: Option<&Claimed>) -> Self {
        let miner = |entry: &Entry| MinerView::of(entry, claimed);
        Self {
            epoch: balances.epoch,
            count: balances.count,
            unassigned: balances.unassigned,
            claimed_at_block: claimed.map(|claimed| claimed.block),
            miners: balances.entries.iter().map(miner).collect(),
        }
    }
}

impl MinerView {
    fn of(entry: &Entry, claimed: Option<&Claimed>) -> Self {
        let claimed = claimed.map(|claimed| claimed.of(&entry.hotkey));
        let left = claimed.map(|claimed| entry.amount_rao.saturating_sub(claimed));
        Self {
            hotkey: entry.hotkey.to_string(),
            recipient_coldkey: entry.recipient_coldkey.to_string(),
            amount_rao: entry.amount_rao.to_string(),
            claimed_rao: claimed.map(|rao| rao.to_string()),
            claimable_rao: left.map(|rao| rao.to_string()),
        }
    }
}
