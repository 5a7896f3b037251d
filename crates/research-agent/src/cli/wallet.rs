//! `wallet new` and `wallet show`.

use std::io::IsTerminal as _;

use clap::{Args, Subcommand};
use serde_json::json;

use super::options::{PlaceArgs, WalletArgs};
use crate::failure::{Done, Ended, Failure};
use crate::terminal::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum WalletCommand {
    /// Make a new hotkey
    New(WalletNewArgs),
    /// Show a hotkey's address; no secret is printed
    Show(WalletShowArgs),
}

/// Make a new hotkey, in the files that the network's own wallet reads
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  bitsota-research-agent wallet new --wallet-name miner --wallet-hotkey first

The file is not encrypted, because a miner signs unattended; it is readable by you only. A hotkey
signs submissions. What it earns goes to a coldkey, whose secret has no place on this machine.")]
pub(crate) struct WalletNewArgs {
    // Not WalletArgs: options for a hotkey that is there would be ignored.
    #[command(flatten)]
    place: PlaceArgs,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

/// Below the list of the commands.
pub(super) const EXAMPLES: &str = "\
Examples:
  bitsota-research-agent wallet new                   make the hotkey `default` of the wallet `default`
  bitsota-research-agent wallet show                  its address";

/// Show a hotkey's address
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bitsota-research-agent wallet show
  bitsota-research-agent wallet show --wallet-name miner --wallet-hotkey first
  bitsota-research-agent wallet show --json | jq -r .ss58_address")]
pub(crate) struct WalletShowArgs {
    #[command(flatten)]
    wallet: WalletArgs,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &WalletCommand) -> Done {
    match command {
        WalletCommand::New(args) => new(args),
        WalletCommand::Show(args) => show(args),
    }
}

fn new(args: &WalletNewArgs) -> Done {
    let created = wallet::create(&args.place.place()?).map_err(|error| match error {
        wallet::WalletError::Exists(_) => Failure::Refused(error.to_string()),
        error => error.into(),
    })?;
    let address = created.keypair.hotkey().to_string();
    // To a person, never into a log. They are in the file as well.
    if std::io::stderr().is_terminal() {
        eprintln!(
            "Write these words down and keep them secret:\n\n  {}\n",
            *created.phrase
        );
    } else {
        eprintln!("the words that make this hotkey again are in its file, as secretPhrase");
    }
    let made = json!({"ss58_address": address, "file": created.file});
    Output::new(args.json).print(&made, |_| {
        format!("hotkey  {address}\nfile    {}", created.file.display())
    })?;
    Ok(Ended::Well)
}

fn show(args: &WalletShowArgs) -> Done {
    let address = args.wallet.keypair()?.hotkey();
    let public = format!("0x{}", hex::encode(address.as_bytes()));
    let shown = json!({"ss58_address": address, "public_key": public});
    Output::new(args.json).print(&shown, |_| {
        format!("hotkey      {address}\npublic key  {public}")
    })?;
    Ok(Ended::Well)
}
