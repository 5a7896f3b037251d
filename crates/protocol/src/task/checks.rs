//! What the values of a task must be, and everything that is wrong with them.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{LARGEST_TOLERANCE, RankingMode, SUPERVISOR_METRICS, Task};

/// One thing that is wrong with a task: which field, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// The field's name, with an index for lists: `allowed_patch_paths[2]`.
    pub field: String,
    /// What is wrong, the value, and the mend.
    pub problem: String,
}

impl Task {
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
        if let Some(image) = &self.image
            && (image.is_empty()
                || image.len() > 512
                || image.chars().any(|c| c.is_whitespace() || c.is_control()))
        {
            found.add(
                "image",
                format!(
                    "{:?} is not the name of an image",
                    image.chars().take(80).collect::<String>()
                ),
            );
        }
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
            if path.ends_with('/') {
                found.add(
                    "result_path",
                    format!("{path:?} is a directory; name a file"),
                );
            }
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
        if self.secondary_metric_name.as_ref() == Some(&self.metric_name) {
            found.add(
                "secondary_metric_name",
                format!(
                    "is {:?}, as metric_name is; name another metric",
                    self.metric_name
                ),
            );
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
            && !(0.0..=LARGEST_TOLERANCE).contains(&tolerance.value())
        {
            found.add(
                "metric_tolerance",
                format!("{tolerance} is not a fraction from 0 to {LARGEST_TOLERANCE}"),
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
        let mut names = BTreeSet::new();
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tolerance_with_which_too_little_would_agree_is_refused_by_name() {
        let refused = |tolerance: f64| {
            let task: Task = serde_json::from_value(json!({
                "slug": "some-task", "title": "A task", "benchmark_command": "true",
                "allowed_patch_paths": ["a.py"], "metric_name": "score",
                "metric_direction": "maximize", "time_budget_seconds": 10,
                "metric_tolerance": tolerance,
            }))
            .unwrap();
            let problems = task.problems();
            problems.iter().any(|one| one.field == "metric_tolerance")
        };
        for good in [0.0, 0.01, LARGEST_TOLERANCE] {
            assert!(!refused(good), "{good}");
        }
        for bad in [-0.01, 0.51, 1.0, 7.0] {
            assert!(refused(bad), "{bad}");
        }
    }
}
