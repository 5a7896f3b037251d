//! What came of one attempt: for the agent's next one, for the result file, for
//! the person who watches.

use protocol::{Report, Status};
use serde::Serialize;

use crate::client::answers::Metrics;
use crate::terminal::{in_one_line, plain};

/// How much of a failed stage's output an agent is shown.
const OUTPUT_BYTES: usize = 8 * 1024;

/// One attempt that was not submitted, or the one that was.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Feedback {
    /// Which attempt, from 1.
    pub(crate) attempt: u32,
    /// `agent_failed`, `nothing_changed`, `refused`, `rejected`, `error`,
    /// `no_improvement` or `submitted`.
    pub(crate) status: &'static str,
    /// In words.
    pub(crate) message: String,
    /// What the sandbox observed.
    #[serde(skip_serializing_if = "Metrics::is_empty")]
    pub(crate) observed_metrics: Metrics,
    /// The end of what the failed stage printed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) output: String,
}

impl Feedback {
    pub(super) fn new(attempt: u32, status: &'static str, message: impl Into<String>) -> Self {
        Self {
            attempt,
            status,
            message: message.into(),
            observed_metrics: Metrics::new(),
            output: String::new(),
        }
    }

    /// What the sandbox said, `message` in place of its own if it accepted.
    pub(super) fn of_report(attempt: u32, report: &Report, message: &str) -> Self {
        let (status, message) = match report.status {
            Status::Accepted => ("no_improvement", message.to_owned()),
            Status::Rejected => ("rejected", format!("{}: {}", report.code, report.message)),
            Status::Error => ("error", format!("{}: {}", report.code, report.message)),
        };
        let stage = report
            .stages
            .iter()
            .rfind(|stage| !stage.name.ends_with("(baseline)"));
        let output = stage.map_or("", |stage| &stage.output);
        let start = output.ceil_char_boundary(output.len().saturating_sub(OUTPUT_BYTES));
        let shown = match report.status {
            Status::Accepted => "",
            _ => &output[start..],
        };
        Self {
            observed_metrics: report.observed_metrics.clone(),
            output: shown.to_owned(),
            ..Self::new(attempt, status, message)
        }
    }

    /// For a model.
    pub(super) fn for_agent(&self) -> String {
        let mut lines = vec![format!("It ended with {}: {}", self.status, self.message)];
        let metrics = self.observed_metrics.iter();
        lines.extend(metrics.map(|(name, value)| format!("{name} = {value}")));
        if !self.output.is_empty() {
            lines.push("The end of its output:".to_owned());
            lines.push(self.output.clone());
        }
        lines.join("\n")
    }

    /// For a person, in one line.
    pub(super) fn tell(&self) {
        let metrics = in_one_line(&self.observed_metrics);
        let message = plain(&self.message);
        eprintln!(
            "attempt {}: {}: {message}{metrics}",
            self.attempt, self.status
        );
    }
}
