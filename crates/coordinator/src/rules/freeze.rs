//! The moment a submission arrives, its replay is pinned: task and submission
//! become a [`ReplaySpec`] that nothing changes any more.

use protocol::spec::{Commands, Content, Metric, PatchRules, PrivateInput};
use protocol::task::{Task, TaskFile};
use protocol::{CommitId, ReplaySpec, Sha256Digest};

/// What a submission brings, by content.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    /// Its patch, if it has one.
    pub patch: Option<Content>,
    /// Its artifact, if it has one.
    pub artifact: Option<Content>,
}

/// Pins a replay. The image is the task's own text, or empty for the runner's
/// default: only a host knows the id behind it.
pub fn freeze(task: &Task, base_commit: CommitId, brought: Brought) -> ReplaySpec {
    ReplaySpec {
        spec_version: ReplaySpec::VERSION,
        repository: task
            .repository
            .clone()
            .filter(|url| url.contains("://"))
            .unwrap_or_default(),
        base_commit,
        patch: brought.patch,
        artifact: brought.artifact,
        baseline_artifact: task.baseline_artifact.as_ref().and_then(content),
        private_inputs: task
            .private_inputs
            .iter()
            .filter_map(private_input)
            .collect(),
        image: task.image.clone().unwrap_or_default(),
        commands: Commands {
            setup: task.setup_command.clone(),
            benchmark: task.benchmark_command.clone(),
            score: task.score_command.clone(),
        },
        env: task.validator_benchmark_env.clone(),
        patch_rules: PatchRules {
            allowed_paths: task.allowed_patch_paths.clone(),
            protected_paths: task.protected_paths.clone(),
            max_bytes: task.max_patch_bytes,
            max_files: task.max_patch_files,
            max_decoded_bytes: task.max_decoded_bytes,
            allow_binary: task.allow_binary_patch,
            allow_executable: task.allow_executable,
        },
        result_path: task.result_path.clone(),
        outputs: task.outputs.clone(),
        metrics: metrics(task),
        tolerance: task.metric_tolerance.clone(),
        repeats: task.repeats,
        time_budget_seconds: task.time_budget_seconds,
        setup_network: task.setup_network,
        limits: task.limits.clone(),
    }
}

/// Whether `digest` is that of the frozen spec, or of the same spec with the
/// image that a host resolved.
pub fn is_digest_of(spec: &ReplaySpec, digest: Sha256Digest, image: Option<&str>) -> bool {
    if spec.digest() == digest {
        return true;
    }
    image.is_some_and(|image| {
        let resolved = ReplaySpec {
            image: image.to_owned(),
            ..spec.clone()
        };
        resolved.digest() == digest
    })
}

fn metrics(task: &Task) -> Vec<Metric> {
    let first = Metric {
        name: task.metric_name.clone(),
        direction: task.metric_direction,
        range: task.metric_range.clone(),
    };
    let second = task.secondary_metric_name.clone().map(|name| Metric {
        name,
        direction: task
            .secondary_metric_direction
            .unwrap_or(task.metric_direction),
        range: task.secondary_metric_range.clone(),
    });
    std::iter::once(first).chain(second).collect()
}

fn private_input(file: &TaskFile) -> Option<PrivateInput> {
    Some(PrivateInput {
        name: file.name.clone(),
        content: content(file)?,
    })
}

fn content(file: &TaskFile) -> Option<Content> {
    Some(Content {
        sha256: file.sha256?,
        size_bytes: file.size_bytes?,
    })
}
