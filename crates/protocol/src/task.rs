//! A task: what is to be improved, where, by which measure, within which bounds.
//!
//! The field names are those of the network (`WIRE.md` §2); the fields after
//! `time_budget_seconds` are ours and default to how older tasks behave.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decimal::in_quotes;
use crate::limits::Bytes;
use crate::{Decimal, Limits, Sha256Digest};

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
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "in_quotes::serialize")]
    pub min: Option<Decimal>,
    /// The largest honest value.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "in_quotes::serialize")]
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
    /// How far repeats, and validators, may differ, relative to the median.
    /// Without it the values must be equal.
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

/// One thing that is wrong with a task: which field, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// The field's name, with an index for lists: `allowed_patch_paths[2]`.
    pub field: String,
    /// What is wrong, the value, and the mend.
    pub problem: String,
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

    /// Everything that is wrong with the values of this task, all at once.
    pub fn problems(&self) -> Vec<FieldError> {
        let mut found = Problems::default();
        found.length("slug", &self.slug, 3, 120);
        if !self
            .slug
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        {
            found.add(
                "slug",
                format!(
                    "{:?} may hold letters, digits, '-', '_' and '.' only",
                    self.slug
                ),
            );
        }
        if !self.title.is_empty() {
            found.length("title", &self.title, 3, 255);
        }
        found.length("brief", &self.brief, 0, 20_000);
        found.length("onboard_md", &self.onboard_md, 0, 40_000);
        found.command("benchmark_command", Some(&self.benchmark_command));
        found.command("setup_command", self.setup_command.as_deref());
        found.command("score_command", self.score_command.as_deref());
        self.path_problems(&mut found);
        self.metric_problems(&mut found);
        self.bound_problems(&mut found);
        self.file_problems(&mut found);
        self.env_problems(&mut found);
        found.0
    }

    fn path_problems(&self, found: &mut Problems) {
        if let Some(path) = &self.result_path {
            found.inner_path("result_path", path);
        }
        let count = self.allowed_patch_paths.len();
        if !(1..=64).contains(&count) {
            found.add(
                "allowed_patch_paths",
                format!("has {count} entries; 1 to 64 are allowed"),
            );
        }
        for (field, paths) in [
            ("allowed_patch_paths", &self.allowed_patch_paths),
            ("protected_paths", &self.protected_paths),
            ("outputs", &self.outputs),
        ] {
            for (index, path) in paths.iter().enumerate() {
                found.inner_path(&format!("{field}[{index}]"), path);
            }
        }
        if self.score_command.is_some() && self.outputs.is_empty() {
            found.add(
                "outputs",
                "is empty; a score_command needs the files that it judges".to_owned(),
            );
        }
        if self.score_command.is_none() && !self.outputs.is_empty() {
            found.add(
                "outputs",
                "is set without a score_command that would read them".to_owned(),
            );
        }
    }

    fn metric_problems(&self, found: &mut Problems) {
        found.metric_name("metric_name", &self.metric_name);
        if let Some(name) = &self.secondary_metric_name {
            found.metric_name("secondary_metric_name", name);
        }
        let pareto = self.ranking_mode == RankingMode::Pareto;
        for (field, given) in [
            (
                "secondary_metric_name",
                self.secondary_metric_name.is_some(),
            ),
            (
                "secondary_metric_direction",
                self.secondary_metric_direction.is_some(),
            ),
        ] {
            if pareto && !given {
                found.add(
                    field,
                    "is missing; ranking_mode \"pareto\" compares two metrics".to_owned(),
                );
            }
        }
        for (field, range) in [
            ("metric_range", &self.metric_range),
            ("secondary_metric_range", &self.secondary_metric_range),
        ] {
            if let (Some(min), Some(max)) = (&range.min, &range.max)
                && min.compare(max).is_gt()
            {
                found.add(field, format!("min {min} is above max {max}"));
            }
        }
        if let Some(tolerance) = &self.metric_tolerance
            && !(0.0..=1.0).contains(&tolerance.value())
        {
            found.add(
                "metric_tolerance",
                format!("{tolerance} is not a fraction from 0 to 1"),
            );
        }
    }

    fn bound_problems(&self, found: &mut Problems) {
        let limits = &self.limits;
        for (field, value, min, max) in [
            ("time_budget_seconds", self.time_budget_seconds, 1, 86_400),
            ("max_patch_bytes", self.max_patch_bytes, 1, 64 << 20),
            ("max_patch_files", self.max_patch_files.into(), 1, 100_000),
            (
                "max_decoded_bytes",
                self.max_decoded_bytes.get(),
                1,
                1 << 30,
            ),
            ("repeats", self.repeats.into(), 1, 100),
            (
                "artifact.max_bytes",
                self.artifact.max_bytes.get(),
                1,
                1 << 40,
            ),
            (
                "min_peer_evaluations",
                self.min_peer_evaluations.unwrap_or(1).into(),
                1,
                20,
            ),
            ("limits.memory", limits.memory.get(), 16 << 20, 1 << 44),
            ("limits.cpus", limits.cpus.into(), 1, 1024),
            ("limits.pids", limits.pids.into(), 16, 1 << 16),
            ("limits.workspace", limits.workspace.get(), 1 << 20, 1 << 40),
            (
                "limits.workspace_files",
                limits.workspace_files,
                64,
                10_000_000,
            ),
            ("limits.tmp", limits.tmp.get(), 1 << 20, 1 << 40),
            (
                "limits.shared_memory",
                limits.shared_memory.get(),
                1 << 16,
                1 << 40,
            ),
            ("limits.file_size", limits.file_size.get(), 1 << 10, 1 << 40),
            ("limits.open_files", limits.open_files, 64, 1 << 20),
            ("limits.output", limits.output.get(), 1 << 10, 64 << 20),
            ("limits.result", limits.result.get(), 2, 16 << 20),
            ("limits.gpus", limits.gpus.into(), 0, 16),
        ] {
            if !(min..=max).contains(&value) {
                found.add(field, format!("{value} is not from {min} to {max}"));
            }
        }
    }

    fn file_problems(&self, found: &mut Problems) {
        let private = self
            .private_inputs
            .iter()
            .enumerate()
            .map(|(index, file)| (format!("private_inputs[{index}]"), file));
        let baseline = self
            .baseline_artifact
            .iter()
            .map(|file| ("baseline_artifact".to_owned(), file));
        let mut names = std::collections::BTreeSet::new();
        for (field, file) in private.chain(baseline) {
            let plain = file.name.len() <= 128
                && !file.name.starts_with('.')
                && !file.name.is_empty()
                && file
                    .name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
            if !plain || file.name == "manifest.json" {
                found.add(
                    &format!("{field}.name"),
                    format!("{:?} is not a plain file name", file.name),
                );
            }
            if !names.insert(file.name.as_str()) && field != "baseline_artifact" {
                found.add(
                    &format!("{field}.name"),
                    format!("{:?} is given twice", file.name),
                );
            }
            if file.uri.contains("://") && (file.sha256.is_none() || file.size_bytes.is_none()) {
                found.add(
                    &field,
                    "sha256 and size_bytes are needed for an address".to_owned(),
                );
            }
        }
    }

    fn env_problems(&self, found: &mut Problems) {
        for (name, value) in &self.validator_benchmark_env {
            if let Some(problem) = env_problem(name, value) {
                found.add(
                    &format!("validator_benchmark_env.{name}"),
                    problem.to_owned(),
                );
            }
        }
    }
}

