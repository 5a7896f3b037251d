//! The page of rewards: epochs, their roots, and who can claim how much.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::{hotkey, moment, shown, tag};
use crate::app::App;
use crate::routes::onchain::{self, BalancesView, EpochView, OnchainStatus};

/// The most miners on the page; the API has more.
const ROWS: usize = 200;

pub(super) async fn page(State(app): State<App>) -> Response {
    let status = onchain::read(&app).await;
    let body = html! {
        h1 { "Rewards" @if !status.is_current() { " " span.tag.waiting { "not current" } } }
        p.soft {
            (capitalised(&status.detail)) "."
            @if let Some(at) = status.as_of() { " As of " (moment(at)) " UTC." }
        }
        p { a href="/api/v1/reward-snapshot" { "Who is to be paid which share now" } " · "
            a href="/api/v1/onchain/status" { "this page as data" } }
        @if let Some(contract) = status.contract() { p { "Paid by the contract " code { (contract) } "." } }
        (epochs(&status))
        @if let Some(balances) = &status.balances { (miners(balances)) }
    };
    shown("Rewards", &body)
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

fn epochs(status: &OnchainStatus) -> Markup {
    html! {
        @if !status.epochs.is_empty() {
            h2 { "Epochs" }
            div.scroll { table {
                tr { th { "Epoch" } th { "State" } th { "Claims" } th { "Added" } th { "In all" } th { "Root" } }
                @for epoch in &status.epochs { (row(epoch)) }
            } }
            @if status.epoch_count > status.epochs.len() {
                p { small { "The newest " (status.epochs.len()) " of " (status.epoch_count) "." } }
            }
        }
    }
}

fn row(epoch: &EpochView) -> Markup {
    let leaves = epoch.num_of_leaves.map(|count| count.to_string());
    html! {
        tr {
            td.n { (epoch.epoch) }
            td { @if let Some(state) = &epoch.state { (tag(state)) } @else { "—" } }
            td.n { (leaves.as_deref().unwrap_or("—")) }
            td.n { (coins(epoch.budget_rao.as_deref())) }
            td.n { (coins(epoch.total_rao.as_deref())) }
            td { code { (epoch.root.as_deref().unwrap_or("—")) } }
        }
    }
}

fn miners(balances: &BalancesView) -> Markup {
    html! {
        h2 { "Claims of epoch " (balances.epoch) }
        @match balances.claimed_at_block {
            Some(block) => { p.soft { "Claimed as the contract had it at block " (block) "." } }
            None => { p.soft { "The pool does not report what was claimed; the contract pays what of the earnings it has not paid yet." } }
        }
        div.scroll { table {
            tr { th { "Miner" } th { "Earned" } th { "Claimed" } th { "Claimable" } th { "Paid to" } }
            @for one in balances.miners.iter().take(ROWS) {
                tr {
                    td { (hotkey(&one.hotkey)) }
                    td.n { (coins(Some(&one.amount_rao))) }
                    td.n { (coins(one.claimed_rao.as_deref())) }
                    td.n { (coins(one.claimable_rao.as_deref())) }
                    td { (hotkey(&one.recipient_coldkey)) }
                }
            }
        } }
        @if balances.count > ROWS {
            p { small { "The largest " (ROWS) " of " (balances.count) "; the API tells one by " code { "?hotkey=" } "." } }
        }
        @if balances.unassigned > 0 {
            p { small { (balances.unassigned) " miners have named no recipient; what they earned is carried on." } }
        }
    }
}

/// Rao as whole coins, nine digits behind the point; digits are only moved.
fn coins(rao: Option<&str>) -> String {
    let Some(rao) = rao else {
        return "—".to_owned();
    };
    let padded = format!("{rao:0>10}");
    let (whole, part) = padded.split_at(padded.len() - 9);
    format!("{whole}.{part}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_keeps_every_rao() {
        assert_eq!(coins(Some("0")), "0.000000000");
        assert_eq!(coins(Some("1")), "0.000000001");
        assert_eq!(coins(Some("18446744073709551615")), "18446744073.709551615");
        assert_eq!(coins(None), "—");
    }
}
