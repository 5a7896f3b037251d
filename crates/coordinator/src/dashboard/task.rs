//! The page of a task: its metric over time, its leaders, its submissions.

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};
use protocol::Task;
use protocol::task::RankingMode;

use super::plot::{Line, Point, plot};
use super::{hotkey, id_of, metrics, moment, or_page, shown, tag};
use crate::app::App;
use crate::error::ApiResult;
use crate::flow::decide::task_of;
use crate::flow::leaders;
use crate::rules::consensus::Metrics;
use crate::store::page::Page;
use crate::store::rows::SubmissionRow;
use crate::store::{bests, submissions, tasks};

/// The most points of a plot, and the most rows of a list.
const POINTS: i64 = 1000;
const ROWS: i64 = 50;

pub(super) async fn page(State(app): State<App>, Path(id): Path<String>) -> Response {
    or_page(render(&app, &id).await)
}

async fn render(app: &App, id: &str) -> ApiResult<Response> {
    let id = id_of(id)?;
    let mut conn = app.store.read().await?;
    let row = tasks::get(&mut conn, &id).await?;
    let task = task_of(&row)?;
    let accepted = bests::accepted(&mut conn, &id, POINTS).await?;
    let records: Vec<String> = bests::history(&mut conn, &id)
        .await?
        .into_iter()
        .map(|best| best.submission_id)
        .collect();
    let current = bests::current(&mut conn, &id).await?;
    let mut leaders = bests::leaders(&mut conn, &id).await?;
    let latest = submissions::list(&mut conn, Some(&id), None, &Page::new(ROWS, None)?).await?;
    drop(conn);
    leaders::sort(&task, &mut leaders);
    let body = html! {
        h1 { (task.title) " " (tag(row.state.as_str())) }
        p.soft { (task.slug) " · " a href={ "/api/v1/tasks/" (id) "/onboard.md" } { "how to take part" } }
        @if !task.brief.is_empty() { p.text { (task.brief.chars().take(2000).collect::<String>()) } }
        div.card {
            @if accepted.is_empty() { p.soft { "Nothing is accepted yet." } }
            @else if task.ranking_mode == RankingMode::Pareto { (frontier(&task, &accepted, &current)) }
            @else { (over_time(&task, &accepted, &records)) }
        }
        h2 { "Leaderboard" }
        (leaderboard(&leaders))
        h2 { "Submissions" }
        (list(&latest))
    };
    Ok(shown(&task.title, &body))
}

fn value(task: &Task, row: &SubmissionRow, secondary: bool) -> Option<f64> {
    let metrics: Metrics = row.observed_metrics.as_ref()?.read();
    let name = if secondary {
        task.secondary_metric_name.as_deref()?
    } else {
        &task.metric_name
    };
    Some(metrics.get(name)?.value())
}

fn point(row: &SubmissionRow, x: f64, y: f64, is_record: bool) -> Point {
    let summary: String = row.summary.chars().take(80).collect();
    Point {
        id: row.id.clone(),
        label: format!("{y} by {}: {summary}", row.miner_hotkey),
        x,
        y,
        is_record,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a position in a plot")]
fn over_time(task: &Task, accepted: &[SubmissionRow], records: &[String]) -> Markup {
    let points: Vec<Point> = accepted
        .iter()
        .filter_map(|row| {
            let x = row.created_at.micros() as f64;
            Some(point(
                row,
                x,
                value(task, row, false)?,
                records.contains(&row.id),
            ))
        })
        .collect();
    let end =
        |row: Option<&SubmissionRow>| row.map(|row| moment(row.created_at)).unwrap_or_default();
    let ends = (end(accepted.first()), end(accepted.last()));
    plot(&points, Line::Steps, (&ends.0, &ends.1), &task.metric_name)
}

fn frontier(task: &Task, accepted: &[SubmissionRow], current: &[SubmissionRow]) -> Markup {
    let mut points: Vec<Point> = accepted
        .iter()
        .filter_map(|row| {
            let is_on_it = current.iter().any(|best| best.id == row.id);
            Some(point(
                row,
                value(task, row, false)?,
                value(task, row, true)?,
                is_on_it,
            ))
        })
        .collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    let name = task.secondary_metric_name.as_deref().unwrap_or_default();
    plot(&points, Line::Straight, (&task.metric_name, ""), name)
}

fn leaderboard(leaders: &[SubmissionRow]) -> Markup {
    html! {
        @if leaders.is_empty() { p.soft { "Nobody yet." } }
        @else { div.scroll { table {
            tr { th { "#" } th { "Miner" } th { "Observed" } th { "Submission" } th { "Submitted" } }
            @for (rank, row) in leaders.iter().take(100).enumerate() {
                tr {
                    td.n { (rank + 1) }
                    td { (hotkey(&row.miner_hotkey)) }
                    td { (metrics(row.observed_metrics.as_ref())) }
                    td { a href={ "/dashboard/submissions/" (row.id) } { (row.summary.chars().take(100).collect::<String>()) } }
                    td.n { (moment(row.created_at)) }
                }
            }
        } } }
    }
}

fn list(rows: &[SubmissionRow]) -> Markup {
    html! {
        div.scroll { table {
            tr { th { "When" } th { "Summary" } th { "Miner" } th { "State" } th { "Claimed" } th { "Observed" } }
            @for row in rows {
                tr {
                    td.n { (moment(row.created_at)) }
                    td { a href={ "/dashboard/submissions/" (row.id) } { (row.summary.chars().take(120).collect::<String>()) } }
                    td { (hotkey(&row.miner_hotkey)) }
                    td { (tag(row.status.as_str())) }
                    td { (metrics(Some(&row.claimed_metrics))) }
                    td { (metrics(row.observed_metrics.as_ref())) }
                }
            }
        } }
    }
}
