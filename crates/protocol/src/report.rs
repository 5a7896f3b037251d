//! What one replay prints and stores: the object of `replay-runner run --json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Code, CommitId, Decimal, Fault, Sha256Digest, Status, TreeId};

/// One container run.
// Each flag is a fact of its own that readers of the JSON look up by name.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageReport {
    /// `setup`, `benchmark` or `score`; with ` (baseline)` for a control.
    pub name: String,
    /// Which repeat it belongs to, from 1.
    pub pass: u32,
    /// The command's exit status; `None` if it never ended by itself.
    pub exit_code: Option<i64>,
    /// From the start of the command to its end, by the supervisor's monotonic clock.
    pub wall_seconds: f64,
    /// Processor time of all its processes.
    pub cpu_seconds: f64,
    /// The most memory it held at once.
    pub peak_memory_bytes: u64,
    /// Whether the time budget ended it.
    pub timed_out: bool,
    /// Whether the kernel ended a process of it for want of memory.
    pub oom_killed: bool,
    /// Whether it had filled the workspace when it ended.
    pub workspace_full: bool,
    /// How much it printed, kept or not.
    pub output_bytes: u64,
    /// Whether `output` is less than it printed.
    pub output_truncated: bool,
    /// The start and the end of what it printed, control characters escaped.
    pub output: String,
}

/// A metric over several repeats.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spread {
    /// Each repeat's value, in order.
    pub values: Vec<Decimal>,
    /// The largest difference between two repeats, relative to the median.
    pub relative: f64,
}

/// Where the time went.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Timing {
    /// The whole replay.
    pub total_seconds: f64,
    /// The whole replay less the time inside the stages' commands.
    pub overhead_seconds: f64,
}

/// Everything that one replay observed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Accepted, rejected, or nothing decided.
    pub status: Status,
    /// The stable code.
    pub code: Code,
    /// One sentence for a person; never evidence.
    pub message: String,
    /// Whose doing it is.
    pub fault: Option<Fault>,
    /// The metrics that the engine read or measured, by name.
    pub observed_metrics: BTreeMap<String, Decimal>,
    /// The metrics over the repeats, where there were several.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spread: BTreeMap<String, Spread>,
    /// What was replayed.
    pub spec_digest: Option<Sha256Digest>,
    /// The pinned commit.
    pub base_commit: Option<CommitId>,
    /// The tree after the patch: the submission's content identity.
    pub patched_tree: Option<TreeId>,
    /// The id of the image.
    pub image: Option<String>,
    /// The digest of the result file's bytes.
    pub result_digest: Option<Sha256Digest>,
    /// The container runs, in order.
    pub stages: Vec<StageReport>,
    /// What a person should know beside the outcome.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Where the time went.
    pub timing: Timing,
}
