//! The page of a submission: its life line, its replays, claimed against observed.

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};
use protocol::receipt::{Envelope, Statement};

use super::{hotkey, id_of, metrics, moment, or_page, shown, tag};
use crate::app::App;
use crate::error::ApiResult;
use crate::store::rows::{EventRow, JsonText, PeerEvaluationRow, SubmissionRow, VerificationRow};
use crate::store::{claims, events, peers, submissions, tasks, verifications};

/// The most characters of a patch on the page.
const PATCH: usize = 20_000;

pub(super) async fn page(State(app): State<App>, Path(id): Path<String>) -> Response {
    or_page(render(&app, &id).await)
}

async fn render(app: &App, id: &str) -> ApiResult<Response> {
    let id = id_of(id)?;
    let mut conn = app.store.read().await?;
    let row = submissions::get(&mut conn, &id).await?;
    let content = submissions::content(&mut conn, &id).await?;
    let task = tasks::get(&mut conn, &row.task_id).await?;
    let claim = claims::get(&mut conn, &row.claim_id).await?;
    let replays = verifications::of(&mut conn, &id).await?;
    let evaluations = peers::of(&mut conn, &id).await?;
    let events = events::of(&mut conn, &id).await?;
    drop(conn);
    let body = html! {
        h1 { "Submission " (tag(row.status.as_str())) @if row.consensus.as_str() == "disagreement" { " " (tag("disagreement")) } }
        p.soft { a href={ "/dashboard/tasks/" (row.task_id) } { (task.slug) } " · by " (hotkey(&row.miner_hotkey)) }
        p.text { (row.summary) }
        @if let Some(idea) = &row.proposed_idea { h2 { "Proposed idea" } p.text { (idea) } }
        @if let Some(of) = &row.duplicate_of {
            p { "The same content as " a href={ "/dashboard/submissions/" (of) } { "an earlier submission" } "." }
        }
        h2 { "Claimed against observed" }
        (compared(&row))
        h2 { "Life line" }
        ol.line {
            li { (moment(claim.created_at)) " claimed: " span.text { (claim.claim_description) } }
            @for event in &events { li { (moment(event.at)) " " (told(event)) } }
        }
        @if !replays.is_empty() { h2 { "Replays" } (replay_table(&replays)) }
        @if !evaluations.is_empty() { h2 { "Peer evaluations" } (peer_table(&evaluations)) }
        @if !content.patch.is_empty() {
            h2 { "Patch" }
            pre { (content.patch.chars().take(PATCH).collect::<String>()) }
        }
        @if let Some(uri) = &row.artifact_uri { h2 { "Artifact" } p { (uri) " (" (row.artifact_size_bytes.unwrap_or(0)) " bytes)" } }
    };
    Ok(shown("Submission", &body))
}

fn compared(row: &SubmissionRow) -> Markup {
    html! {
        div.scroll { table {
            tr { th { "Claimed" } th { "Observed" } th { "Outcome" } th { "Spec" } }
            tr {
                td { (metrics(Some(&row.claimed_metrics))) }
                td { (metrics(row.observed_metrics.as_ref())) }
                td { (row.outcome_code.as_deref().unwrap_or("—")) }
                td { code { (row.spec_digest.chars().take(12).collect::<String>()) } }
            }
        } }
    }
}

fn told(event: &EventRow) -> Markup {
    let by = event.actor.as_str();
    html! {
        (event.action.replace(['.', '_'], " "))
        @if by.len() > 20 { " by " (hotkey(by)) }
    }
}

fn replay_table(replays: &[VerificationRow]) -> Markup {
    html! {
        div.scroll { table {
            tr { th { "Validator" } th { "Outcome" } th { "Observed" } th { "Stages" } th { "When" } }
            @for replay in replays {
                tr {
                    td { (hotkey(&replay.validator_hotkey)) }
                    td { (tag(replay.status.as_str())) " " (replay.outcome_code.as_deref().unwrap_or_default())
                        @if let Some(fault) = &replay.fault { div { small { "fault: " (fault) } } } }
                    td { (metrics(Some(&replay.observed_metrics))) }
                    td { (stages(replay.receipt.as_ref())) }
                    td.n { (moment(replay.updated_at)) }
                }
            }
        } }
    }
}

/// Each stage's time, from the receipt.
fn stages(receipt: Option<&JsonText>) -> Markup {
    let statement = receipt
        .and_then(|text| serde_json::from_str::<Envelope>(&text.0).ok())
        .and_then(|envelope| envelope.payload().ok())
        .and_then(|payload| serde_json::from_slice::<Statement>(&payload).ok());
    let stages = statement
        .map(|statement| statement.predicate.observations.stages)
        .unwrap_or_default();
    html! {
        @if stages.is_empty() { span.soft { "—" } }
        @for stage in &stages { div { (stage.name) " " (stage.wall_seconds.0) " s" } }
    }
}

fn peer_table(evaluations: &[PeerEvaluationRow]) -> Markup {
    html! {
        div.scroll { table {
            tr { th { "Peer" } th { "Says" } th { "Observed" } th { "Notes" } th { "When" } }
            @for one in evaluations {
                tr {
                    td { (hotkey(&one.evaluator_hotkey)) }
                    td { (tag(&one.status)) }
                    td { (metrics(Some(&one.observed_metrics))) }
                    td.text { (one.notes) }
                    td.n { (moment(one.created_at)) }
                }
            }
        } }
    }
}
