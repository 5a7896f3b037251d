//! `replay-runner check TASK`.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::{Args, ValueEnum};
use replay_runner::check::{Checked, Kept, Plan, Variation, check, parse_list, report};
use replay_runner::failure::Failure;
use replay_runner::host::Host;
use tokio_util::sync::CancellationToken;

use super::request::{Refused, RequestArgs};
use super::run::cancel_on_signal;
use super::{Global, USAGE, live, output};

/// Is a replay deterministic? Repeats it, changes one thing at a time, and says why it wobbles
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  replay-runner check my-task                            the baseline: five repeats and every variation
  replay-runner check my-task --patch fast.diff          a submission
  replay-runner check my-task --vary hostname,locale     two variations only; none repeats only
  replay-runner check my-task --vary all,-path           all but one
  replay-runner check my-task --runs 20 --vary none      a better measure of a metric that varies
  replay-runner check my-task --reuse ~/checks           no replay where an earlier check tells the same
  replay-runner check my-task --format markdown >> \"$GITHUB_STEP_SUMMARY\"

Variations: hostname, user, time-zone, locale, umask, environment, path, directory-order, clock,
cpu-count, cpu-pinning, memory, addresses, hash-seed, threads, entropy, fresh-memory, speed,
neighbour. Each is made alone, and all of them at once.

--reuse keeps every report, whatever its verdict, under the digest of all that it depends on: the
spec, --runs and --vary, this program, machine and engine. Remove the file to ask again. Whoever may
write to DIR decides what is reported; an error is never kept.

Exit status: 0 deterministic or stable within the task's tolerance, 3 not, 1 error, 2 usage.")]
pub(crate) struct CheckArgs {
    /// A task file, or a directory that holds task.toml, problem.yaml or task.json
    #[arg(value_name = "TASK")]
    task: PathBuf,

    #[command(flatten)]
    request: RequestArgs,

    /// How many runs in the same surroundings
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=1000))]
    runs: u32,

    /// What to change: all, none, or names with commas between them
    #[arg(long, value_name = "LIST", default_value = "all", value_parser = variations, allow_hyphen_values = true)]
    vary: Variations,

    /// Keep reports in this directory, and report from it what was checked before
    #[arg(long, value_name = "DIR")]
    reuse: Option<PathBuf>,

    /// How to report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// A list of variations as one value of the command line.
#[derive(Debug, Clone)]
struct Variations(Vec<Variation>);

fn variations(text: &str) -> Result<Variations, String> {
    parse_list(text)
        .map(Variations)
        .map_err(|error| error.to_string())
}

/// For whom the report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A person
    Text,
    /// A script
    Json,
    /// A CI system's test report
    Junit,
    /// A CI job's summary
    Markdown,
}

pub(crate) async fn run(args: &CheckArgs, global: &Global) -> u8 {
    let cancel = cancel_on_signal();
    let checked = match checked(args, global, &cancel).await {
        Ok(checked) => checked,
        Err(Refused::Usage(message)) => {
            eprintln!("replay-runner: {message}");
            return USAGE;
        }
        Err(Refused::Failure(failure)) => {
            return tell_failure(&failure, args.format);
        }
    };
    let shown = match args.format {
        Format::Text => report::text(&checked),
        Format::Json => match serde_json::to_string_pretty(&checked) {
            Ok(json) => json + "\n",
            Err(error) => {
                eprintln!("replay-runner: the report could not be written: {error}");
                return 1;
            }
        },
        Format::Junit => report::junit(&checked),
        Format::Markdown => report::markdown(&checked),
    };
    output::ended(&shown, checked.verdict.exit_code())
}

async fn checked(
    args: &CheckArgs,
    global: &Global,
    cancel: &CancellationToken,
) -> Result<Checked, Refused> {
    let request = args.request.request(&args.task)?;
    let kept = match &args.reuse {
        Some(directory) => {
            Some(Kept::open(directory).map_err(|error| Refused::Usage(error.to_string()))?)
        }
        None => None,
    };
    let host = Host::open(global.state()?, args.request.host_options()).await?;
    let plan = Plan {
        runs: args.runs,
        variations: args.vary.0.clone(),
    };
    let progress = live::listener(args.format != Format::Text);
    let done = AtomicUsize::new(0);
    let watched = io::stderr().is_terminal();
    let told = |name: &'static str| {
        let number = done.fetch_add(1, Ordering::Relaxed) + 1;
        if watched {
            eprint!("\r\x1b[K{number} runs, {name}");
        }
    };
    let checked = check(
        &host,
        &request,
        &plan,
        kept.as_ref(),
        progress.as_ref(),
        &told,
        cancel,
    )
    .await;
    if watched {
        eprint!("\r\x1b[K");
    }
    Ok(checked?)
}

/// A failed check has nothing to compare; a script gets the code all the same.
fn tell_failure(failure: &Failure, format: Format) -> u8 {
    eprintln!(
        "replay-runner: nothing to compare: {} ({})",
        failure.message, failure.code
    );
    if format == Format::Json {
        let object = serde_json::json!({
            "schema_version": 1, "verdict": "error", "code": failure.code, "message": failure.message,
        });
        return output::ended(&format!("{object}\n"), 1);
    }
    1
}
