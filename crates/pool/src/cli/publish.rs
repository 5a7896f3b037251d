//! `pool publish`.

use clap::Args;
use pool::publisher::{Publisher, Step};
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
    let mut last = Step::Idle;
    while let Some(step) = rounds.run(publisher.step()).await {
        match step {
            Ok(step) => {
                rounds.well();
                match step {
                    Step::Idle if options.once => break,
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
            Err(error) if options.once => return Err(error.into()),
            Err(error) => rounds.failed(&error),
        }
        if !rounds.wait().await {
            break;
        }
    }
    store.close().await;
    Ok(())
}
