//! Idea rewards, the reward policy, and the snapshot that everything is paid by.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use protocol::Task;
use protocol::task::{CompetitionMode, RankingMode};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::flow::decide::task_of;
use crate::http::auth::Admin;
use crate::http::pages::ListQuery;
use crate::rules::policy::RewardPolicy;
use crate::rules::snapshot::{Competition, divide};
use crate::store::bests::OutcomeRow;
use crate::store::events::{self, Event};
use crate::store::rows::{IdeaRewardRow, JsonText, TaskRow, TaskState};
use crate::store::{Conn, bests, ideas, policies, tasks};
use crate::time::Timestamp;

/// Ideas that other miners implemented with success, newest first.
#[utoipa::path(get, path = "/api/v1/idea-rewards", tag = "rewards",
    params(("limit" = Option<i64>, Query, minimum = 1, maximum = 1000), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "Idea rewards; `Link` names the next page", body = Vec<IdeaRewardRow>)))]
pub async fn ideas(State(app): State<App>, query: ListQuery) -> ApiResult<impl IntoResponse> {
    let page = query.page(100)?;
    let mut conn = app.store.read().await?;
    let rows = ideas::newest(&mut conn, page.before.0, page.limit).await?;
    Ok(query.answer(rows, &page, |row| {
        (row.created_at, &row.implementing_submission_id)
    }))
}

/// The policy in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyView {
    /// 0 for the built-in default.
    version: i64,
    /// The document.
    #[serde(flatten)]
    policy: RewardPolicy,
}

async fn policy_in_force(conn: &mut Conn) -> ApiResult<PolicyView> {
    let Some(row) = policies::current(conn).await? else {
        return Ok(PolicyView {
            version: 0,
            policy: RewardPolicy::default(),
        });
    };
    let policy = serde_json::from_str(&row.document).map_err(|error| {
        ApiError::Internal(format!("policy {} is unreadable: {error}", row.version))
    })?;
    Ok(PolicyView {
        version: row.version,
        policy,
    })
}

/// The reward policy in force.
#[utoipa::path(get, path = "/api/v1/reward-policy", tag = "rewards", security(("admin_token" = [])),
    responses((status = 200, description = "The policy", body = PolicyView)))]
pub async fn policy(State(app): State<App>, _admin: Admin) -> ApiResult<Json<PolicyView>> {
    Ok(Json(policy_in_force(&mut *app.store.read().await?).await?))
}

/// A policy to be put in force.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body; the fields are read one by one"
)]
pub struct PolicyRequest {
    /// The version that it was made from; refused if that is not in force any more.
    #[schema(minimum = 0)]
    version: Option<i64>,
    /// The document.
    #[serde(flatten)]
    policy: RewardPolicy,
}

/// Put a new version of the reward policy in force: what was read may be put back,
/// changed.
#[utoipa::path(put, path = "/api/v1/reward-policy", tag = "rewards", security(("admin_token" = [])),
    request_body = PolicyRequest,
    responses((status = 200, description = "The policy", body = PolicyView),
        (status = 409, description = "`version` is not the one in force, or another was put at the same moment", body = crate::routes::openapi::Problem)))]
pub async fn put_policy(State(app): State<App>, admin: Admin) -> ApiResult<Json<PolicyView>> {
    let mut fields = admin.fields()?;
    let is_hotkey = |text: &str| text.parse::<protocol::ss58::Address>().is_ok();
    let made_from = fields.optional_integer("version", 0, i64::MAX);
    let policy = RewardPolicy::read(&mut fields, is_hotkey);
    let policy = fields.done(policy)?;
    let document =
        serde_json::to_string(&policy).map_err(|error| ApiError::Internal(error.to_string()))?;
    let cause = admin.cause();
    let version = app
        .store
        .write(move |conn| {
            Box::pin(async move {
                let taken = || ApiError::conflict("policy_changed", "another version was put now");
                let version = policies::append(conn, &document, cause.at)
                    .await?
                    .ok_or_else(taken)?;
                if let Some(old) = made_from.filter(|old| old.checked_add(1) != Some(version)) {
                    let detail = format!("version {old} is not in force; {} is", version - 1);
                    return Err(ApiError::conflict("policy_changed", detail));
                }
                let event = Event {
                    action: "policy.changed",
                    subject: "reward-policy",
                    task_id: None,
                };
                events::record(conn, &cause, event, &json!({"version": version})).await?;
                Ok(version)
            })
        })
        .await?;
    Ok(Json(PolicyView { version, policy }))
}

