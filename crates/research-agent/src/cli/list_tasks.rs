//! `list-tasks`.

use clap::Args;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::options::CommonArgs;
use crate::failure::{Done, Ended};
use crate::terminal::{Output, plain, table};

/// What is there to do?
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bitsota-research-agent list-tasks --coordinator-url https://coordinator.example
  bitsota-research-agent list-tasks | jq -r '.[].slug'")]
pub(crate) struct ListTasksArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &ListTasksArgs, cancel: &CancellationToken) -> Done {
    let client = args.common.network.client(cancel)?;
    let wanted = &args.common.task;
    let tasks: Vec<Value> = client
        .tasks()
        .await?
        .into_iter()
        .filter(|task| wanted.task_id.is_none_or(|id| task["id"] == id.to_string()))
        .filter(|task| {
            wanted
                .task_slug
                .as_ref()
                .is_none_or(|slug| task["slug"] == **slug)
        })
        .collect();
    Output::new(args.json).print(&tasks, |tasks| {
        if tasks.is_empty() {
            return "there is no task".to_owned();
        }
        let rows: Vec<Vec<String>> = tasks.iter().map(row).collect();
        table(&["SLUG", "STATE", "MODE", "METRIC", "TIME", "TITLE"], &rows)
    })?;
    Ok(Ended::Well)
}

fn row(task: &Value) -> Vec<String> {
    let text = |field: &str| plain(task[field].as_str().unwrap_or("-"));
    let state = match task["task_state"].as_str() {
        Some(state) => plain(state),
        None if task["is_active"] == false => "closed".to_owned(),
        None => "live".to_owned(),
    };
    let arrow = |field: &str| match task[field].as_str() {
        Some("minimize") => "↓",
        Some("maximize") => "↑",
        _ => "",
    };
    let metric = |name: &str, direction: &str| format!("{} {}", text(name), arrow(direction));
    let mut metrics = vec![metric("metric_name", "metric_direction")];
    if task["secondary_metric_name"].is_string() {
        metrics.push(metric(
            "secondary_metric_name",
            "secondary_metric_direction",
        ));
    }
    let seconds = task["time_budget_seconds"]
        .as_u64()
        .map_or("-".to_owned(), |seconds| format!("{seconds} s"));
    vec![
        text("slug"),
        state,
        text("competition_mode"),
        metrics.join(", "),
        seconds,
        text("title"),
    ]
}
