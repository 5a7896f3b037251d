//! `rewards set-recipient`.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use protocol::claims::RecipientUpdate;
use protocol::ss58::Address;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::options::PoolArgs;
use crate::cli::options::WalletArgs;
use crate::failure::{Done, Ended, Failure};
use crate::terminal::Output;

/// How far ahead of this machine's clock a mapping may be signed.
const AHEAD_SECONDS: u64 = 5;

/// Say which coldkey is paid, from the next epoch on
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  bitsota-research-agent rewards set-recipient COLDKEY --pool-url https://pool.example

The hotkey signs who is paid. It counts for epochs that are built afterwards; while one waits to be
published, the pool refuses changes (409): try again after its publication.")]
pub(crate) struct SetRecipientArgs {
    /// The coldkey's address; its secret is not needed, and has no place here
    #[arg(value_name = "COLDKEY")]
    recipient: Address,

    #[command(flatten)]
    pool: PoolArgs,
    #[command(flatten)]
    wallet: WalletArgs,

    /// Show what would be signed; sign and send nothing
    #[arg(long)]
    dry_run: bool,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &SetRecipientArgs, cancel: &CancellationToken) -> Done {
    let pool = args.pool.open(cancel)?;
    let keypair = args.wallet.keypair()?;
    let hotkey = keypair.hotkey();
    if hotkey.address() == args.recipient {
        return Err(Failure::Refused(
            "the recipient is the hotkey itself, whose secret lies on a mining machine; name a coldkey".to_owned(),
        ));
    }
    let before = pool.mappings(hotkey.address()).await?;
    let newest = before.first().and_then(|one| one.signed_at);
    let before = before.first().map(|one| one.recipient_coldkey);
    if !args.dry_run {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs());
        // A mapping must be newer than the one in force, and time is told in seconds.
        // One that is far ahead is not followed: the pool may have made it up.
        let next = newest.map_or(0, |at| at.saturating_add(1));
        let seconds = now.max(next.min(now + AHEAD_SECONDS));
        let update = RecipientUpdate::sign(&keypair, args.recipient, seconds);
        pool.set_recipient(&update).await?;
        let after = pool.mappings(hotkey.address()).await?;
        let after = after.first().map(|one| one.recipient_coldkey);
        if after != Some(args.recipient) {
            return Err(Failure::Broken(anyhow::anyhow!(
                "the pool took the mapping, and does not show it as the one in force"
            )));
        }
    }
    let done = json!({
        "hotkey": hotkey, "recipient_coldkey": args.recipient,
        "before": before, "is_set": !args.dry_run,
    });
    Output::new(args.json).print(&done, |_| {
        let before = before.map_or("nobody".to_owned(), |one| one.to_string());
        let verb = if args.dry_run {
            "would be paid"
        } else {
            "is paid"
        };
        format!(
            "{} {verb} for {hotkey} from the next epoch on; before: {before}",
            args.recipient
        )
    })?;
    Ok(Ended::Well)
}
