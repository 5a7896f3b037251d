//! `pool publish`.

use clap::Args;
use pool::chain::Live;
use pool::claimed::{self, ClaimedError, Look};
use pool::publisher::{PublishError, Publisher, Step};
use reqwest::Url;

use super::Place;
use super::chain::{ChainOptions, WalletOptions};
use super::rounds::Rounds;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    wallet: WalletOptions,
    /// Where the world reaches `pool serve`: epochs are published with the addresses
    /// of their files there.
    #[arg(long, value_name = "URL", env = "POOL_PUBLIC_URL")]
    public_url: Url,
    /// End when every built epoch is on the chain.
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(options: Options) -> anyhow::Result<()> {
    super::log();
    let base = options.public_url.as_str().trim_end_matches('/');
    anyhow::ensure!(
        ["http", "https"].contains(&options.public_url.scheme())
            && options.public_url.query().is_none()
            && options.public_url.fragment().is_none(),
        "--public-url {base}: not a plain http or https address"
    );
    let keypair = options.wallet.keypair()?;
    let account = *keypair.hotkey().as_bytes();
    let chain = options.chain.live(Some(keypair)).await?;
    let (store, blobs) = options.place.open().await?;
    let publisher = Publisher {
        store: store.clone(),
        blobs,
        chain,
        uri_prefix: format!("{base}/claims/documents/"),
        account: protocol::ss58::Address::from_bytes(account),
    };
    tracing::info!(account = %publisher.account, "publishing");
    let mut rounds = Rounds::new(options.chain.poll_ms)?;
    if options.once {
        if publish(&publisher, &mut rounds, true).await? {
            match rounds.run(keep_claimed(&publisher)).await {
                Some(Ok(look)) => tell(look),
                // What --once promises is done.
                Some(Err(error)) => tracing::warn!("{error}"),
                None => {}
            }
        }
    } else {
        // Side by side: reading what thousands of miners were paid takes minutes, and
        // may fail where publishing does not.
        let reading = read_claimed(&publisher, Rounds::new(options.chain.poll_ms)?);
        let (published, ()) = tokio::join!(publish(&publisher, &mut rounds, false), reading);
        published?;
    }
    store.close().await;
    Ok(())
}

/// Publishes what is built, round after round; if only `once`, until nothing is left.
/// False when the process is to end.
async fn publish(
    publisher: &Publisher<Live>,
    rounds: &mut Rounds,
    once: bool,
) -> Result<bool, PublishError> {
    let mut last = Step::Idle;
    while let Some(step) = rounds.run(publisher.step()).await {
        match step {
            Ok(step) => {
                rounds.well();
                match step {
                    Step::Idle if once => return Ok(true),
                    Step::Waiting(epoch) if step != last => {
                        tracing::info!(epoch, "sent; waiting for finality");
                    }
                    Step::Published(epoch) => tracing::info!(epoch, "published"),
                    Step::StruckDown(epoch) => tracing::error!(
                        epoch,
                        "the epoch was STRUCK DOWN; the next one stands on the one before it"
                    ),
                    Step::Idle | Step::Waiting(_) => {}
                }
                last = step;
            }
            Err(error) if once => return Err(error),
            Err(error) => rounds.failed(&error),
        }
        if !rounds.wait().await {
            break;
        }
    }
    Ok(false)
}

/// Keeps what the contract has paid, round after round.
async fn read_claimed(publisher: &Publisher<Live>, mut rounds: Rounds) {
    while let Some(look) = rounds.run(keep_claimed(publisher)).await {
        match look {
            Ok(look) => {
                rounds.well();
                tell(look);
            }
            Err(error) => rounds.failed(&error),
        }
        if !rounds.wait().await {
            break;
        }
    }
}

async fn keep_claimed(publisher: &Publisher<Live>) -> Result<Look, ClaimedError> {
    claimed::keep(&publisher.store, &publisher.blobs, &publisher.chain).await
}

fn tell(look: Look) {
    if let Look::Read {
        finalized_block,
        hotkeys,
    } = look
    {
        tracing::info!(finalized_block, hotkeys, "read what was claimed");
    }
}
