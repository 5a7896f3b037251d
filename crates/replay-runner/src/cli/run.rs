//! `replay-runner run TASK`.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use protocol::report::{Report, Timing};
use protocol::{Code, Outcome, Status};
use replay_runner::failure::Failure;
use replay_runner::host::Host;
use replay_runner::receipt::{self, ReceiptError, ReceiptKey};
use replay_runner::replay::{Replayed, replay};
use replay_runner::sandbox::SandboxError;
use replay_runner::spec::Request;
use tokio_util::sync::CancellationToken;

use super::request::{Refused, RequestArgs};
use super::terminal::Style;
use super::{Global, USAGE, live, output, summary};

/// Replay a submission, or the baseline of a task
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  replay-runner run fixtures/tasks/digits-frontier
  replay-runner run my-task --patch fast.diff --json > report.json
  replay-runner run my-task --artifact https://models.example/m.bin --artifact-sha256 HEX --artifact-size 4096
  replay-runner run task.json --repository ~/clone --base-ref v1.2 --patch -

Without --patch and --artifact the baseline itself is replayed.
Exit status: 0 accepted, 3 rejected, 1 error, 2 usage.")]
pub(crate) struct RunArgs {
    /// A task file, or a directory that holds task.toml, problem.yaml or task.json
    #[arg(value_name = "TASK")]
    task: PathBuf,

    #[command(flatten)]
    request: RequestArgs,

    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,

    /// Write a signed receipt of the replay
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

/// How long a cancelled replay may take to kill and remove its container.
const CANCEL_PATIENCE: Duration = Duration::from_secs(8);

pub(crate) async fn run(args: &RunArgs, global: &Global) -> u8 {
    let cancel = cancel_on_signal();
    let (report, receipt) = match replayed(args, global, &cancel).await {
        Ok(ended) => ended,
        Err(Refused::Usage(message)) => {
            eprintln!("replay-runner: {message}");
            return USAGE;
        }
        Err(Refused::Failure(failure)) => (unprepared(failure), ReceiptWritten::AsAsked),
    };
    let status = match receipt {
        ReceiptWritten::AsAsked => report.status.exit_code(),
        ReceiptWritten::No => Status::Error.exit_code(),
    };
    output::status_after(print(&report, args.json), status)
}

/// Whether the receipt that was asked for, if one was, is there.
enum ReceiptWritten {
    AsAsked,
    No,
}

async fn replayed(
    args: &RunArgs,
    global: &Global,
    cancel: &CancellationToken,
) -> Result<(Report, ReceiptWritten), Refused> {
    let request = args.request.request(&args.task)?;
    let state = global.state()?;
    // Before the replay: whoever wants a receipt should not learn after an hour
    // that there is no key, or no place.
    let key = match &args.receipt {
        Some(path) => {
            receipt::can_write(path)
                .map_err(|error| Refused::Usage(format!("--receipt: {error}")))?;
            Some(ReceiptKey::open(state.root()).map_err(|error| unsigned(&error))?)
        }
        None => None,
    };
    let host = Host::open(state, args.request.host_options()).await?;
    let replayed = replay_until(&host, &request, args.json, cancel).await;
    match (key, &args.receipt, &replayed.spec) {
        (Some(key), Some(path), Some(spec)) => {
            let receipt = key.sign(spec, &replayed.report, host.receipt_facts());
            if let Err(error) = receipt.and_then(|receipt| receipt::write(path, &receipt)) {
                eprintln!("replay-runner: there is no receipt: {error}");
                return Ok((replayed.report, ReceiptWritten::No));
            }
        }
        (Some(_), Some(path), None) => {
            eprintln!(
                "replay-runner: nothing could be pinned, so there is no receipt to write to {}",
                path.display()
            );
        }
        _ => {}
    }
    Ok((replayed.report, ReceiptWritten::AsAsked))
}

fn unsigned(error: &ReceiptError) -> Refused {
    Refused::Failure(Failure::new(
        Code::Internal,
        format!("there is no receipt: {error}"),
    ))
}

/// Replays with a live line, and gives up on what cannot be interrupted.
pub(super) async fn replay_until(
    host: &Host,
    request: &Request,
    quiet: bool,
    cancel: &CancellationToken,
) -> Replayed {
    let progress = live::listener(quiet);
    tokio::select! {
        replayed = replay(host, request, progress.as_ref(), cancel) => replayed,
        // A fetch by libgit2 cannot be interrupted. No container runs then, and
        // what is on disk is removed by the next start.
        () = patience_after(cancel) => Replayed { report: unprepared(SandboxError::Cancelled.into()), spec: None },
    }
}

async fn patience_after(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(CANCEL_PATIENCE).await;
}

/// A report on what failed before there was a host to replay on.
fn unprepared(failure: Failure) -> Report {
    let outcome = Outcome::of(failure.code, failure.control);
    Report {
        status: outcome.status,
        code: outcome.code,
        message: failure.message,
        fault: outcome.fault,
        observed_metrics: BTreeMap::new(),
        spread: BTreeMap::new(),
        spec_digest: None,
        base_commit: None,
        patched_tree: None,
        image: None,
        result_digest: None,
        stages: Vec::new(),
        notes: Vec::new(),
        timing: Timing::default(),
    }
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    output::write(&if json {
        serde_json::to_string_pretty(report)? + "\n"
    } else {
        summary::summary(report, Style::of_stdout())
    })
}

/// Ctrl-C and SIGTERM stop the sandbox, remove it and then end the program; a
/// second one ends it at once.
pub(super) fn cancel_on_signal() -> CancellationToken {
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    tokio::spawn(async move {
        let mut terminate =
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(terminate) => terminate,
                Err(error) => return eprintln!("replay-runner: signals are not handled: {error}"),
            };
        for first in [true, false] {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            if !first {
                std::process::exit(i32::from(protocol::Status::Error.exit_code()));
            }
            eprintln!("replay-runner: stopping; once more stops at once");
            token.cancel();
        }
    });
    cancel
}