/// What is wrong with one environment variable, if anything.
pub fn env_problem(name: &str, value: &str) -> Option<&'static str> {
    let mut letters = name.bytes();
    let starts = letters
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !starts || !letters.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Some("a name is letters, digits and '_', and does not start with a digit");
    }
    if value.contains('\0') {
        return Some("the value has a NUL character");
    }
    (value.len() > 32_768).then_some("the value is longer than 32,768 bytes")
}

#[derive(Default)]
struct Problems(Vec<FieldError>);

impl Problems {
    fn add(&mut self, field: &str, problem: String) {
        self.0.push(FieldError {
            field: field.to_owned(),
            problem,
        });
    }

    fn length(&mut self, field: &str, text: &str, min: usize, max: usize) {
        let count = text.chars().count();
        if !(min..=max).contains(&count) {
            self.add(
                field,
                format!("has {count} characters; {min} to {max} are allowed"),
            );
        }
    }

    fn command(&mut self, field: &str, command: Option<&str>) {
        let Some(command) = command else { return };
        if command.trim().is_empty() {
            self.add(field, "is empty".to_owned());
        } else if command.len() > 16_384 {
            self.add(field, "is longer than 16,384 bytes".to_owned());
        } else if command.contains('\0') {
            self.add(field, "has a NUL character".to_owned());
        }
    }

    fn metric_name(&mut self, field: &str, name: &str) {
        self.length(field, name, 1, 120);
        if name.chars().any(char::is_control) {
            self.add(field, format!("{name:?} has a control character"));
        }
        if name.starts_with("supervisor.") && !SUPERVISOR_METRICS.contains(&name) {
            self.add(
                field,
                format!(
                    "{name:?} is no supervisor metric; known: {}",
                    SUPERVISOR_METRICS.join(", ")
                ),
            );
        }
    }

    /// A path below the work tree: relative, plain components, no `.git`.
    fn inner_path(&mut self, field: &str, path: &str) {
        let components = path.strip_suffix('/').unwrap_or(path).split('/');
        let unsafe_component =
            |part: &str| matches!(part, "" | "." | "..") || part.eq_ignore_ascii_case(".git");
        if path.len() > 4096
            || path.chars().any(char::is_control)
            || components.into_iter().any(unsafe_component)
        {
            self.add(
                field,
                format!("{path:?} is not a plain path below the repository"),
            );
        }
    }
}
