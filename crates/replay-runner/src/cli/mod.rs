//! The command line: arguments in, exit status out.

mod check;
mod completions;
mod daemon;
mod doctor;
mod images;
mod key;
mod lint;
mod live;
mod new;
mod output;
mod request;
mod run;
mod status;
mod summary;
mod terminal;
mod verify;

/// Exit status for arguments that cannot be used.
const USAGE: u8 = 2;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use replay_runner::images::command::ImagesCommand;
use replay_runner::state::State;
use tracing_subscriber::EnvFilter;

/// Replay untrusted submissions in containers and report the metrics observed
#[derive(Debug, Parser)]
#[command(name = "replay-runner", version, max_term_width = 100, propagate_version = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    global: Global,
}

const EXAMPLES: &str = "\
Examples:
  replay-runner run my-task                         replay the baseline of a task
  replay-runner run my-task --patch fast.diff       replay a patch
  git diff | replay-runner run my-task --patch -    the same from standard input
  replay-runner run task.json --repository . --json  a saved task, a local clone, a report for machines
  replay-runner doctor                              is this machine fit to replay?

Exit status: 0 accepted, 3 rejected, 1 error, 2 usage.
Logs go to standard error; RUST_LOG=replay_runner=debug shows more of them.";

/// Options of every command.
#[derive(Debug, Args)]
struct Global {
    /// Where caches and running replays are kept
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "REPLAY_RUNNER_STATE",
        help_heading = "Global options"
    )]
    state: Option<PathBuf>,
}

impl Global {
    fn state(&self) -> Result<State, replay_runner::failure::Failure> {
        let root = self.state.clone().unwrap_or_else(State::default_root);
        Ok(State::open(&root)?)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay a submission, or the baseline of a task
    Run(Box<run::RunArgs>),
    /// Validate: fetch jobs, replay them, post what was observed
    Daemon(daemon::DaemonArgs),
    /// Show what the daemon is doing now, and the last outcomes
    Status(status::StatusArgs),
    /// Is a replay deterministic? Repeats it, and changes one thing at a time
    Check(Box<check::CheckArgs>),
    /// Is a task fit to post? The checklist, and a rehearsal of what miners will try
    Lint(Box<lint::LintArgs>),
    /// Start a task repository that is fit to post
    New(new::NewArgs),
    /// Check a signed receipt
    Verify(Box<verify::VerifyArgs>),
    /// Show the key that signs receipts, or bind it to a hotkey
    Key(key::KeyArgs),
    /// Is this machine fit to replay?
    Doctor(doctor::DoctorArgs),
    /// Build or list the images that replays run in
    #[command(after_help = images::EXAMPLES)]
    Images {
        #[command(subcommand)]
        command: ImagesCommand,
    },
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

impl Command {
    /// What is logged unless `RUST_LOG` says otherwise.
    fn usual_log(&self) -> &'static str {
        match self {
            // Its log is what an operator has of it.
            Self::Daemon(_) => "warn,replay_runner::daemon=info",
            _ => "warn",
        }
    }
}

/// Runs a parsed command line to its exit status.
pub(crate) fn run(cli: Cli) -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| EnvFilter::new(cli.command.usual_log())),
        )
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_span_events(span_events())
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("replay-runner: the asynchronous runtime could not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let status = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => run::run(&args, &cli.global).await,
            Command::Daemon(args) => daemon::run(&args, &cli.global).await,
            Command::Status(args) => status::run(&args, &cli.global).await,
            Command::Check(args) => check::run(&args, &cli.global).await,
            Command::Lint(args) => lint::run(&args, &cli.global).await,
            Command::New(args) => new::run(&args),
            Command::Verify(args) => verify::run(&args, &cli.global).await,
            Command::Key(args) => key::run(&args, &cli.global),
            Command::Doctor(args) => doctor::run(&args, &cli.global).await,
            Command::Images { command } => images::run(&command).await,
            Command::Completions(args) => completions::run(&args),
        }
    });
    // Blocking work such as a fetch cannot be interrupted; what it leaves is
    // cleaned up by the next start.
    runtime.shutdown_background();
    ExitCode::from(status)
}

/// Times of the engine's own spans, when asked for by `RUST_LOG_SPANS=1`.
fn span_events() -> tracing_subscriber::fmt::format::FmtSpan {
    use tracing_subscriber::fmt::format::FmtSpan;
    if std::env::var_os("RUST_LOG_SPANS").is_some() {
        FmtSpan::CLOSE
    } else {
        FmtSpan::NONE
    }
}