/// Who is to be paid which part, from the state at one moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Snapshot {
    #[schema(value_type = String, format = DateTime)]
    generated_at: Timestamp,
    /// What `share_ppb` is parts of.
    share_total: u64,
    reward_policy: PolicyView,
    competitions: Vec<CompetitionView>,
    /// Every miner that is paid, by hotkey; the shares add up to `share_total`.
    eligible_miners: Vec<MinerShare>,
    /// The current bests and frontiers.
    best_results: Vec<Outcome>,
    /// Each miner's best accepted submission in each task, copies left out.
    accepted_outcomes: Vec<Outcome>,
    idea_rewards: Vec<IdeaRewardRow>,
}

/// A competition and what it is worth.
#[derive(Debug, Serialize, ToSchema)]
pub struct CompetitionView {
    task_id: String,
    slug: String,
    #[schema(value_type = String)]
    competition_mode: CompetitionMode,
    #[schema(value_type = String)]
    scoring_mode: RankingMode,
    /// `current_best` or `frontier`.
    reward_scope: &'static str,
    task_state: TaskState,
    /// In millionths, relative to the other competitions'.
    weight_millionths: u64,
    /// The same as a number.
    weight: f64,
    /// Its part of everything, in billionths.
    share_ppb: u64,
    accepted_count: i64,
}

/// A miner and its part.
#[derive(Debug, Serialize, ToSchema)]
pub struct MinerShare {
    hotkey: String,
    share_ppb: u64,
    /// Of it, for results.
    results_ppb: u64,
    /// Of it, for ideas.
    ideas_ppb: u64,
}

/// An accepted submission.
#[derive(Debug, Serialize, ToSchema)]
pub struct Outcome {
    task_id: String,
    slug: String,
    submission_id: String,
    miner_hotkey: String,
    #[schema(value_type = Option<std::collections::HashMap<String, f64>>)]
    observed_metrics: Option<JsonText>,
    patched_tree: Option<String>,
    spec_digest: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<Timestamp>,
}

/// What the snapshot needs of one task.
struct Standing {
    row: TaskRow,
    task: Task,
    bests: Vec<OutcomeRow>,
    leaders: Vec<OutcomeRow>,
    accepted_count: i64,
    ideas: Vec<IdeaRewardRow>,
}

/// What all tasks need: one question of each kind, however many tasks there are.
async fn states(conn: &mut Conn) -> ApiResult<Vec<Standing>> {
    let mut bests = by_task(bests::all_current(conn).await?, |row| &row.task_id);
    let mut leaders = bests::all_leaders(conn).await?;
    // By hotkey, which is one per row of a task: databases sort text each in their own way.
    leaders.sort_by(|a, b| a.miner_hotkey.cmp(&b.miner_hotkey));
    let mut leaders = by_task(leaders, |row| &row.task_id);
    let counts: HashMap<String, i64> = bests::all_accepted_counts(conn)
        .await?
        .into_iter()
        .collect();
    let mut ideas = by_task(ideas::all(conn).await?, |row| &row.task_id);
    let rows = tasks::all(conn).await?.into_iter();
    let mut states = rows
        .map(|row| {
            Ok(Standing {
                task: task_of(&row)?,
                bests: bests.remove(&row.id).unwrap_or_default(),
                leaders: leaders.remove(&row.id).unwrap_or_default(),
                accepted_count: counts.get(&row.id).copied().unwrap_or(0),
                ideas: ideas.remove(&row.id).unwrap_or_default(),
                row,
            })
        })
        .collect::<ApiResult<Vec<Standing>>>()?;
    states.sort_by(|a, b| a.row.slug.cmp(&b.row.slug));
    Ok(states)
}

/// Rows of each task, in their order.
fn by_task<T>(rows: Vec<T>, task_of: impl Fn(&T) -> &String) -> HashMap<String, Vec<T>> {
    let mut groups: HashMap<String, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(task_of(&row).clone()).or_default().push(row);
    }
    groups
}

