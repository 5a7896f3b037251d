//! `claims`.

use clap::Args;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::options::{NetworkArgs, TaskArgs, WalletArgs};
use crate::failure::{Done, Ended};
use crate::terminal::{Output, plain, table};

/// Claims, newest first: yours, or everybody's
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bitsota-research-agent claims                     yours that are active
  bitsota-research-agent claims --all --status any  everybody's, of any age")]
pub(crate) struct ClaimsArgs {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(flatten)]
    task: TaskArgs,

    /// Which: active, submitted, cancelled, expired or any
    #[arg(long, default_value = "active", value_parser = ["active", "submitted", "cancelled", "expired", "any"])]
    status: String,

    /// Everybody's; needs no wallet
    #[arg(long)]
    all: bool,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &ClaimsArgs, cancel: &CancellationToken) -> Done {
    let client = args.network.client(cancel)?;
    let task = if args.task.task_slug.is_some() {
        Some(args.task.one(&client).await?.id)
    } else {
        args.task.task_id
    };
    let mine = if args.all {
        None
    } else {
        Some(args.wallet.keypair()?.hotkey().to_string())
    };
    let status = (args.status != "any").then_some(args.status.as_str());
    let mut claims = client.claims(task, status).await?;
    claims.retain(|claim| {
        mine.as_ref()
            .is_none_or(|hotkey| claim["miner_hotkey"] == **hotkey)
    });
    Output::new(args.json).print(&claims, |claims| {
        if claims.is_empty() {
            return "there is no such claim".to_owned();
        }
        let rows: Vec<Vec<String>> = claims.iter().map(row).collect();
        table(&["CLAIM", "STATUS", "EXPIRES", "HOTKEY", "WHAT"], &rows)
    })?;
    Ok(Ended::Well)
}

fn row(claim: &Value) -> Vec<String> {
    [
        "id",
        "status",
        "expires_at",
        "miner_hotkey",
        "claim_description",
    ]
    .map(|field| plain(claim[field].as_str().unwrap_or("-")))
    .to_vec()
}
