//! The demo's table: two lines a replay, and colour where somebody sees it.

use std::env;
use std::io::{IsTerminal as _, stdout};

use protocol::{Report, Status, Task};

use crate::fixtures::Case;
use crate::verdict::metrics;

/// How to print.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    colour: bool,
}

#[derive(Debug, Clone, Copy)]
enum Style {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

impl Table {
    /// Colour on a terminal, unless `NO_COLOR` is set.
    pub fn for_standard_output() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: stdout().is_terminal() && !refused,
        }
    }

    /// The name of a task above its replays.
    pub fn heading(self, name: &str, task: &Task) -> String {
        let title = self.paint(Style::Bold, &task.title);
        format!("\n{title} {}", self.paint(Style::Dim, &format!("({name})")))
    }

    /// One replay; `differences` is empty if it ended as expected.
    pub fn row(self, case: &Case, task: &Task, report: &Report, differences: &[String]) -> String {
        let status = match report.status {
            Status::Accepted => Style::Green,
            Status::Rejected => Style::Yellow,
            Status::Error => Style::Red,
        };
        let row = format!(
            "{mark} {name:24} {status} {code:24} {metrics:40} {seconds:5.1} s",
            mark = self.mark(differences.is_empty()),
            name = case.name,
            status = self.paint(status, &format!("{:8}", report.status.to_string())),
            code = report.code.as_str(),
            metrics = observed(task, report),
            seconds = report.timing.total_seconds,
        );
        self.with_details(row, case, differences)
    }

    /// A submission that was refused before any replay.
    pub fn refused_row(self, case: &Case, code: &str, differences: &[String]) -> String {
        let row = format!(
            "{mark} {name:24} {status} {code:24} when it was submitted",
            mark = self.mark(differences.is_empty()),
            name = case.name,
            status = self.paint(Style::Yellow, &format!("{:8}", "refused")),
        );
        self.with_details(row, case, differences)
    }

    /// The name of a part of what is shown.
    pub fn part(self, title: &str) -> String {
        format!("\n{}", self.paint(Style::Bold, title))
    }

    /// What is said beside the rows.
    pub fn aside(self, text: &str) -> String {
        self.paint(Style::Dim, text)
    }

    /// A replay that gave no report at all.
    pub fn broken_row(self, case: &Case, problem: &str) -> String {
        let row = format!("{} {:24} no report", self.mark(false), case.name);
        self.with_details(row, case, &[problem.to_owned()])
    }

    /// The last line.
    pub fn summary(self, as_expected: usize, total: usize, seconds: f64) -> String {
        let all = as_expected == total;
        let text =
            format!("{as_expected} of {total} submissions ended as expected, in {seconds:.0} s");
        format!("\n{} {}", self.mark(all), self.paint(Style::Bold, &text))
    }

    fn with_details(self, row: String, case: &Case, differences: &[String]) -> String {
        let summary = self.paint(Style::Dim, &case.submission.summary);
        let mut lines = vec![row, format!("  {summary}")];
        lines.extend(
            differences
                .iter()
                .map(|line| format!("  {}", self.paint(Style::Red, line))),
        );
        lines.join("\n")
    }

    fn mark(self, good: bool) -> String {
        if good {
            self.paint(Style::Green, "✓")
        } else {
            self.paint(Style::Red, "✗")
        }
    }

    fn paint(self, style: Style, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let number = match style {
            Style::Bold => 1,
            Style::Dim => 2,
            Style::Red => 31,
            Style::Green => 32,
            Style::Yellow => 33,
        };
        format!("\x1b[{number}m{text}\x1b[0m")
    }
}

/// The metrics of the task that were observed, without the supervisor's prefix.
fn observed(task: &Task, report: &Report) -> String {
    let texts: Vec<String> = metrics(task)
        .filter_map(|(name, _)| {
            let value = report.observed_metrics.get(name)?;
            Some(format!(
                "{} {value}",
                name.trim_start_matches("supervisor.")
            ))
        })
        .collect();
    texts.join(", ")
}
