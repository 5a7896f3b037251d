//! `rewards list`.

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::options::{ChainArgs, PoolArgs, WhoseArgs};
use crate::cli::options::WalletArgs;
use crate::failure::{Done, Ended};
use crate::rewards::claiming::{Wish, plan};
use crate::rewards::contract::Contract;
use crate::rewards::statement::{EpochLine, Question, Statement, gather};
use crate::terminal::Output;

/// What is claimable, in which epoch, to whom, and from when on
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bitsota-research-agent rewards list --pool-url https://pool.example
  bitsota-research-agent rewards list --hotkey ADDRESS --endpoint wss://node.example:443 --contract ADDRESS

Every proof is checked on this machine. Amounts are in the subnet's own currency. Exit status 3 if a
proof is bad.")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pool: PoolArgs,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    whose: WhoseArgs,
    #[command(flatten)]
    wallet: WalletArgs,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &ListArgs, cancel: &CancellationToken) -> Done {
    let pool = args.pool.open(cancel)?;
    let question = Question {
        hotkey: args.whose.hotkey(&args.wallet)?,
        contract: args.chain.contract,
        epochs: args.whose.epochs.into(),
    };
    let contract = contract(args).await?;
    let mut statement = gather(&pool, contract.as_ref(), question).await?;
    if let Some(contract) = &contract {
        add_fee(contract, &mut statement).await;
    }
    Output::new(args.json).print(&statement, Statement::told)?;
    if statement.epochs.iter().any(EpochLine::has_bad_proof) {
        return Ok(Ended::Rejected);
    }
    Ok(Ended::Well)
}

/// The contract, if a node and its address are named.
async fn contract(args: &ListArgs) -> Done<Option<Contract>> {
    let Some(chain) = args.chain.chain().await? else {
        return Ok(None);
    };
    let Some(address) = args.chain.contract else {
        return Err(crate::failure::Failure::Usage(
            "--endpoint is given without --contract: which contract shall be asked?".to_owned(),
        ));
    };
    Ok(Some(Contract::read(&chain, address).await?))
}

/// What claiming would cost. A list is worth showing without it, too.
async fn add_fee(contract: &Contract, statement: &mut Statement) {
    if statement.claimable_epoch.is_none() {
        return;
    }
    let wish = Wish {
        epoch: None,
        recipient: None,
        signer: None,
    };
    match plan(contract, statement, wish).await {
        Ok(plan) => statement.fee_rao = Some(plan.fee_rao),
        Err(problem) => statement.notes.push(problem.to_string()),
    }
}