/// The reward snapshot: the same state gives the same bytes, but for `generated_at`.
#[utoipa::path(get, path = "/api/v1/reward-snapshot", tag = "rewards",
    responses((status = 200, description = "The snapshot", body = Snapshot)))]
pub async fn snapshot(State(app): State<App>) -> ApiResult<Json<Snapshot>> {
    Ok(Json(take(&app).await?))
}

/// Takes a snapshot of the state now.
pub async fn take(app: &App) -> ApiResult<Snapshot> {
    // One transaction, so that all of it is the state of one moment.
    let mut transaction = app.store.snapshot().await?;
    let reward_policy = policy_in_force(&mut transaction).await?;
    let states = states(&mut transaction).await?;
    transaction.rollback().await?;
    let competitions: Vec<Competition> = states.iter().map(competition).collect();
    let portions = divide(&reward_policy.policy, &competitions);
    let mut miners: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for portion in &portions {
        for (hotkey, part) in &portion.results {
            miners.entry(hotkey.clone()).or_default().0 += part;
        }
        for (hotkey, part) in &portion.ideas {
            miners.entry(hotkey.clone()).or_default().1 += part;
        }
    }
    let views = states
        .iter()
        .zip(&portions)
        .map(|(state, portion)| view(state, &reward_policy.policy, portion.share));
    Ok(Snapshot {
        generated_at: app.clock.now(),
        share_total: crate::rules::snapshot::BILLION,
        competitions: views.collect(),
        eligible_miners: miners
            .into_iter()
            .filter(|(_, (a, b))| a + b > 0)
            .map(miner)
            .collect(),
        best_results: outcomes(&states, |state| &state.bests),
        accepted_outcomes: outcomes(&states, |state| &state.leaders),
        idea_rewards: states.into_iter().flat_map(|state| state.ideas).collect(),
        reward_policy,
    })
}

fn competition(state: &Standing) -> Competition {
    let paid = state.ideas.iter().filter(|idea| idea.improved_best.0);
    Competition {
        slug: state.row.slug.clone(),
        pays_ideas: state.task.competition_mode == CompetitionMode::Centerless,
        holders: state
            .bests
            .iter()
            .map(|best| best.miner_hotkey.clone())
            .collect(),
        proposers: paid.map(|idea| idea.proposer_hotkey.clone()).collect(),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "at most 10^12, which a double has exactly"
)]
fn view(state: &Standing, policy: &RewardPolicy, share_ppb: u64) -> CompetitionView {
    let weight_millionths = policy.weight_of(&state.row.slug);
    CompetitionView {
        task_id: state.row.id.clone(),
        slug: state.row.slug.clone(),
        competition_mode: state.task.competition_mode,
        scoring_mode: state.task.ranking_mode,
        reward_scope: match state.task.ranking_mode {
            RankingMode::Scalar => "current_best",
            RankingMode::Pareto => "frontier",
        },
        task_state: state.row.state,
        weight_millionths,
        weight: weight_millionths as f64 / 1e6,
        share_ppb,
        accepted_count: state.accepted_count,
    }
}

fn miner((hotkey, (results_ppb, ideas_ppb)): (String, (u64, u64))) -> MinerShare {
    MinerShare {
        hotkey,
        share_ppb: results_ppb + ideas_ppb,
        results_ppb,
        ideas_ppb,
    }
}

fn outcomes(states: &[Standing], rows: impl Fn(&Standing) -> &Vec<OutcomeRow>) -> Vec<Outcome> {
    let of = |state: &Standing| {
        let slug = state.row.slug.clone();
        let list = rows(state).iter().map(move |row| Outcome {
            task_id: row.task_id.clone(),
            slug: slug.clone(),
            submission_id: row.id.clone(),
            miner_hotkey: row.miner_hotkey.clone(),
            observed_metrics: row.observed_metrics.clone(),
            patched_tree: row.patched_tree.clone(),
            spec_digest: row.spec_digest.clone(),
            decided_at: row.decided_at,
        });
        list.collect::<Vec<_>>()
    };
    states.iter().flat_map(of).collect()
}
