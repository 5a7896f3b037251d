//! The command line: arguments in, exit status out.

mod cancel;
mod claims;
mod dry_run;
mod init;
mod interrupt;
mod list_tasks;
mod loop_command;
mod mine_once;
mod options;
mod peer_evaluate_once;
mod rewards;
mod secret;
mod signed_request;
mod submit;
mod submit_workspace;
mod wallet;
mod watch;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::failure::Done;

/// Improve benchmarks for rewards: find a task, try it in the sandbox, submit it signed
#[derive(Debug, Parser)]
#[command(name = "bitsota-research-agent", version, max_term_width = 100, propagate_version = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
From nothing to a verified submission, by hand:
  export BITSOTA_COORDINATOR_URL=https://coordinator.example
  bitsota-research-agent wallet new                 make a hotkey
  bitsota-research-agent list-tasks                 what is there to do?
  bitsota-research-agent init sort-faster           a clone at the pinned commit
  cd sort-faster; edit repo/…; edit submission.json
  bitsota-research-agent dry-run                    the validators' engine, on this machine
  bitsota-research-agent submit                     claim, check, sign, send
  bitsota-research-agent watch SUBMISSION           wait for the verdict
  bitsota-research-agent rewards list               what did it earn?

Or by a program or a model of yours:
  bitsota-research-agent mine-once --task-slug sort-faster --agent-command 'my-agent {repo_dir_quoted}'
  bitsota-research-agent loop --llm-base-url https://api.example/v1 --llm-model NAME

On a terminal tables and sentences are printed, into a pipe JSON; messages go to standard error.
Exit status: 0 done, 3 refused or rejected, 1 error, 2 usage, 130 interrupted.";

#[derive(Debug, Subcommand)]
enum Command {
    /// What is there to do?
    ListTasks(list_tasks::ListTasksArgs),
    /// Prepare a workspace: a clone at the pinned commit, and what to know
    Init(init::InitArgs),
    /// Replay a workspace in the sandbox, before anything is signed
    DryRun(dry_run::DryRunArgs),
    /// Claim, check with the gate, sign and submit a workspace
    Submit(submit::SubmitArgs),
    /// Submit a repository for a claim that you hold
    SubmitWorkspace(submit_workspace::SubmitWorkspaceArgs),
    /// Follow a submission until it is decided
    Watch(watch::WatchArgs),
    /// Claims, yours or everybody's
    Claims(claims::ClaimsArgs),
    /// Give up a claim
    Cancel(cancel::CancelArgs),
    /// Claim a task, let an agent work, measure, and submit an improvement
    MineOnce(mine_once::MineOnceArgs),
    /// Replay another miner's pending submission, and say what was observed
    PeerEvaluateOnce(peer_evaluate_once::PeerEvaluateOnceArgs),
    /// Mine again and again
    Loop(loop_command::LoopArgs),
    /// What you earned: look at it, claim it, say who is paid
    #[command(after_help = rewards::EXAMPLES)]
    Rewards {
        #[command(subcommand)]
        command: Box<rewards::RewardsCommand>,
    },
    /// Send one signed request, for scripts
    SignedRequest(signed_request::SignedRequestArgs),
    /// Make a hotkey, or show one
    #[command(after_help = wallet::EXAMPLES)]
    Wallet {
        #[command(subcommand)]
        command: wallet::WalletCommand,
    },
}

/// Runs a parsed command line to its exit status.
pub(crate) fn run(cli: Cli) -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")),
        )
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bitsota-research-agent: the asynchronous runtime could not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let status = runtime.block_on(async {
        let cancel = CancellationToken::new();
        interrupt::cancel_on_signal(&cancel);
        match dispatch(cli.command, &cancel).await {
            Ok(ended) => ended.status(),
            Err(failure) => {
                eprintln!("bitsota-research-agent: {failure}");
                failure.status()
            }
        }
    });
    // Blocking work such as a fetch cannot be interrupted; what it leaves lies in
    // directories that the next start removes.
    runtime.shutdown_background();
    ExitCode::from(status)
}

async fn dispatch(command: Command, cancel: &CancellationToken) -> Done {
    match command {
        Command::ListTasks(args) => list_tasks::run(&args, cancel).await,
        Command::Init(args) => init::run(&args, cancel).await,
        Command::DryRun(args) => dry_run::run(&args, cancel).await,
        Command::Submit(args) => submit::run(&args, cancel).await,
        Command::SubmitWorkspace(args) => submit_workspace::run(&args, cancel).await,
        Command::Watch(args) => watch::run(&args, cancel).await,
        Command::Claims(args) => claims::run(&args, cancel).await,
        Command::Cancel(args) => cancel::run(&args, cancel).await,
        Command::MineOnce(args) => mine_once::run(&args, cancel).await,
        Command::PeerEvaluateOnce(args) => peer_evaluate_once::run(&args, cancel).await,
        Command::Loop(args) => loop_command::run(&args, cancel).await,
        Command::Rewards { command } => rewards::run(&command, cancel).await,
        Command::SignedRequest(args) => signed_request::run(&args, cancel).await,
        Command::Wallet { command } => wallet::run(&command),
    }
}
