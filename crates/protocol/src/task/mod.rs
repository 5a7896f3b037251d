//! A task: what is to be improved, where, by which measure, within which bounds.
//!
//! The field names are those of the network (`WIRE.md` §2); the fields after
//! `time_budget_seconds` are ours and default to how older tasks behave.

mod checks;
mod redactor;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decimal::in_quotes;
use crate::limits::Bytes;
use crate::{Decimal, Limits, Sha256Digest};

pub use checks::{FieldError, env_problem};
pub use redactor::Redactor;

/// The largest `metric_tolerance`. It is relative to the value in the middle: at 1
/// every smaller value agrees with any honest one, a forged 0.001 with 0.187, and
/// whoever says the least is believed. At one half nobody below half of what honest
/// validators saw agrees with them.
pub const LARGEST_TOLERANCE: f64 = 0.5;

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Smaller is better.
    Minimize,
    /// Larger is better.
    Maximize,
}

/// How submissions are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RankingMode {
    /// By one metric.
    #[default]
    Scalar,
    /// By the frontier of two metrics.
    Pareto,
}

/// How a task pays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompetitionMode {
    /// Ideas are rewarded beside results.
    #[default]
    Centerless,
    /// Results only.
    Standard,
    /// Other miners decide.
    PeerEvaluation,
}

/// The values that a metric can honestly have; bounds included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricRange {
    /// The smallest honest value.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "in_quotes::serialize"
    )]
    pub min: Option<Decimal>,
    /// The largest honest value.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "in_quotes::serialize"
    )]
    pub max: Option<Decimal>,
}

impl MetricRange {
    /// Whether `value` lies within the bounds.
    pub fn contains(&self, value: &Decimal) -> bool {
        self.min
            .as_ref()
            .is_none_or(|min| value.compare(min).is_ge())
            && self
                .max
                .as_ref()
                .is_none_or(|max| value.compare(max).is_le())
    }
}

/// What a task says about artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArtifactRules {
    /// Every submission must bring one.
    pub required: bool,
    /// The largest that is downloaded.
    pub max_bytes: Bytes,
}

impl Default for ArtifactRules {
    fn default() -> Self {
        Self {
            required: false,
            max_bytes: Bytes::gib(1),
        }
    }
}

/// A file that the task owner brings: a private input, or the baseline's artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskFile {
    /// Its name inside the sandbox; one path component.
    pub name: String,
    /// An https address, or a path relative to the task file for local work.
    pub uri: String,
    /// What its bytes must hash to; needed for an https address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Digest>,
    /// Its length; needed for an https address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// A task as its author writes it and the coordinator serves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Short unique name, 3–120 characters.
    pub slug: String,
    /// One line for people, 3–255 characters.
    #[serde(default)]
    pub title: String,
    /// What is wanted, at most 20,000 characters.
    #[serde(default)]
    pub brief: String,
    /// More for miners, Markdown, at most 40,000 characters.
    #[serde(default)]
    pub onboard_md: String,
    /// Public clone URL, or a path relative to the task file. Without it, the
    /// directory that holds the task file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Branch, tag or commit; resolved once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_ref: Option<String>,
    /// Runs before the benchmark, in a container of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup_command: Option<String>,
    /// Runs the submitted code.
    pub benchmark_command: String,
    /// Where the deciding stage writes its JSON result. Without it, metrics are
    /// read from output, or come from the supervisor alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_path: Option<String>,
    /// What a patch may change: files, directories or globs, 1–64 of them.
    pub allowed_patch_paths: Vec<String>,
    /// The largest patch.
    #[serde(default = "default_max_patch_bytes")]
    pub max_patch_bytes: u64,
    /// The metric that decides.
    pub metric_name: String,
    /// Which way it is better.
    pub metric_direction: Direction,
    /// One metric or a frontier of two.
    #[serde(default)]
    pub ranking_mode: RankingMode,
    /// The second metric of a frontier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_metric_name: Option<String>,
    /// Which way the second metric is better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_metric_direction: Option<Direction>,
    /// How the task pays.
    #[serde(default)]
    pub competition_mode: CompetitionMode,
    /// Evaluations that decide a `peer_evaluation` task, 1–20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_peer_evaluations: Option<u32>,
    /// For all stages of one pass together, 1–86,400.
    pub time_budget_seconds: u64,

    /// The container image: name, `name@sha256:…` or `sha256:…` id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Judges the outputs of the benchmark, in a container that holds only the
    /// pristine repository, those outputs and the private inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_command: Option<String>,
    /// Files and directories that the benchmark hands to the score stage.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// Files that only the deciding stage sees, under `/private`.
    #[serde(default)]
    pub private_inputs: Vec<TaskFile>,
    /// Never changed by a patch, even under an allowed path.
    #[serde(default)]
    pub protected_paths: Vec<String>,
    /// How often the benchmark is replayed; the median counts.
    #[serde(default = "default_repeats")]
    pub repeats: u32,
    /// The honest values of the metric.
    #[serde(default)]
    pub metric_range: MetricRange,
    /// The honest values of the second metric.
    #[serde(default)]
    pub secondary_metric_range: MetricRange,
    /// How far repeats, and validators, may differ, relative to the median; at
    /// most [`LARGEST_TOLERANCE`]. Without it the values must be equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_tolerance: Option<Decimal>,
    /// Whether a patch may hold binary hunks.
    #[serde(default)]
    pub allow_binary_patch: bool,
    /// Whether a patch may make files executable.
    #[serde(default)]
    pub allow_executable: bool,
    /// How many files a patch may change.
    #[serde(default = "default_max_patch_files")]
    pub max_patch_files: u32,
    /// How many bytes the changed files may hold together.
    #[serde(default = "default_max_decoded_bytes")]
    pub max_decoded_bytes: Bytes,
    /// Whether setup asks for network. The operator must allow it, too.
    #[serde(default)]
    pub setup_network: bool,
    /// What the task says about artifacts.
    #[serde(default)]
    pub artifact: ArtifactRules,
    /// The artifact that the unpatched baseline runs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_artifact: Option<TaskFile>,
    /// Environment of the benchmark and score stages; setup does not see it.
    #[serde(default)]
    pub validator_benchmark_env: BTreeMap<String, String>,
    /// What a stage may use at most.
    #[serde(default)]
    pub limits: Limits,
}

