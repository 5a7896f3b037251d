//! `pool epoch`.

use std::path::Path;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use pool::build::{self, Order};
use pool::download::Downloader;
use pool::epoch::EpochFile;
use pool::{Blobs, Rao};
use protocol::ss58::Address;

use super::Place;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Fix an epoch's inputs, and compute it.
    Build(Build),
    /// Go on with a build that was interrupted.
    Finish(One),
    /// Show one epoch, or a hotkey's claim in it.
    Show(Show),
    /// List all epochs.
    List(Place),
    /// Take back the newest epoch while nobody began to publish it.
    Thaw(One),
}

#[derive(Debug, Args)]
pub(super) struct Build {
    #[command(flatten)]
    place: Place,
    /// The epoch's number; above the last one's.
    epoch: u64,
    /// The claim contract's address.
    #[arg(long)]
    contract: Address,
    /// The reward snapshot: a file, or an http or https address.
    #[arg(long)]
    snapshot: String,
    /// What is divided among the snapshot's miners, in rao.
    #[arg(long)]
    budget_rao: Rao,
    /// Let the number be more than 1,000 above this pool's newest: the chain has struck
    /// down a higher one that is not this pool's.
    #[arg(long)]
    may_leap: bool,
}

#[derive(Debug, Args)]
pub(super) struct One {
    #[command(flatten)]
    place: Place,
    /// The epoch's number.
    epoch: u64,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    one: One,
    /// Only this hotkey's claim package.
    #[arg(long)]
    hotkey: Option<Address>,
}

pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Build(options) => {
            let (store, blobs) = options.place.open().await?;
            let order = order(&options).await?;
            let file = build::build(&store, &blobs, &order).await?;
            print(&file, &blobs);
        }
        Command::Finish(One { place, epoch }) => {
            let (store, blobs) = place.open().await?;
            print(&build::finish(&store, &blobs, epoch).await?, &blobs);
        }
        Command::Show(Show { one, hotkey }) => show(one, hotkey).await?,
        Command::List(place) => {
            let (store, _) = place.open().await?;
            for row in store.epochs().await? {
                println!("{:>8}  {}", row.epoch, row.state);
            }
        }
        Command::Thaw(One { place, epoch }) => {
            let (store, _) = place.open().await?;
            store.thaw(epoch).await?;
            println!("epoch {epoch} is taken back");
        }
    }
    Ok(())
}

async fn order(options: &Build) -> anyhow::Result<Order> {
    let snapshot = if options.snapshot.contains("://") {
        let address = options.snapshot.parse();
        let address = address.with_context(|| format!("--snapshot {}", options.snapshot))?;
        Downloader::new()?.get(&address).await?
    } else {
        read(Path::new(&options.snapshot))?
    };
    Ok(Order {
        epoch: options.epoch,
        contract: options.contract,
        budget_rao: options.budget_rao,
        snapshot,
        may_leap: options.may_leap,
    })
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

async fn show(one: One, hotkey: Option<Address>) -> anyhow::Result<()> {
    let (store, blobs) = one.place.open().await?;
    let row = store.epoch(one.epoch).await?;
    let digest = row.and_then(|row| row.file_sha256);
    let digest = digest.with_context(|| format!("epoch {} is not built", one.epoch))?;
    let file = EpochFile::parse(&blobs.get(digest)?)?;
    let Some(hotkey) = hotkey else {
        print(&file, &blobs);
        return Ok(());
    };
    let package = file.package(&file.tree()?, &hotkey);
    let package =
        package.with_context(|| format!("{hotkey} has no leaf in epoch {}", one.epoch))?;
    println!("{}", serde_json::to_string_pretty(&package)?);
    Ok(())
}

fn print(file: &EpochFile, blobs: &Blobs) {
    println!("epoch {}", file.epoch);
    println!("  root        {}", file.root);
    println!("  leaves      {}", file.num_of_leaves);
    println!("  budget      {} rao", file.budget_rao);
    println!("  total       {} rao", file.total_rao);
    println!("  contract    {}", file.contract);
    println!("  file        {}", blobs.path(file.digest()).display());
    if !file.unassigned.is_empty() {
        println!(
            "  unassigned  {} miners have named no recipient; their balances are carried on",
            file.unassigned.len()
        );
    }
}
