//! The dashboard: server-rendered, without scripts. Everything that a miner
//! wrote goes through the template's escaping, and the page's policy lets
//! nothing run that would get past it.

pub mod data;
pub mod docs;
mod front;
mod plot;
mod rewards;
mod submission;
mod task;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::{DOCTYPE, Markup, html};

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::store::rows::JsonText;

/// The dashboard's pages.
pub fn router() -> Router<App> {
    Router::new()
        .route("/", get(async || Redirect::temporary("/dashboard")))
        .route("/dashboard", get(front::page))
        .route("/dashboard/tasks/{id}", get(task::page))
        .route("/dashboard/submissions/{id}", get(submission::page))
        .route("/dashboard/rewards", get(rewards::page))
        .route("/dashboard/style.css", get(style))
}

async fn style() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, include_str!("style.css"))
}

/// Whether a page reads itself again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refresh {
    Every15Seconds,
    Never,
}

fn document(title: &str, refresh: Refresh, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if refresh == Refresh::Every15Seconds { meta http-equiv="refresh" content="15"; }
                title { (title) }
                link rel="stylesheet" href="/dashboard/style.css";
            }
            body {
                header {
                    b { a href="/dashboard" { "Research competitions" } }
                    a href="/dashboard/rewards" { "Rewards" }
                    a href="/docs" { "API" }
                    a href="/disclaimer.md" { "Disclaimer" }
                }
                main { (body) }
            }
        }
    }
}

fn shown(title: &str, body: &Markup) -> Response {
    let page = document(title, Refresh::Every15Seconds, body).into_string();
    ([(header::CACHE_CONTROL, "no-store")], Html(page)).into_response()
}

/// A page for what cannot be shown: people do not read JSON.
fn or_page(result: ApiResult<Response>) -> Response {
    result.unwrap_or_else(|error| {
        let status = error.status();
        if status.is_server_error() {
            return error.into_response();
        }
        let text = match status {
            StatusCode::NOT_FOUND => "There is no such page.",
            _ => "This cannot be shown.",
        };
        let body = html! { h1 { (text) } p { a href="/dashboard" { "All tasks" } } };
        (
            status,
            Html(document(text, Refresh::Never, &body).into_string()),
        )
            .into_response()
    })
}

/// The id in a page's path.
fn id_of(text: &str) -> ApiResult<String> {
    let id: uuid::Uuid = text
        .parse()
        .map_err(|_| ApiError::not_found("no_such_id", "no such page"))?;
    Ok(id.to_string())
}

fn tag(text: &str) -> Markup {
    html! { span class={ "tag " (text) } { (text.replace('_', " ")) } }
}

/// A hotkey, short enough for a phone; whole in its title.
fn hotkey(text: &str) -> Markup {
    let short: String = text.chars().take(8).collect();
    html! { span title=(text) { (short) "…" } }
}

fn metrics(json: Option<&JsonText>) -> Markup {
    let metrics: crate::rules::consensus::Metrics = json.map(JsonText::read).unwrap_or_default();
    html! {
        @if metrics.is_empty() { span.soft { "—" } }
        @for (name, value) in &metrics { div { (name) " = " b { (value) } } }
    }
}

/// To the second: enough for people.
fn moment(at: crate::time::Timestamp) -> String {
    let text = at.to_string();
    text.get(..19).unwrap_or(&text).replace('T', " ")
}