const fn default_max_patch_bytes() -> u64 {
    262_144
}
const fn default_max_patch_files() -> u32 {
    10_000
}
const fn default_repeats() -> u32 {
    1
}
const fn default_max_decoded_bytes() -> Bytes {
    Bytes::mib(16)
}

/// The environment variables through which a benchmark finds its artifact and
/// private inputs (`WIRE.md` §3), and the switch that makes artifacts mandatory.
pub mod env {
    /// 1, true or yes: a submission without an artifact is rejected.
    pub const REQUIRE_ARTIFACT: &str = "AUTORESEARCH_REQUIRE_SUBMISSION_ARTIFACT";
    /// Where the artifact is, relative to the work tree.
    pub const ARTIFACT_PATH: &str = "AUTORESEARCH_SUBMISSION_ARTIFACT_PATH";
    /// Where the artifact came from.
    pub const ARTIFACT_URI: &str = "AUTORESEARCH_SUBMISSION_ARTIFACT_URI";
    /// How long the artifact is.
    pub const ARTIFACT_BYTES: &str = "AUTORESEARCH_SUBMISSION_ARTIFACT_BYTES";
    /// JSON list of the private inputs.
    pub const HELDOUT_MANIFEST: &str = "AUTORESEARCH_PRIVATE_HELDOUT_MANIFEST";
    /// The directory of the private inputs.
    pub const HELDOUT_ROOT: &str = "AUTORESEARCH_PRIVATE_HELDOUT_ROOT";
}

/// Metrics that the supervisor measures; no file can claim one.
pub const SUPERVISOR_METRICS: &[&str] = &[
    "supervisor.benchmark_seconds",
    "supervisor.benchmark_cpu_seconds",
    "supervisor.peak_memory_bytes",
    "supervisor.artifact_bytes",
    "supervisor.patch_bytes",
    "supervisor.benchmark_ratio",
    "supervisor.benchmark_cpu_ratio",
];

impl Task {
    /// Whether every submission must bring an artifact, by the task's own field
    /// or by the older environment switch.
    pub fn requires_artifact(&self) -> bool {
        self.artifact.required
            || self
                .validator_benchmark_env
                .get(env::REQUIRE_ARTIFACT)
                .is_some_and(|value| {
                    matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes")
                })
    }

    /// The metrics that a replay of this task reports, deciding one first.
    pub fn metric_names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.metric_name.as_str()).chain(self.secondary_metric_name.as_deref())
    }
}
