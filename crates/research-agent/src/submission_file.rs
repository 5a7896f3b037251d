//! `submission.json`: what a miner, or a miner's agent, says of the work
//! (`WIRE.md` §5).

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use protocol::task::CompetitionMode;
use protocol::{Sha256Digest, Task};
use serde::{Deserialize, Serialize};

use crate::client::Id;
use crate::client::answers::Metrics;

/// More than every bound on every field together.
const LARGEST: u64 = 4 << 20;
/// What a coordinator takes of a log.
const LONGEST_LOG: usize = 1_000_000;

/// The fields of the file. Unknown ones are refused: a misspelt `proposed_idea`
/// would be missed only after it was submitted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubmissionFile {
    pub(crate) summary: String,
    #[serde(default)]
    pub(crate) claimed_metrics: Metrics,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proposed_idea: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) implemented_submission_id: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_sha256: Option<Sha256Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_size_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) execution_log: Option<String>,
}

impl SubmissionFile {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path)
            .with_context(|| format!("the submission file {} cannot be read", path.display()))?;
        if !file.metadata()?.is_file() {
            bail!(
                "the submission file {} is not a regular file",
                path.display()
            );
        }
        let mut text = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut text)?;
        if text.len() as u64 > LARGEST {
            bail!(
                "the submission file {} has more than {LARGEST} bytes",
                path.display()
            );
        }
        Self::parse(&text).with_context(|| format!("the submission file {}", path.display()))
    }

    fn parse(text: &[u8]) -> anyhow::Result<Self> {
        let mut file: Self = serde_json::from_slice(text)?;
        // Editors and agents leave fields empty instead of out.
        for field in [&mut file.proposed_idea, &mut file.artifact_uri] {
            if field.as_deref().is_some_and(|text| text.trim().is_empty()) {
                *field = None;
            }
        }
        if let Some(log) = &mut file.execution_log {
            log.truncate(log.floor_char_boundary(LONGEST_LOG));
        }
        Ok(file)
    }

    /// What the coordinator would refuse, in words; empty if nothing.
    pub(crate) fn problems(&self, task: &Task, has_patch: bool) -> Vec<String> {
        let mut found = Vec::new();
        let mut unless = |right: bool, problem: &str| {
            if !right {
                found.push(problem.to_owned());
            }
        };
        unless(
            !self.summary.trim().is_empty(),
            "summary: is empty; say what was changed and why it helps",
        );
        unless(
            self.summary.chars().count() <= 20_000,
            "summary: has more than 20,000 characters",
        );
        let needs_idea = task.competition_mode == CompetitionMode::Centerless;
        unless(
            !needs_idea || self.proposed_idea.is_some(),
            "proposed_idea: is missing; this centerless task wants to hear what somebody could try next",
        );
        unless(
            !task.requires_artifact() || self.artifact_uri.is_some(),
            "artifact_uri: is missing; this task wants an artifact",
        );
        unless(
            has_patch || self.artifact_uri.is_some(),
            "there is neither a change in the repository nor an artifact_uri",
        );
        if let Some(uri) = &self.artifact_uri {
            unless(
                uri.starts_with("https://"),
                "artifact_uri: is not an https address",
            );
            unless(
                self.artifact_sha256.is_some(),
                "artifact_sha256: is missing beside artifact_uri",
            );
            match self.artifact_size_bytes {
                None => unless(false, "artifact_size_bytes: is missing beside artifact_uri"),
                Some(size) => unless(
                    size > 0 && size <= task.artifact.max_bytes.get(),
                    "artifact_size_bytes: is 0 or more than the task allows",
                ),
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(change: &str) -> Task {
        serde_json::from_str(&format!(
            r#"{{"slug": "sort", "benchmark_command": "true", "metric_name": "score", "metric_direction": "maximize",
                "time_budget_seconds": 10, "allowed_patch_paths": ["src"] {change}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn every_field_of_the_wire_is_read_and_a_misspelt_one_is_named() {
        let file = SubmissionFile::parse(br#"{"summary": "s", "claimed_metrics": {"score": 1.50}, "proposed_idea": "i",
            "implemented_submission_id": "67e55044-10b1-426f-9247-bb680e5fe0c8", "artifact_uri": "https://x/y",
            "artifact_sha256": "0000000000000000000000000000000000000000000000000000000000000000",
            "artifact_size_bytes": 5, "execution_log": "l"}"#).unwrap();
        assert!(file.problems(&task(""), false).is_empty());
        let error = SubmissionFile::parse(br#"{"summary": "s", "proposed_ida": "i"}"#).unwrap_err();
        assert!(error.to_string().contains("proposed_ida"), "{error}");
    }

    #[test]
    fn what_the_coordinator_would_refuse_is_told_field_by_field() {
        let empty = SubmissionFile {
            summary: " ".to_owned(),
            ..SubmissionFile::default()
        };
        let found = empty
            .problems(&task(r#", "artifact": {"required": true}"#), false)
            .join("\n");
        for field in [
            "summary",
            "proposed_idea",
            "artifact_uri",
            "neither a change",
        ] {
            assert!(found.contains(field), "{field} is not in {found}");
        }
        let half = SubmissionFile {
            summary: "s".to_owned(),
            artifact_uri: Some("http://x".to_owned()),
            ..SubmissionFile::default()
        };
        let found = half
            .problems(&task(r#", "competition_mode": "standard""#), true)
            .join("\n");
        for field in ["artifact_uri", "artifact_sha256", "artifact_size_bytes"] {
            assert!(found.contains(field), "{field} is not in {found}");
        }
    }
}
