//! `loop`.

use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::mine_once::{mine, remind, settings};
use super::options::CommonArgs;
use super::peer_evaluate_once;
use crate::failure::{Done, Ended, Failure};
use crate::lab::Lab;
use crate::mining::{Leftovers, Miner};
use crate::terminal::Output;

/// Mine again and again, in turn over the live tasks if none is named
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bitsota-research-agent loop --agent-command 'my-agent {repo_dir_quoted}' --cycles 10 --interval-seconds 60
  bitsota-research-agent loop --allow-peer-evaluation --llm-base-url https://api.example/v1 --llm-model NAME

One JSON object is printed for each thing done. A cycle that fails is told and does not end the loop;
Ctrl-C does, after giving back its claim.")]
pub(crate) struct LoopArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// How often [default: until interrupted]
    #[arg(long, value_name = "N")]
    cycles: Option<u64>,

    /// The rest between two cycles
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    interval_seconds: u64,

    /// Evaluate a submission of another miner before each cycle
    #[arg(long)]
    allow_peer_evaluation: bool,

    /// Keep the workspaces of cycles that submitted nothing
    #[arg(long)]
    keep_workspaces: bool,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

impl LoopArgs {
    const fn leftovers(&self) -> Leftovers {
        if self.keep_workspaces {
            Leftovers::Kept
        } else {
            Leftovers::Removed
        }
    }
}

pub(super) async fn run(args: &LoopArgs, cancel: &CancellationToken) -> Done {
    // What is wrong with the command line is wrong in every cycle.
    args.common.mining.agent()?;
    args.common.network.client(cancel)?;
    args.common.wallet.keypair()?;
    remind(&args.common.mining);
    let lab = args.common.lab.open(cancel).await?;
    let mut cycle: u64 = 0;
    while args.cycles.is_none_or(|cycles| cycle < cycles) {
        if cycle > 0 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(args.interval_seconds)) => {}
                () = cancel.cancelled() => return Err(Failure::Interrupted),
            }
        }
        for done in one_cycle(args, &lab, cycle, cancel).await {
            match done {
                Ok(_) => {}
                Err(Failure::Interrupted) => return Err(Failure::Interrupted),
                Err(failure) => eprintln!("cycle {}: {failure}", cycle + 1),
            }
        }
        cycle += 1;
    }
    Ok(Ended::Well)
}

async fn one_cycle(
    args: &LoopArgs,
    lab: &Lab,
    cycle: u64,
    cancel: &CancellationToken,
) -> Vec<Done> {
    let mut done = Vec::new();
    if args.allow_peer_evaluation {
        let output = Output::new(args.json);
        done.push(peer_evaluate_once::evaluate(&args.common, lab, output, cancel).await);
    }
    done.push(mine_one(args, lab, cycle, cancel).await);
    done
}

async fn mine_one(args: &LoopArgs, lab: &Lab, cycle: u64, cancel: &CancellationToken) -> Done {
    let common = &args.common;
    let (agent, client) = (common.mining.agent()?, common.network.client(cancel)?);
    let keypair = common.wallet.keypair()?;
    let mut tasks = common.task.tasks(&client).await?;
    if tasks.is_empty() {
        return Err(Failure::Refused(
            "the coordinator has no live task".to_owned(),
        ));
    }
    let turn = usize::try_from(cycle % tasks.len() as u64).unwrap_or(0);
    let task = tasks.swap_remove(turn);
    let miner = Miner {
        client: &client,
        keypair: &keypair,
        lab,
        agent: &agent,
        settings: settings(&common.mining, args.leftovers()),
        cancel,
    };
    let source = common.lab.source(&task, &client)?;
    mine(&miner, &task, source, Output::new(args.json)).await
}
