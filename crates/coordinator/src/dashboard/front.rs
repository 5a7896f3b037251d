//! The front page: tasks at a glance, and what came last.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::data::{self, Dashboard, TaskCard};
use super::{hotkey, metrics, moment, or_page, shown, tag};
use crate::app::App;
use crate::error::ApiResult;

pub(super) async fn page(State(app): State<App>) -> Response {
    or_page(render(&app).await)
}

async fn render(app: &App) -> ApiResult<Response> {
    let data = data::read(app).await?;
    let body = html! {
        h1 { "Tasks" }
        @if data.tasks.is_empty() { p.soft { "No task is posted yet." } }
        div.cards { @for card in &data.tasks { (task(card)) } }
        (recent(&data))
        footer { p { small { "As of " (moment(data.generated_at)) " UTC; reads itself again every 15 s." } } }
    };
    Ok(shown("Tasks", &body))
}

fn task(card: &TaskCard) -> Markup {
    html! {
        div.card {
            div { a href={ "/dashboard/tasks/" (card.id) } { b { (card.title) } } " " (tag(card.task_state.as_str())) }
            div { small { (card.slug) } }
            @match card.best.first() {
                Some(best) => {
                    div.big { (metrics(best.observed_metrics.as_ref())) }
                    div { small {
                        @if card.best.len() > 1 { "one of " (card.best.len()) " on the frontier, by " } @else { "best, by " }
                        (hotkey(&best.miner_hotkey))
                    } }
                }
                None => { div.soft { "nothing accepted yet" } }
            }
            div { small {
                @for (status, count) in &card.submissions { (count) " " (status.replace('_', " ")) " · " }
                "wants " (card.metric_name) " " (direction(card.metric_direction))
            } }
        }
    }
}

fn direction(direction: protocol::task::Direction) -> &'static str {
    match direction {
        protocol::task::Direction::Minimize => "low",
        protocol::task::Direction::Maximize => "high",
    }
}

fn recent(data: &Dashboard) -> Markup {
    html! {
        h2 { "Latest submissions" }
        div.scroll { table {
            tr { th { "When" } th { "Summary" } th { "Miner" } th { "State" } th { "Observed" } }
            @for row in &data.recent_submissions {
                tr {
                    td.n { (moment(row.created_at)) }
                    td { a href={ "/dashboard/submissions/" (row.id) } { (row.summary.chars().take(120).collect::<String>()) } }
                    td { (hotkey(&row.miner_hotkey)) }
                    td { (tag(row.status.as_str())) }
                    td { (metrics(row.observed_metrics.as_ref())) }
                }
            }
        } }
    }
}
