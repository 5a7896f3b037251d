//! `replay-runner status`.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use replay_runner::daemon::spool::{JobLine, Overview, overview};
use replay_runner::daemon::{config, is_running};
use replay_runner::state::State;

use super::terminal::{Paint, Style};
use super::{Global, USAGE, output};

/// Show what the daemon is doing now, and the last outcomes
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  replay-runner status
  replay-runner status --watch
  replay-runner status --json | jq '.counts.states'

Exit status: 0 if the daemon works or has ended as asked, 1 if it is paused, gone, or not let in.")]
pub(crate) struct StatusArgs {
    /// The daemon's configuration, if that names the state directory
    #[arg(long, value_name = "FILE", env = "REPLAY_RUNNER_CONFIG")]
    config: Option<PathBuf>,

    /// How many of the last outcomes
    #[arg(long, value_name = "N", default_value_t = 10)]
    last: u32,

    /// Show it again every second until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    watch: bool,

    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &StatusArgs, global: &Global) -> u8 {
    let root = match root(args, global) {
        Ok(root) => root,
        Err(message) => {
            eprintln!("replay-runner: {message}");
            return USAGE;
        }
    };
    loop {
        let overview = match overview(&root, args.last) {
            Ok(Some(overview)) => overview,
            Ok(None) => {
                eprintln!(
                    "replay-runner: no daemon has run with the state directory {}; name another with --state",
                    root.display()
                );
                return 1;
            }
            Err(error) => {
                eprintln!("replay-runner: {error}");
                return 1;
            }
        };
        let health = match Health::of(&overview, &root) {
            Ok(health) => health,
            Err(error) => {
                eprintln!(
                    "replay-runner: the daemon's lock in {} cannot be looked at: {error}",
                    root.display()
                );
                return 1;
            }
        };
        let shown = show(args, &overview, health);
        if !args.watch || shown.is_err() {
            let status = u8::from(!matches!(health, Health::Works | Health::Ended));
            return output::status_after(shown, status);
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            _ = tokio::signal::ctrl_c() => return 0,
        }
    }
}

fn root(args: &StatusArgs, global: &Global) -> Result<PathBuf, String> {
    if let Some(root) = &global.state {
        return Ok(root.clone());
    }
    let named = match &args.config {
        Some(path) => {
            let loaded = config::load(path).map_err(|error| error.to_string())?;
            loaded.config.state_dir
        }
        None => None,
    };
    Ok(named.unwrap_or_else(State::default_root))
}

/// How the daemon is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Works,
    Paused,
    /// The coordinator does not let it in.
    Barred,
    Ended,
    /// It says that it works, and its process is not there.
    Gone,
}

impl Health {
    fn of(overview: &Overview, root: &Path) -> io::Result<Self> {
        let Some(phase) = &overview.phase else {
            return Ok(Self::Gone);
        };
        Ok(match phase.name.as_str() {
            "ended" => Self::Ended,
            _ if !is_running(root)? => Self::Gone,
            "paused" => Self::Paused,
            "barred" => Self::Barred,
            _ => Self::Works,
        })
    }
}

fn show(args: &StatusArgs, overview: &Overview, health: Health) -> io::Result<()> {
    if args.json {
        return output::write(&(serde_json::to_string_pretty(overview)? + "\n"));
    }
    let text = text(overview, health, Style::of_stdout());
    if args.watch && io::stdout().is_terminal() {
        // Home, and clear what is below.
        return output::write(&format!("\x1b[H\x1b[J{text}"));
    }
    output::write(&text)
}

fn text(overview: &Overview, health: Health, style: Style) -> String {
    let mut lines = vec![head(overview, health, style)];
    if let Some(phase) = &overview.phase {
        lines.push(format!("hotkey {} at {}", phase.hotkey, phase.coordinator));
    }
    let states: Vec<String> = overview
        .counts
        .states
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    lines.push(match states.as_slice() {
        [] => "no jobs yet".to_owned(),
        states => format!("jobs: {}", states.join(", ")),
    });
    if !overview.open.is_empty() {
        lines.push(String::new());
        lines.push(style.paint(Paint::Bold, "now"));
        lines.extend(overview.open.iter().map(|job| open_line(job, overview.now)));
    }
    if !overview.last.is_empty() {
        lines.push(String::new());
        lines.push(style.paint(Paint::Bold, "last outcomes"));
        lines.extend(
            overview
                .last
                .iter()
                .map(|job| settled_line(job, overview.now, style)),
        );
    }
    lines.join("\n") + "\n"
}

fn head(overview: &Overview, health: Health, style: Style) -> String {
    let (paint, word) = match health {
        Health::Works => (Paint::Green, "works"),
        Health::Paused => (Paint::Red, "paused"),
        Health::Barred => (Paint::Red, "is not let in"),
        Health::Ended => (Paint::Yellow, "ended"),
        Health::Gone => (Paint::Red, "is gone"),
    };
    let head = format!("the daemon {}", style.paint(paint, word));
    match &overview.phase {
        Some(phase) if health == Health::Gone => {
            format!("{head}: process {} does not run any more", phase.pid)
        }
        Some(phase) if phase.reason.is_empty() => {
            format!("{head} for {}", ago(overview.now - phase.since))
        }
        Some(phase) => {
            let age = ago(overview.now - phase.since);
            format!("{head} for {age}: {}", plain(&phase.reason, 300))
        }
        None => head,
    }
}

fn open_line(job: &JobLine, now: i64) -> String {
    let what = match job.state.as_str() {
        "running" if job.stage.is_empty() => "running".to_owned(),
        "running" => format!("running {}", job.stage),
        "ready" => format!(
            "{} {}, posting (try {})",
            job.status.as_deref().unwrap_or_default(),
            job.code.as_deref().unwrap_or_default(),
            job.posts + 1
        ),
        _ if job.message.is_empty() => "waiting".to_owned(),
        _ => format!(
            "waiting for attempt {}: {}",
            job.attempts + 1,
            plain(&job.message, 100)
        ),
    };
    format!(
        "  {}  {:<8} {what}",
        job.submission_id,
        ago(now - job.changed_at)
    )
}

fn settled_line(job: &JobLine, now: i64, style: Style) -> String {
    let status = job.status.as_deref().unwrap_or("-");
    let paint = match (job.state.as_str(), status) {
        ("posted" | "kept", "accepted") => Paint::Green,
        ("posted" | "kept", "rejected") => Paint::Yellow,
        _ => Paint::Red,
    };
    let code = job.code.as_deref().unwrap_or("-");
    let note = match job.state.as_str() {
        // Whose mend it is, the code alone does not tell.
        "posted" if status == "error" && !job.message.is_empty() => {
            let told = format!("{status} {code}: ");
            let why = job.message.strip_prefix(&told).unwrap_or(&job.message);
            format!(": {}", plain(why, 200))
        }
        "posted" => String::new(),
        "kept" => " (dry run: not posted)".to_owned(),
        state => format!(" ({state}: {})", plain(&job.message, 100)),
    };
    format!(
        "  {}  {:<8} {} {code}{note}",
        job.submission_id,
        ago(now - job.changed_at),
        style.paint(paint, status)
    )
}

/// What others wrote, on one line of the terminal.
fn plain(text: &str, most: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(most)
        .collect();
    if text.chars().count() > most {
        line + "…"
    } else {
        line
    }
}

fn ago(ms: i64) -> String {
    match ms.max(0) / 1000 {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min", s / 60),
        s @ 3600..172_800 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}
