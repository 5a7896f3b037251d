//! `mine-once`.

use clap::Args;
use replay_runner::checkout::Source;
use tokio_util::sync::CancellationToken;

use super::options::{CommonArgs, MiningArgs, ParticipationStyle};
use crate::failure::{Done, Ended};
use crate::mining::{Leftovers, Mined, Miner, Settings};
use crate::task::ServedTask;
use crate::terminal::Output;

/// Claim a task, let an agent work, measure in the sandbox, and submit an improvement
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bitsota-research-agent mine-once --task-slug sort-faster \\
      --agent-command 'my-agent --repo {repo_dir_quoted} --task {intro_path_quoted} --out {submission_path_quoted}'
  bitsota-research-agent mine-once --task-slug sort-faster --llm-base-url http://localhost:11434/v1 --llm-model NAME

The agent is your program and runs with your rights. What it changed runs in the sandbox only, and is
submitted only if it is better there than the baseline and the best so far. What came of each attempt
is in {submission_result_path_quoted} for the next one.
Exit status: 0 submitted, 3 no improvement, 1 error.")]
pub(crate) struct MineOnceArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &MineOnceArgs, cancel: &CancellationToken) -> Done {
    let common = &args.common;
    let agent = common.mining.agent()?;
    let client = common.network.client(cancel)?;
    let keypair = common.wallet.keypair()?;
    let task = common.task.one(&client).await?;
    let source = common.lab.source(&task, &client)?;
    remind(&common.mining);
    let lab = common.lab.open(cancel).await?;
    let miner = Miner {
        client: &client,
        keypair: &keypair,
        lab: &lab,
        agent: &agent,
        settings: settings(&common.mining, Leftovers::Kept),
        cancel,
    };
    mine(&miner, &task, source, Output::new(args.json)).await
}

pub(super) fn settings(mining: &MiningArgs, leftovers: Leftovers) -> Settings {
    Settings {
        workspace_root: mining.workspace_root.clone(),
        max_attempts: mining.max_attempts,
        min_improvement: mining.min_improvement,
        leftovers,
    }
}

/// A reward without a recipient is lost to its miner: that is said once, before.
pub(super) fn remind(mining: &MiningArgs) {
    if mining.participation_style == ParticipationStyle::Pool {
        eprintln!(
            "participating through the pool: rewards wait there for the recipient coldkey that you set for this hotkey"
        );
    }
}

pub(super) async fn mine(
    miner: &Miner<'_>,
    task: &ServedTask,
    source: Source,
    output: Output,
) -> Done {
    let mined = miner.mine_once(task, source).await?;
    output.print(&mined, told)?;
    Ok(match mined.submission {
        Some(_) => Ended::Well,
        None => Ended::Rejected,
    })
}

fn told(mined: &Mined) -> String {
    match &mined.submission {
        Some(submission) => super::submit::told(submission),
        None => format!(
            "{}: no improvement in {} attempts; what was tried is in {}",
            mined.task_slug,
            mined.attempts.len(),
            mined.workspace.display()
        ),
    }
}
