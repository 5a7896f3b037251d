//! `replay-runner run TASK`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use protocol::report::{Report, Timing};
use protocol::Outcome;
use replay_runner::artifact::{ArtifactSource, Declared, LocalFiles};
use replay_runner::checkout::Source;
use replay_runner::failure::Failure;
use replay_runner::host::{Host, HostOptions};
use replay_runner::patch::Patch;
use replay_runner::replay::replay;
use replay_runner::sandbox::SandboxError;
use replay_runner::spec::{Request, Submission};
use replay_runner::task::{self, TaskFileError};
use tokio_util::sync::CancellationToken;

use super::terminal::Style;
use super::{Global, live, summary};

/// Exit status for arguments that cannot be used.
const USAGE: u8 = 2;
/// No patch is read beyond this, whatever the task allows.
const LARGEST_PATCH: u64 = 64 << 20;

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

    /// The repository, in place of the one that the task names
    #[arg(long, value_name = "URL|PATH")]
    repository: Option<String>,

    /// Commit, branch or tag, in place of the task's
    #[arg(long, value_name = "REF")]
    base_ref: Option<String>,

    /// The patch: a file, or - for standard input
    #[arg(long, value_name = "FILE")]
    patch: Option<PathBuf>,

    /// The artifact: a file, or an https address
    #[arg(long, value_name = "PATH|URL")]
    artifact: Option<String>,

    /// The SHA-256 of the artifact; an address needs it
    #[arg(long, value_name = "HEX", requires = "artifact")]
    artifact_sha256: Option<String>,

    /// The size of the artifact in bytes; an address needs it
    #[arg(long, value_name = "BYTES", requires = "artifact")]
    artifact_size: Option<String>,

    /// A variable for the benchmark and score stages; may be given again
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = parse_env)]
    env: Vec<(String, String)>,

    /// The image, in place of the task's
    #[arg(long, value_name = "REF")]
    image: Option<String>,

    /// How often the benchmark runs; the median counts [default: the task's]
    #[arg(long, value_name = "N")]
    repeats: Option<u32>,

    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,

    /// Let setup have network if the task asks for it
    #[arg(long)]
    allow_setup_network: bool,
}

fn parse_env(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    match protocol::task::env_problem(name, value) {
        Some(problem) => Err(problem.to_owned()),
        None => Ok((name.to_owned(), value.to_owned())),
    }
}

/// How long a cancelled replay may take to kill and remove its container.
const CANCEL_PATIENCE: Duration = Duration::from_secs(8);

/// What stops a run before there is anything to report on.
enum Refused {
    Usage(String),
    Failure(Failure),
}

impl<E: Into<Failure>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failure(error.into())
    }
}

pub(crate) async fn run(args: RunArgs, global: &Global) -> u8 {
    let cancel = cancel_on_signal();
    let report = match replayed(&args, global, &cancel).await {
        Ok(report) => report,
        Err(Refused::Usage(message)) => {
            eprintln!("replay-runner: {message}");
            return USAGE;
        }
        Err(Refused::Failure(failure)) => unprepared(failure),
    };
    if let Err(error) = print(&report, args.json) {
        eprintln!("replay-runner: the report could not be written: {error}");
        return 1;
    }
    report.status.exit_code()
}

async fn replayed(args: &RunArgs, global: &Global, cancel: &CancellationToken) -> Result<Report, Refused> {
    let request = request(args)?;
    let options = HostOptions {
        // Whoever types this command line names the files themselves.
        local_files: LocalFiles::Anywhere,
        allow_setup_network: args.allow_setup_network,
        ..HostOptions::default()
    };
    let host = Host::open(global.state()?, options).await?;
    let progress = live::listener(args.json);
    tokio::select! {
        report = replay(&host, &request, progress.as_ref(), cancel) => Ok(report),
        // A fetch by libgit2 cannot be interrupted. No container runs then, and
        // what is on disk is removed by the next start.
        () = patience_after(cancel) => Ok(unprepared(SandboxError::Cancelled.into())),
    }
}

async fn patience_after(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(CANCEL_PATIENCE).await;
}

fn request(args: &RunArgs) -> Result<Request, Refused> {
    let source = task::load(&args.task).map_err(|error| match error {
        TaskFileError::NotFound(_) | TaskFileError::Io { .. } => Refused::Usage(error.to_string()),
        error => Refused::Failure(error.into()),
    })?;
    let mut task = source.task;
    task.image = args.image.clone().or(task.image);
    task.repeats = args.repeats.unwrap_or(task.repeats);
    task.validator_benchmark_env.extend(args.env.iter().cloned());
    let here = std::env::current_dir().map_err(|error| Refused::Usage(error.to_string()))?;
    let repository = match &args.repository {
        Some(text) => Some(Source::parse(text, &here)?),
        None => None,
    };
    let patch = match &args.patch {
        Some(path) => Some(read_patch(path).map_err(|error| {
            Refused::Usage(format!("the patch {} cannot be read: {error}", path.display()))
        })?),
        None => None,
    };
    Ok(Request {
        task,
        directory: source.directory,
        repository,
        base_ref: args.base_ref.clone(),
        submission: Submission {
            patch,
            artifact: artifact(args)?,
            artifact_uri: args.artifact.clone().filter(|text| text.contains("://")),
        },
    })
}

fn artifact(args: &RunArgs) -> Result<Option<(ArtifactSource, Declared)>, Refused> {
    let Some(text) = &args.artifact else { return Ok(None) };
    let declared = Declared::parse(args.artifact_sha256.as_deref(), args.artifact_size.as_deref())?;
    let source = if text.contains("://") { ArtifactSource::parse(text)? } else { ArtifactSource::local(text) };
    Ok(Some((source, declared)))
}

fn read_patch(path: &Path) -> io::Result<Patch> {
    let mut bytes = Vec::new();
    let input: Box<dyn Read> = if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    input.take(LARGEST_PATCH + 1).read_to_end(&mut bytes)?;
    Ok(Patch::new(bytes))
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
    use io::Write as _;
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
    } else {
        out.write_all(summary::summary(report, Style::of_stdout()).as_bytes())?;
    }
    out.flush()
}

/// Ctrl-C and SIGTERM stop the sandbox, remove it and then end the program; a
/// second one ends it at once.
fn cancel_on_signal() -> CancellationToken {
    let cancel = CancellationToken::new();
    let token = cancel.clone();
    tokio::spawn(async move {
        let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
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
