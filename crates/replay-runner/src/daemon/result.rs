//! What is posted about a replay, from its report.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use protocol::receipt::Envelope;
use protocol::report::StageReport;
use protocol::task::Redactor;
use protocol::text::compact;
use protocol::{Code, Decimal, Fault, Outcome, Report, Sha256Digest, Status, TreeId};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::failure::Failure;

/// What a coordinator takes of notes.
const MAX_NOTES: usize = 2000;

/// The body of a posted result (`WIRE.md` §2). Metrics keep their digits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of the wire")]
pub struct ResultBody {
    pub submission_id: String,
    pub status: Status,
    #[serde(deserialize_with = "exact")]
    pub observed_metrics: BTreeMap<String, Decimal>,
    pub notes: String,
    pub replay_log: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome_code: Option<Code>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_digest: Option<Sha256Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patched_tree: Option<TreeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Envelope>,
}

impl ResultBody {
    /// The result of `report`, without anything that `redactor` knows, and with a
    /// log of at most `max_log` characters.
    pub fn of(report: &Report, submission_id: &str, redactor: &Redactor, max_log: usize) -> Self {
        let notes = redactor.clean(&notes(report));
        Self {
            submission_id: submission_id.to_owned(),
            status: report.status,
            observed_metrics: report.observed_metrics.clone(),
            notes: compact(&notes, MAX_NOTES),
            replay_log: compact(&redactor.clean(&log(report)), max_log),
            outcome_code: Some(report.code),
            fault: report.fault,
            spec_digest: None,
            image: None,
            patched_tree: report.patched_tree,
            receipt: None,
        }
    }

    /// The result of a job that was not replayed, for this reason.
    pub fn unreplayed(failure: &Failure, submission_id: &str, redactor: &Redactor) -> Self {
        let outcome = Outcome::of(failure.code, failure.control);
        Self {
            submission_id: submission_id.to_owned(),
            status: outcome.status,
            observed_metrics: BTreeMap::new(),
            notes: compact(&redactor.clean(&failure.message), MAX_NOTES),
            replay_log: String::new(),
            outcome_code: Some(outcome.code),
            fault: outcome.fault,
            spec_digest: None,
            image: None,
            patched_tree: None,
            receipt: None,
        }
    }

    /// With half of its log; `None` if there is hardly any left.
    pub fn smaller(&self) -> Option<Self> {
        let chars = self.replay_log.chars().count();
        if chars < 200 {
            return None;
        }
        Some(Self {
            replay_log: compact(&self.replay_log, chars / 2),
            ..self.clone()
        })
    }

    /// With fewer of the fields that an older coordinator does not know: first
    /// without the proof, then without the code. `None` if there are none, or if
    /// the rest would blame the submission for what this host did.
    pub fn plainer(&self) -> Option<Self> {
        let unproven = Self {
            spec_digest: None,
            image: None,
            receipt: None,
            ..self.clone()
        };
        if self.receipt.is_some() || self.spec_digest.is_some() {
            return Some(unproven);
        }
        self.outcome_code?;
        let blames = self.status == Status::Error && self.fault != Some(Fault::Submission);
        (!blames).then_some(Self {
            outcome_code: None,
            fault: None,
            patched_tree: None,
            ..unproven
        })
    }

    /// The JSON that is posted.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// Metrics with the digits that were written.
fn exact<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Decimal>, D::Error> {
    let raw: BTreeMap<String, Box<RawValue>> = Deserialize::deserialize(from)?;
    let read = |(name, value): (String, Box<RawValue>)| {
        let value = value.get().parse().map_err(D::Error::custom)?;
        Ok((name, value))
    };
    raw.into_iter().map(read).collect()
}

fn notes(report: &Report) -> String {
    let mut notes = format!("{} {}: {}", report.status, report.code, report.message);
    for note in &report.notes {
        let _ = write!(notes, "\n{note}");
    }
    notes
}

/// What a person reads who wants to know why: every stage with its output.
fn log(report: &Report) -> String {
    let mut log = format!(
        "replay-runner {}\n{} {}: {}\n",
        env!("CARGO_PKG_VERSION"),
        report.status,
        report.code,
        report.message
    );
    for stage in &report.stages {
        let _ = write!(log, "\n{}", stage_log(stage));
    }
    let timing = report.timing;
    let _ = writeln!(
        log,
        "\n{:.2} s in all, {:.2} s of them overhead",
        timing.total_seconds, timing.overhead_seconds
    );
    log
}

fn stage_log(stage: &StageReport) -> String {
    let end = match stage.exit_code {
        _ if stage.timed_out => "timed out".to_owned(),
        _ if stage.oom_killed => "ran out of memory".to_owned(),
        Some(code) => format!("exit status {code}"),
        None => "did not end by itself".to_owned(),
    };
    let cut = if stage.output_truncated { ", cut" } else { "" };
    format!(
        "== {} (pass {}): {end}, {:.2} s wall, {:.2} s cpu, {} bytes of output{cut}\n{}\n",
        stage.name,
        stage.pass,
        stage.wall_seconds,
        stage.cpu_seconds,
        stage.output_bytes,
        stage.output
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_keep_their_digits_from_the_report_to_the_wire_and_through_the_spool() {
        let failure = Failure::new(Code::Ok, "");
        let mut body = ResultBody::unreplayed(&failure, "s", &Redactor::default());
        body.observed_metrics
            .insert("loss".to_owned(), "0.1000000000000000055".parse().unwrap());
        let json = body.json().unwrap();
        assert!(json.contains(r#"{"loss":0.1000000000000000055}"#), "{json}");
        let back: ResultBody = serde_json::from_str(&json).unwrap();
        assert_eq!(back.json().unwrap(), json);
    }

    #[test]
    fn an_older_coordinator_gets_the_fields_that_it_knows() {
        let failure = Failure::new(Code::PatchEmpty, "no hunk");
        let mut body = ResultBody::unreplayed(&failure, "s", &Redactor::default());
        body.spec_digest = Some(Sha256Digest::of(b""));
        let unproven = body.plainer().unwrap();
        assert_eq!(unproven.outcome_code, Some(Code::PatchEmpty));
        let plain = unproven.plainer().unwrap();
        assert_eq!(
            plain.json().unwrap(),
            r#"{"submission_id":"s","status":"rejected","observed_metrics":{},"notes":"no hunk","replay_log":""}"#
        );
        assert!(plain.plainer().is_none());
    }

    #[test]
    fn no_result_loses_whose_fault_it_is_where_that_would_blame_the_submission() {
        let failure = Failure::new(Code::SandboxStorageFull, "no room");
        let body = ResultBody::unreplayed(&failure, "s", &Redactor::default());
        assert!(body.plainer().is_none());
    }
}
