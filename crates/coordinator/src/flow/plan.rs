//! Runs the planner over the state of a task.

use serde_json::json;

use super::decide;
use crate::error::ApiResult;
use crate::rules::consensus::Metrics;
use crate::rules::planner::{Best, Idea, plan};
use crate::store::events::{self, Cause, Event};
use crate::store::rows::TaskRow;
use crate::store::{Conn, bests, submissions, work_items};

/// How many open ideas become work items.
const IDEAS: i64 = 20;

/// What a run of the planner changed.
#[derive(Debug, Default, Clone, Copy)]
pub struct Changed {
    /// New items.
    pub created: usize,
    /// Items that the plan does not have any more.
    pub retired: usize,
}

/// Plans one task.
pub async fn run(conn: &mut Conn, row: &TaskRow, cause: &Cause) -> ApiResult<Changed> {
    let task = decide::task_of(row)?;
    let bests: Vec<Best> = bests::current(conn, &row.id)
        .await?
        .into_iter()
        .filter_map(|best| {
            let metrics: Metrics = best.observed_metrics?.read();
            let metric = metrics.get(&task.metric_name)?.to_string();
            Some(Best {
                id: best.id,
                metric,
            })
        })
        .collect();
    let ideas: Vec<Idea> = submissions::open_ideas(conn, &row.id, IDEAS)
        .await?
        .into_iter()
        .filter_map(|one| {
            Some(Idea {
                text: one.proposed_idea?,
                submission_id: one.id,
            })
        })
        .collect();
    let plan = plan(&task, &bests, &ideas);
    let mut changed = Changed {
        retired: work_items::retire_others(conn, &row.id, &plan, cause.at).await?,
        ..Changed::default()
    };
    for item in &plan {
        changed.created += usize::from(work_items::upsert(conn, &row.id, item, cause.at).await?);
    }
    if changed.created + changed.retired > 0 {
        let event = Event {
            action: "plan.changed",
            subject: &row.id,
            task_id: Some(&row.id),
        };
        let detail = json!({"created": changed.created, "retired": changed.retired});
        events::record(conn, cause, event, &detail).await?;
    }
    Ok(changed)
}
