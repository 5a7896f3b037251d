//! `pool watch`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;

use clap::Args;
use pool::download::Downloader;
use pool::store::Verdict;
use pool::verifier::{Role, Step, Verifier};
use pool::{Blobs, Store};

use super::chain::{ChainOptions, WalletOptions};
use super::rounds::Rounds;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Its findings; never the pool's own database. `sqlite://FILE` or `postgres://…`.
    #[arg(
        long,
        env = "POOL_WATCH_DATABASE",
        default_value = "sqlite://pool-watch.db",
        hide_env_values = true
    )]
    database: String,
    /// The directory of its copies of the documents.
    #[arg(long, env = "POOL_WATCH_DATA", default_value = "pool-watch-data")]
    data: PathBuf,
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    wallet: WalletOptions,
    /// Challenge wrong epochs with the wallet's hotkey, which has to be the contract's
    /// vetoer. Without it no key is read, and a wrong epoch is only told.
    #[arg(long)]
    challenge: bool,
    /// End when every published epoch is checked.
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    super::log();
    let (role, keypair) = if options.challenge {
        (Role::Vetoer, Some(options.wallet.keypair()?))
    } else {
        (Role::Watcher, None)
    };
    let chain = options.chain.live(keypair).await?;
    let verifier = Verifier {
        store: Store::open(&options.database).await?,
        blobs: Blobs::in_directory(&options.data),
        chain,
        downloader: Downloader::new()?,
        role,
        passed: AtomicU64::new(0),
        newest_void: AtomicU64::new(0),
    };
    let mut rounds = Rounds::new(options.chain.poll_ms)?;
    while let Some(step) = rounds.run(verifier.step()).await {
        match step {
            Ok(step) => {
                rounds.well();
                tell(&step, &verifier);
                if options.once && step == Step::Idle {
                    break;
                }
                if matches!(step, Step::Right(_)) {
                    continue;
                }
            }
            Err(error) if options.once => return Err(error.into()),
            Err(error) => rounds.failed(&error),
        }
        if !rounds.wait().await {
            break;
        }
    }
    let checks = verifier.store.checks().await?;
    verifier.store.close().await;
    let wrong = checks.iter().any(|check| check.verdict == Verdict::Wrong);
    Ok(ExitCode::from(if options.once && wrong { 3 } else { 0 }))
}

fn tell<C>(step: &Step, verifier: &Verifier<C>) {
    match step {
        Step::Idle => {}
        Step::Right(epoch) => tracing::info!(epoch, "the epoch follows from its inputs"),
        Step::Wrong { epoch, evidence } => tracing::error!(
            epoch,
            evidence = %verifier.blobs.path(*evidence).display(),
            "WRONG: the epoch does not follow from its inputs"
        ),
        Step::Challenged(epoch) => tracing::warn!(epoch, "the challenge is on the chain"),
    }
}
