//! The immutable description of one replay, in which nothing can move.
//!
//! Locations are not part of it: where a patch or an artifact is fetched from
//! may differ between hosts, what they are may not. Its digest is the SHA-256 of
//! its RFC 8785 (JCS) JSON, and everything later refers to that digest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decimal::in_quotes;
use crate::limits::Bytes;
use crate::task::{Direction, MetricRange};
use crate::{CommitId, Decimal, Limits, Sha256Digest};

/// A file by content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The digest of its bytes.
    pub sha256: Sha256Digest,
    /// Their number.
    pub size_bytes: u64,
}

/// A private input by name and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivateInput {
    /// Its file name under `/private`.
    pub name: String,
    /// What it must be.
    pub content: Content,
}

/// A metric to observe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// The exact name in the result, or a `supervisor.` name.
    pub name: String,
    /// Which way it is better.
    pub direction: Direction,
    /// Its honest values.
    #[serde(default)]
    pub range: MetricRange,
}

impl Metric {
    /// Whether the supervisor measures it, so that no file can claim it.
    pub fn is_supervised(&self) -> bool {
        self.name.starts_with("supervisor.")
    }

    /// Whether it compares the candidate with the baseline, run alternately.
    pub fn is_ratio(&self) -> bool {
        matches!(
            self.name.as_str(),
            "supervisor.benchmark_ratio" | "supervisor.benchmark_cpu_ratio"
        )
    }
}

/// What a patch may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchRules {
    /// Paths and globs that may change.
    pub allowed_paths: Vec<String>,
    /// Paths and globs that may not, even below an allowed one.
    pub protected_paths: Vec<String>,
    /// The largest patch text.
    pub max_bytes: u64,
    /// The most changed files.
    pub max_files: u32,
    /// The most bytes in all changed files together.
    pub max_decoded_bytes: Bytes,
    /// Whether binary hunks are allowed.
    pub allow_binary: bool,
    /// Whether files may become executable.
    pub allow_executable: bool,
}

/// What runs, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commands {
    /// Prepares; sees neither the benchmark's environment nor private inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<String>,
    /// Runs the submitted code.
    pub benchmark: String,
    /// Judges the outputs without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
}

/// One replay, immutable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaySpec {
    /// The version of this shape; 1.
    pub spec_version: u32,
    /// The task's public clone URL; empty for a task that has none.
    pub repository: String,
    /// The pinned commit.
    pub base_commit: CommitId,
    /// The patch by content; absent for a run of the baseline or of an artifact alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Content>,
    /// The artifact by content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Content>,
    /// The artifact that the unpatched baseline runs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_artifact: Option<Content>,
    /// What the deciding stage alone may see.
    pub private_inputs: Vec<PrivateInput>,
    /// The image: `sha256:` and its id once resolved on a host.
    pub image: String,
    /// What runs.
    pub commands: Commands,
    /// Environment of benchmark and score.
    pub env: BTreeMap<String, String>,
    /// What a patch may do.
    pub patch_rules: PatchRules,
    /// Where the deciding stage writes its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_path: Option<String>,
    /// What the benchmark hands to the score stage.
    pub outputs: Vec<String>,
    /// The metrics, deciding one first.
    pub metrics: Vec<Metric>,
    /// How far repeats may differ, relative to their median; equal without it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "in_quotes::serialize"
    )]
    pub tolerance: Option<Decimal>,
    /// How often the benchmark runs.
    pub repeats: u32,
    /// For all stages of one pass together.
    pub time_budget_seconds: u64,
    /// Whether setup asks for network.
    pub setup_network: bool,
    /// What a stage may use.
    pub limits: Limits,
}

impl ReplaySpec {
    /// The version that this crate writes.
    pub const VERSION: u32 = 1;

    /// SHA-256 over the RFC 8785 canonical JSON of this spec.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.canonical_json())
    }

    /// The RFC 8785 canonical JSON of this spec.
    ///
    /// # Panics
    /// Never: every field is a string, a bool, an integer below 2^53, or a list
    /// or a map with string keys of these, for which canonical JSON is defined.
    pub fn canonical_json(&self) -> Vec<u8> {
        serde_json_canonicalizer::to_vec(self).expect("a spec has canonical JSON")
    }

    /// The same task without any submission: what a control replays.
    #[must_use]
    pub fn baseline(&self) -> Self {
        Self {
            patch: None,
            artifact: self.baseline_artifact.clone(),
            ..self.clone()
        }
    }

    /// Whether this spec has no submission in it.
    pub fn is_baseline(&self) -> bool {
        self.patch.is_none() && self.artifact == self.baseline_artifact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ReplaySpec {
        serde_json::from_str(
            r#"{
                "spec_version": 1, "repository": "https://git.example/t.git",
                "base_commit": "0123456789012345678901234567890123456789",
                "private_inputs": [], "image": "sha256:00", "commands": {"benchmark": "make"},
                "env": {"B": "2", "A": "1"},
                "patch_rules": {"allowed_paths": ["src"], "protected_paths": [], "max_bytes": 1,
                    "max_files": 1, "max_decoded_bytes": 1, "allow_binary": false, "allow_executable": false},
                "outputs": [], "metrics": [{"name": "loss", "direction": "minimize", "range": {"min": "0.10"}}],
                "tolerance": "0.010", "repeats": 1, "time_budget_seconds": 5, "setup_network": false, "limits": {}
            }"#,
        )
        .unwrap()
    }

    #[test]
    fn the_canonical_form_is_sorted_and_keeps_the_digits_of_decimals() {
        let json = String::from_utf8(spec().canonical_json()).unwrap();
        assert!(json.starts_with(r#"{"base_commit":"0123"#), "{json}");
        assert!(json.contains(r#""env":{"A":"1","B":"2"}"#), "{json}");
        assert!(
            json.contains(r#""range":{"min":"0.10"}"#) && json.contains(r#""tolerance":"0.010""#),
            "{json}"
        );
    }

    #[test]
    fn a_spec_read_back_from_its_canonical_form_has_the_same_digest() {
        let back: ReplaySpec = serde_json::from_slice(&spec().canonical_json()).unwrap();
        assert_eq!(back.digest(), spec().digest());
    }

    #[test]
    fn whatever_differs_the_digest_differs() {
        let mut seen = std::collections::BTreeSet::from([spec().digest()]);
        let changes: [fn(&mut ReplaySpec); 6] = [
            |spec| spec.repeats = 2,
            |spec| spec.commands.benchmark.push(' '),
            |spec| spec.tolerance = None,
            |spec| spec.metrics[0].range.max = "1".parse().ok(),
            |spec| spec.limits.pids = 99,
            |spec| {
                spec.patch = Some(Content {
                    sha256: Sha256Digest::of(b""),
                    size_bytes: 0,
                });
            },
        ];
        for change in changes {
            let mut changed = spec();
            change(&mut changed);
            assert!(seen.insert(changed.digest()), "{changed:?}");
        }
    }
}
