//! `rewards`.

mod claim;
mod list;
mod options;
mod set_recipient;

use clap::Subcommand;
use tokio_util::sync::CancellationToken;

use crate::failure::{Done, Failure};

/// Below the list of the commands.
pub(super) const EXAMPLES: &str = "\
Examples:
  bitsota-research-agent rewards list --pool-url https://pool.example
  bitsota-research-agent rewards set-recipient COLDKEY --pool-url https://pool.example
  bitsota-research-agent rewards claim --dry-run --pool-url https://pool.example --endpoint wss://node.example:443 --contract ADDRESS

Exit status: 0 done, 3 refused or a bad proof, 1 error, 2 usage, 130 interrupted.";

#[derive(Debug, Subcommand)]
pub(crate) enum RewardsCommand {
    /// What is claimable, in which epoch, to whom, and from when on
    List(list::ListArgs),
    /// Claim what is due, or show the call that would
    Claim(claim::ClaimArgs),
    /// Say which coldkey is paid, from the next epoch on
    SetRecipient(set_recipient::SetRecipientArgs),
}

pub(super) async fn run(command: &RewardsCommand, cancel: &CancellationToken) -> Done {
    let work = async {
        match command {
            RewardsCommand::List(args) => list::run(args, cancel).await,
            RewardsCommand::Claim(args) => claim::run(args, cancel).await,
            RewardsCommand::SetRecipient(args) => set_recipient::run(args, cancel).await,
        }
    };
    // Nodes of the chain are waited for elsewhere, where nobody hears of Ctrl-C.
    tokio::select! {
        done = work => done,
        () = cancel.cancelled() => Err(Failure::Interrupted),
    }
}
