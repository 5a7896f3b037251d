//! The commands, and the options that they share.

mod chain;
mod epoch;
mod publish;
mod rounds;
mod serve;
mod verify;
mod watch;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use pool::{Blobs, Store};

/// Reward snapshots into claims that anybody can recompute.
#[derive(Debug, Parser)]
#[command(name = "pool", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve claim packages and take recipient mappings.
    Serve(serve::Options),
    /// Build, show, list or take back an epoch.
    #[command(subcommand)]
    Epoch(epoch::Command),
    /// Recompute an epoch and all before it from their inputs, offline.
    ///
    /// Exit status: 0 it follows from its inputs, 3 it does not, 1 undecided.
    Verify(verify::Options),
    /// Put built epochs on the chain, one after another, and note what was claimed.
    ///
    /// Signs with the wallet's hotkey, which has to be the contract's gate.
    Publish(publish::Options),
    /// Check every published epoch, and challenge wrong ones.
    ///
    /// Keeps its findings in a database of its own. Exit status of --once: 0 all are
    /// right, 3 one is wrong, 1 undecided.
    Watch(watch::Options),
    /// Print the OpenAPI document.
    Openapi,
}

/// Where the pool keeps what it knows.
#[derive(Debug, Args)]
struct Place {
    /// `sqlite://FILE` or `postgres://…`.
    #[arg(
        long,
        env = "POOL_DATABASE",
        default_value = "sqlite://pool.db",
        hide_env_values = true
    )]
    database: String,
    /// The directory of the epoch files and their inputs.
    #[arg(long, env = "POOL_DATA", default_value = "pool-data")]
    data: PathBuf,
}

/// Writes what happens to standard error; `RUST_LOG` says how much.
fn log() {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "info,sqlx=warn".into()),
        )
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

impl Place {
    async fn open(&self) -> anyhow::Result<(Store, Blobs)> {
        let store = Store::open(&self.database).await?;
        Ok((store, Blobs::in_directory(&self.data)))
    }
}

pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve(options) => serve::run(options).await?,
            Command::Epoch(command) => epoch::run(command).await?,
            Command::Verify(options) => return verify::run(&options),
            Command::Publish(options) => publish::run(options).await?,
            Command::Watch(options) => return watch::run(options).await,
            Command::Openapi => {
                let document = pool::routes::document().to_pretty_json()?;
                writeln!(std::io::stdout(), "{document}")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
