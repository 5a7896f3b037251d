//! A frozen spec decides over everything that the job says beside it: it is what
//! receipts are about. Only where files come from is not in it.

use protocol::spec::{Metric, ReplaySpec};
use protocol::task::{RankingMode, Task, TaskFile};
use protocol::{Code, Sha256Digest};

use crate::failure::Failure;

use super::protocol;

/// Makes `task` the one that `spec` was frozen from.
pub(super) fn apply(spec: &ReplaySpec, task: &mut Task) -> Result<(), Failure> {
    if spec.spec_version != ReplaySpec::VERSION {
        let version = spec.spec_version;
        return Err(protocol(format!("the spec has version {version}, not 1")));
    }
    if !spec.repository.is_empty() && task.repository.as_ref() != Some(&spec.repository) {
        return Err(protocol("the repository is not the one of the job's spec"));
    }
    let (first, second) = match spec.metrics.as_slice() {
        [first] => (first, None),
        [first, second] => (first, Some(second)),
        _ => return Err(protocol("the spec has neither one metric nor two")),
    };
    task.metric_name.clone_from(&first.name);
    task.metric_direction = first.direction;
    task.metric_range = first.range.clone();
    task.ranking_mode = second.map_or(RankingMode::Scalar, |_| RankingMode::Pareto);
    task.secondary_metric_name = second.map(|metric| metric.name.clone());
    task.secondary_metric_direction = second.map(|metric| metric.direction);
    task.secondary_metric_range = second.map(range).unwrap_or_default();
    task.metric_tolerance.clone_from(&spec.tolerance);
    task.setup_command.clone_from(&spec.commands.setup);
    task.benchmark_command.clone_from(&spec.commands.benchmark);
    task.score_command.clone_from(&spec.commands.score);
    task.validator_benchmark_env.clone_from(&spec.env);
    let rules = &spec.patch_rules;
    task.allowed_patch_paths.clone_from(&rules.allowed_paths);
    task.protected_paths.clone_from(&rules.protected_paths);
    task.max_patch_bytes = rules.max_bytes;
    task.max_patch_files = rules.max_files;
    task.max_decoded_bytes = rules.max_decoded_bytes;
    task.allow_binary_patch = rules.allow_binary;
    task.allow_executable = rules.allow_executable;
    task.result_path.clone_from(&spec.result_path);
    task.outputs.clone_from(&spec.outputs);
    task.repeats = spec.repeats;
    task.time_budget_seconds = spec.time_budget_seconds;
    task.setup_network = spec.setup_network;
    task.limits = spec.limits.clone();
    task.image = (!spec.image.is_empty()).then(|| spec.image.clone());
    files(spec, task)?;
    let problems: Vec<String> = task.problems().iter().map(ToString::to_string).collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Code::SpecInvalid, problems.join("; ")))
}

fn range(metric: &Metric) -> protocol::task::MetricRange {
    metric.range.clone()
}

/// The files that the task brings must be those of the spec, by name and content.
fn files(spec: &ReplaySpec, task: &Task) -> Result<(), Failure> {
    let is = |file: &TaskFile, sha256: Sha256Digest, size: u64| {
        file.sha256 == Some(sha256) && file.size_bytes == Some(size)
    };
    let same = spec.private_inputs.len() == task.private_inputs.len()
        && spec.private_inputs.iter().all(|input| {
            task.private_inputs.iter().any(|file| {
                file.name == input.name && is(file, input.content.sha256, input.content.size_bytes)
            })
        });
    if !same {
        return Err(protocol(
            "the private inputs are not those of the job's spec",
        ));
    }
    let same = match (&spec.baseline_artifact, &task.baseline_artifact) {
        (None, None) => true,
        (Some(content), Some(file)) => is(file, content.sha256, content.size_bytes),
        _ => false,
    };
    if !same {
        return Err(protocol(
            "the baseline artifact is not that of the job's spec",
        ));
    }
    Ok(())
}
