//! `replay-runner lint TASK`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use replay_runner::host::Host;
use replay_runner::lint::{Examples, Linted, Rehearse, Severity, lint};
use replay_runner::patch::Patch;
use replay_runner::sandbox::output::escape;

use super::request::{Refused, RequestArgs};
use super::run::cancel_on_signal;
use super::terminal::{Paint, Style};
use super::{Global, USAGE, live, output};

/// Exit status for a task that breaks a rule.
const UNFIT: u8 = 3;

/// Is a task fit to post? The checklist, and a rehearsal of what miners will try
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  replay-runner lint my-task
  replay-runner lint my-task --better fast.diff --worse slow.diff   does the metric go the right way?
  replay-runner lint my-task --no-rehearsal --format json

Exit status: 0 no rule is broken (warnings included), 3 one is, 1 error, 2 usage.")]
pub(crate) struct LintArgs {
    /// A task file, or a directory that holds task.toml, problem.yaml or task.json
    #[arg(value_name = "TASK")]
    task: PathBuf,

    #[command(flatten)]
    request: RequestArgs,

    /// A patch that should be better than the baseline
    #[arg(long, value_name = "FILE")]
    better: Option<PathBuf>,

    /// A patch that should be worse
    #[arg(long, value_name = "FILE")]
    worse: Option<PathBuf>,

    /// Do not try forgeries
    #[arg(long)]
    no_rehearsal: bool,

    /// How to report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A person
    Text,
    /// A script
    Json,
}

pub(crate) async fn run(args: &LintArgs, global: &Global) -> u8 {
    match linted(args, global).await {
        Ok(linted) => {
            let shown = match args.format {
                Format::Text => text(&linted, Style::of_stdout()),
                Format::Json => format!("{:#}\n", serde_json::json!(linted)),
            };
            output::ended(&shown, if linted.passed { 0 } else { UNFIT })
        }
        Err(Refused::Usage(message)) => {
            eprintln!("replay-runner: {message}");
            USAGE
        }
        Err(Refused::Failure(failure)) => {
            eprintln!("replay-runner: {failure}");
            1
        }
    }
}

async fn linted(args: &LintArgs, global: &Global) -> Result<Linted, Refused> {
    let request = args.request.request(&args.task)?;
    let examples = Examples {
        better: args.better.as_deref().map(read).transpose()?,
        worse: args.worse.as_deref().map(read).transpose()?,
    };
    let rehearse = if args.no_rehearsal {
        Rehearse::No
    } else {
        Rehearse::Yes
    };
    let host = Host::open(global.state()?, args.request.host_options()).await?;
    let progress = live::listener(args.format != Format::Text);
    let cancel = cancel_on_signal();
    Ok(lint(
        &host,
        &request,
        &examples,
        rehearse,
        progress.as_ref(),
        &cancel,
    )
    .await?)
}

fn read(path: &Path) -> Result<Patch, Refused> {
    let bytes = fs::read(path).map_err(|error| {
        Refused::Usage(format!(
            "the patch {} cannot be read: {error}",
            path.display()
        ))
    })?;
    Ok(Patch::new(bytes))
}

fn text(linted: &Linted, style: Style) -> String {
    let mut text = String::new();
    for finding in &linted.findings {
        let (paint, mark) = match finding.severity {
            Severity::Ok => (Paint::Green, "ok  "),
            Severity::Skipped => (Paint::Dim, "skip"),
            Severity::Warning => (Paint::Yellow, "warn"),
            Severity::Error => (Paint::Red, "FAIL"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} {:<16} {}",
            style.paint(paint, mark),
            finding.rule.name(),
            escape(finding.found.as_bytes())
        );
        if !finding.mend.is_empty() {
            let _ = writeln!(text, "{:22}mend: {}", "", escape(finding.mend.as_bytes()));
        }
    }
    if !linted.rehearsed.is_empty() {
        let _ = writeln!(text, "\nrehearsed, as a submission that");
        for one in &linted.rehearsed {
            let (paint, word) = if one.scores {
                (Paint::Red, "WOULD SCORE")
            } else {
                (Paint::Green, "held")
            };
            let _ = writeln!(
                text,
                "  {:<58} {} ({})",
                one.forgery.does(),
                style.paint(paint, word),
                one.ended
            );
        }
    }
    let (paint, word) = if linted.passed {
        (Paint::Green, "FIT TO POST")
    } else {
        (Paint::Red, "NOT FIT TO POST")
    };
    let _ = writeln!(text, "\n{}", style.paint(paint, word));
    text
}
