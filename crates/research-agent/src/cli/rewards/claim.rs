//! `rewards claim`.

use clap::Args;
use protocol::ss58::Address;
use tokio_util::sync::CancellationToken;

use super::options::{ChainArgs, PoolArgs, WhoseArgs};
use crate::cli::options::WalletArgs;
use crate::failure::{Done, Ended, Failure};
use crate::rewards::claiming::{Plan, Wish, carry_out, plan};
use crate::rewards::contract::Contract;
use crate::rewards::statement::{Question, gather};
use crate::terminal::Output;

/// Claim what is due, or show the call that would
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bitsota-research-agent rewards claim --endpoint wss://node.example:443 --contract ADDRESS
  bitsota-research-agent rewards claim --dry-run --hotkey ADDRESS …   the call, for another wallet to sign

Before anything is signed, the proof is checked on this machine against the root that the chain has,
the recipient against the hotkey's own signature, and the contract is asked whether it would pay.
The wallet's key signs and pays the fee; the amount goes to the recipient, whoever signs.")]
pub(crate) struct ClaimArgs {
    #[command(flatten)]
    pool: PoolArgs,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    whose: WhoseArgs,
    #[command(flatten)]
    wallet: WalletArgs,

    /// Claim this epoch [default: the newest that is open]
    #[arg(long, value_name = "N")]
    epoch: Option<u64>,

    /// Who must be the one that is paid; needed where the pool cannot show that the hotkey chose it
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<Address>,

    /// Check everything and print the exact call; sign and send nothing
    #[arg(long)]
    dry_run: bool,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &ClaimArgs, cancel: &CancellationToken) -> Done {
    let missing = |flag: &str, why: &str| Failure::Usage(format!("name {flag}: {why}"));
    let Some(address) = args.chain.contract else {
        let why = "the pool alone does not choose which contract your key calls";
        return Err(missing("the claim contract with --contract ADDRESS", why));
    };
    let Some(chain) = args.chain.chain().await? else {
        let why = "only the chain says which root is published, what was paid before and whether claims are open";
        return Err(missing("a node of the chain with --endpoint URL", why));
    };
    // A dry run for another hotkey asks for no secret.
    let keypair = match (args.dry_run, args.whose.hotkey) {
        (true, Some(_)) => None,
        _ => Some(args.wallet.keypair()?),
    };
    let own = keypair.as_ref().map(|keypair| keypair.hotkey().address());
    let Some(hotkey) = args.whose.hotkey.or(own) else {
        return Err(missing(
            "a hotkey with --hotkey ADDRESS",
            "there is no wallet",
        ));
    };
    let pool = args.pool.open(cancel)?;
    let contract = Contract::read(&chain, address).await?;
    let question = Question {
        hotkey,
        contract: Some(address),
        epochs: args.whose.epochs.into(),
    };
    let statement = gather(&pool, Some(&contract), question).await?;
    let wish = Wish {
        epoch: args.epoch,
        recipient: args.recipient,
        signer: keypair.as_ref().map(protocol::hotkey::Keypair::hotkey),
    };
    let mut plan = plan(&contract, &statement, wish).await?;
    for warning in &plan.warnings {
        eprintln!("warning: {warning}");
    }
    if let Some(keypair) = keypair.filter(|_| !args.dry_run) {
        let told = plan.warnings.len();
        carry_out(&chain, &contract, &mut plan, &keypair).await?;
        for warning in plan.warnings.iter().skip(told) {
            eprintln!("warning: {warning}");
        }
    }
    Output::new(args.json).print(&plan, Plan::told)?;
    Ok(Ended::Well)
}
