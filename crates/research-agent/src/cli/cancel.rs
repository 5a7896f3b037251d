//! `cancel`.

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::options::{NetworkArgs, WalletArgs};
use crate::client::Id;
use crate::failure::{Done, Ended};
use crate::terminal::Output;

/// Give up a claim, so that it does not count against you
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  bitsota-research-agent cancel 67e55044-10b1-426f-9247-bb680e5fe0c8")]
pub(crate) struct CancelArgs {
    /// The claim's id; `claims` shows it
    #[arg(value_name = "CLAIM")]
    claim: Id,

    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &CancelArgs, cancel: &CancellationToken) -> Done {
    let client = args.network.client(cancel)?;
    let keypair = args.wallet.keypair()?;
    let claim = client.cancel_claim(args.claim, &keypair).await?;
    Output::new(args.json).print(&claim, |claim| {
        format!("claim {} is {}", claim.id, claim.status)
    })?;
    Ok(Ended::Well)
}
