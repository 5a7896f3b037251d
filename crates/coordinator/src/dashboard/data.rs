//! What the dashboard shows, as data.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use protocol::task::Direction;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiResult;
use crate::flow::decide::task_of;
use crate::store::page::Page;
use crate::store::rows::{JsonText, SubmissionRow, TaskState};
use crate::store::{bests, submissions, tasks};
use crate::time::Timestamp;

/// The most tasks on the front page.
const TASKS: i64 = 100;

/// The front page's data.
#[derive(Debug, Serialize, ToSchema)]
pub struct Dashboard {
    #[schema(value_type = String, format = DateTime)]
    pub(super) generated_at: Timestamp,
    pub(super) tasks: Vec<TaskCard>,
    pub(super) recent_submissions: Vec<SubmissionRow>,
}

/// A task at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskCard {
    pub(super) id: String,
    pub(super) slug: String,
    pub(super) title: String,
    pub(super) task_state: TaskState,
    pub(super) metric_name: String,
    #[schema(value_type = String)]
    pub(super) metric_direction: Direction,
    /// Submissions by status.
    pub(super) submissions: BTreeMap<String, i64>,
    /// The current best, or the frontier.
    pub(super) best: Vec<BestCard>,
}

/// A best submission at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub struct BestCard {
    pub(super) submission_id: String,
    pub(super) miner_hotkey: String,
    #[schema(value_type = Option<std::collections::HashMap<String, f64>>)]
    pub(super) observed_metrics: Option<JsonText>,
}

/// Reads the front page's data.
pub async fn read(app: &App) -> ApiResult<Dashboard> {
    let mut conn = app.store.read().await?;
    let rows = tasks::list(&mut conn, None, &Page::new(TASKS, None)?).await?;
    // One question of each kind for all that is shown, however many tasks that are.
    let mut counts: HashMap<String, BTreeMap<String, i64>> = HashMap::new();
    let mut bests: HashMap<String, Vec<BestCard>> = HashMap::new();
    if let Some(oldest) = rows.last() {
        for (task_id, status, count) in submissions::counts_since(&mut conn, oldest).await? {
            counts.entry(task_id).or_default().insert(status, count);
        }
        for row in bests::current_since(&mut conn, oldest).await? {
            bests.entry(row.task_id).or_default().push(BestCard {
                submission_id: row.id,
                miner_hotkey: row.miner_hotkey,
                observed_metrics: row.observed_metrics,
            });
        }
    }
    let mut cards = Vec::new();
    for row in rows {
        let task = task_of(&row)?;
        cards.push(TaskCard {
            submissions: counts.remove(&row.id).unwrap_or_default(),
            best: bests.remove(&row.id).unwrap_or_default(),
            id: row.id,
            slug: row.slug,
            title: task.title,
            task_state: row.state,
            metric_name: task.metric_name,
            metric_direction: task.metric_direction,
        });
    }
    Ok(Dashboard {
        generated_at: app.clock.now(),
        tasks: cards,
        recent_submissions: submissions::list(&mut conn, None, None, &Page::new(30, None)?).await?,
    })
}

/// The dashboard's data.
#[utoipa::path(get, path = "/api/v1/dashboard", tag = "service",
    responses((status = 200, description = "The data", body = Dashboard)))]
pub async fn dashboard(State(app): State<App>) -> ApiResult<impl IntoResponse> {
    let data = read(&app).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(data)))
}
