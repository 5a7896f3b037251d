//! The report for a person: what happened, why, and what to do next.

use std::fmt::Write as _;

use protocol::{Code, Fault, Report, Status};
use replay_runner::sandbox::output::escape;

use super::terminal::{Paint, Style};

/// How many lines of a failed stage's output are shown.
const OUTPUT_LINES: usize = 15;

/// A few lines of text that end with what to do next.
pub(crate) fn summary(report: &Report, style: Style) -> String {
    let mut text = String::new();
    let (paint, word) = match report.status {
        Status::Accepted => (Paint::Green, "ACCEPTED"),
        Status::Rejected => (Paint::Red, "REJECTED"),
        Status::Error => (Paint::Yellow, "ERROR"),
    };
    let fault = report
        .fault
        .map(|fault| format!(" (fault: {fault})"))
        .unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{} {}{fault}",
        style.paint(paint, word),
        style.paint(Paint::Bold, report.code.as_str())
    );
    if report.status != Status::Accepted {
        let _ = writeln!(text, "  {}", escape(report.message.as_bytes()));
    }
    for (name, value) in &report.observed_metrics {
        let name = escape(name.as_bytes());
        let spread = report.spread.get(&name).map(|spread| {
            format!(
                "  (median of {}, relative spread {:.2e})",
                spread.values.len(),
                spread.relative
            )
        });
        let _ = writeln!(
            text,
            "  {name} = {}{}",
            style.paint(Paint::Bold, value.as_str()),
            spread.unwrap_or_default()
        );
    }
    for note in &report.notes {
        let _ = writeln!(text, "  note: {}", escape(note.as_bytes()));
    }
    if report.status != Status::Accepted {
        output_of_failed_stage(&mut text, report, style);
    }
    let _ = writeln!(
        text,
        "  {}",
        style.paint(
            Paint::Dim,
            &format!(
                "{:.2} s in all, {:.2} s of them overhead; spec {}",
                report.timing.total_seconds,
                report.timing.overhead_seconds,
                report.spec_digest.map_or_else(
                    || "not made".to_owned(),
                    |digest| digest.to_string()[..12].to_owned()
                ),
            )
        )
    );
    let _ = writeln!(text, "  {}", next_step(report));
    text
}

fn output_of_failed_stage(text: &mut String, report: &Report, style: Style) {
    let Some(stage) = report
        .stages
        .iter()
        .rfind(|stage| !stage.name.ends_with("(baseline)"))
    else {
        return;
    };
    let lines: Vec<&str> = stage.output.lines().collect();
    let shown = &lines[lines.len().saturating_sub(OUTPUT_LINES)..];
    if !shown.is_empty() {
        let _ = writeln!(
            text,
            "  the end of what {} printed ({} bytes):",
            stage.name, stage.output_bytes
        );
        for line in shown {
            let _ = writeln!(text, "    {}", style.paint(Paint::Dim, line));
        }
    }
}

fn next_step(report: &Report) -> &'static str {
    match (report.status, report.fault, report.code) {
        (Status::Accepted, ..) => "next: compare the metrics with the best known, then submit",
        (_, _, Code::Cancelled) => "next: run it again; nothing was left behind",
        (Status::Rejected, _, code) if code.as_str().starts_with("patch.") => {
            "next: mend the patch; `git diff BASE` in a clean clone of the pinned commit makes one that applies"
        }
        (Status::Rejected, ..) => {
            "next: mend the submission; the unpatched baseline does run on this host"
        }
        (_, Some(Fault::Task), _) => {
            "next: mend the task; `replay-runner run TASK` without a submission must be accepted"
        }
        (_, Some(Fault::Submission), _) => "next: make the artifact reachable and run it again",
        _ => "next: `replay-runner doctor` says what is wrong with this machine",
    }
}
