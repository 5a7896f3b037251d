//! A task as a coordinator serves it, and the task that the engine replays.
//!
//! The coordinator is not trusted: a task that breaks the rules for tasks is
//! refused before anything of it becomes a path, a command or a limit.

use anyhow::{Context as _, anyhow, bail};
use protocol::limits::Bytes;
use protocol::paths::escaped;
use protocol::task::{ArtifactRules, CompetitionMode};
use protocol::{CommitId, Task};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::client::Id;
use crate::terminal::plain;

/// Fields of a served task that are not fields of a task file.
#[derive(Debug, Clone, Deserialize)]
struct Served {
    id: Id,
    #[serde(default)]
    base_commit_sha: Option<CommitId>,
    #[serde(default)]
    artifact_required: bool,
    #[serde(default)]
    max_artifact_bytes: Option<Bytes>,
    #[serde(default)]
    has_private_inputs: bool,
    #[serde(default)]
    is_active: Option<bool>,
    #[serde(default)]
    task_state: Option<String>,
}

/// The fields of a task that a coordinator may set for a replay on this machine.
/// Whatever else it serves is passed over, so that another coordinator's own
/// fields do not stop anybody, and none can name a file of this host.
const TASK_FIELDS: &[&str] = &[
    "slug",
    "title",
    "brief",
    "onboard_md",
    "repository",
    "base_ref",
    "setup_command",
    "benchmark_command",
    "result_path",
    "allowed_patch_paths",
    "max_patch_bytes",
    "metric_name",
    "metric_direction",
    "ranking_mode",
    "secondary_metric_name",
    "secondary_metric_direction",
    "competition_mode",
    "min_peer_evaluations",
    "time_budget_seconds",
    "image",
    "score_command",
    "outputs",
    "protected_paths",
    "repeats",
    "metric_range",
    "secondary_metric_range",
    "metric_tolerance",
    "allow_binary_patch",
    "allow_executable",
    "max_patch_files",
    "max_decoded_bytes",
    "setup_network",
    "limits",
];

/// A task of a coordinator.
#[derive(Debug, Clone)]
pub(crate) struct ServedTask {
    /// Its id.
    pub(crate) id: Id,
    /// The task, without private inputs and the validators' environment, which
    /// a coordinator keeps to itself.
    pub(crate) task: Task,
    /// The commit that replays start from.
    pub(crate) base_commit: Option<CommitId>,
    /// Whether validators have files that miners do not.
    pub(crate) has_private_inputs: bool,
    /// Whether it takes claims.
    pub(crate) is_live: bool,
    /// The answer as it was served.
    pub(crate) served: Value,
}

impl ServedTask {
    /// Reads one entry of the catalog.
    pub(crate) fn read(served: Value) -> anyhow::Result<Self> {
        let Value::Object(fields) = &served else {
            bail!("the coordinator serves a task that is no JSON object");
        };
        let name = shown(&served["slug"]);
        let extra: Served = from_value(&name, served.clone())?;
        let mut known = Map::new();
        for field in TASK_FIELDS {
            // Nulls are how a coordinator writes what a task does not have.
            if let Some(value) = fields.get(*field).filter(|value| !value.is_null()) {
                known.insert((*field).to_owned(), value.clone());
            }
        }
        let mut task: Task = from_value(&name, known.into())?;
        let default = ArtifactRules::default();
        task.artifact = ArtifactRules {
            required: extra.artifact_required,
            max_bytes: extra.max_artifact_bytes.unwrap_or(default.max_bytes),
        };
        let problems = task.problems();
        if !problems.is_empty() {
            let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
            bail!(
                "task {name} breaks the rules for tasks: {}",
                list.join("; ")
            );
        }
        let live = |state: String| state == "live";
        Ok(Self {
            id: extra.id,
            task,
            base_commit: extra.base_commit_sha,
            has_private_inputs: extra.has_private_inputs,
            is_live: extra
                .task_state
                .map(live)
                .or(extra.is_active)
                .unwrap_or(true),
            served,
        })
    }

    /// The commit or reference that a patch is made against.
    pub(crate) fn base_ref(&self) -> anyhow::Result<String> {
        match (&self.base_commit, &self.task.base_ref) {
            (Some(commit), _) => Ok(commit.to_string()),
            (None, Some(reference)) => Ok(reference.clone()),
            (None, None) => bail!(
                "task {}: the coordinator names no base commit",
                self.task.slug
            ),
        }
    }

    /// The repository to clone, over https and nothing else.
    pub(crate) fn repository(&self) -> anyhow::Result<&str> {
        let address = self.task.repository.as_deref();
        address.with_context(|| {
            format!(
                "task {}: the coordinator names no repository; name a clone with --repository",
                self.task.slug
            )
        })
    }

    /// Whether other miners decide.
    pub(crate) fn is_decided_by_peers(&self) -> bool {
        self.task.competition_mode == CompetitionMode::PeerEvaluation
    }
}

/// Reads a part of a task, and names the field that is wrong.
fn from_value<T: DeserializeOwned>(name: &str, value: Value) -> anyhow::Result<T> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| anyhow!("task {name}: {}", plain(&error.to_string())))
}

/// A stranger's value for a message.
fn shown(value: &Value) -> String {
    let text = value.as_str().unwrap_or("without a slug");
    escaped(text.chars().take(120).collect::<String>().as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn served() -> Value {
        json!({
            "id": "67e55044-10b1-426f-9247-bb680e5fe0c8", "slug": "sort-faster", "title": "Sort faster",
            "repository": "https://git.example/t.git", "base_ref": "main", "base_commit_sha": "1".repeat(40),
            "setup_command": null, "benchmark_command": "make bench", "result_path": "result.json",
            "allowed_patch_paths": ["src"], "metric_name": "loss", "metric_direction": "minimize",
            "ranking_mode": "scalar", "time_budget_seconds": 60, "task_state": "live", "is_active": true,
            "something_of_another_coordinator": {"x": 1},
        })
    }

    #[test]
    fn a_task_with_only_the_fields_of_the_wire_is_read() {
        let task = ServedTask::read(served()).unwrap();
        assert_eq!(task.task.max_patch_bytes, 262_144);
        assert_eq!(task.base_ref().unwrap(), "1".repeat(40));
        assert!(task.is_live);
    }

    #[test]
    fn a_coordinator_cannot_name_files_of_this_host_or_absurd_values() {
        let mut with_files = served();
        with_files["private_inputs"] = json!([{"name": "x", "uri": "/etc/shadow"}]);
        with_files["baseline_artifact"] = json!({"name": "x", "uri": "/etc/shadow"});
        with_files["validator_benchmark_env"] = json!({"LD_PRELOAD": "x"});
        let task = ServedTask::read(with_files).unwrap().task;
        assert!(task.private_inputs.is_empty() && task.baseline_artifact.is_none());
        assert!(task.validator_benchmark_env.is_empty());
        for (field, value) in [
            ("id", json!("../../x")),
            ("slug", json!("../x")),
            ("slug", json!("a/b/c")),
            ("time_budget_seconds", json!(1_000_000)),
            ("allowed_patch_paths", json!(["../.."])),
            ("result_path", json!("/etc/passwd")),
            ("base_commit_sha", json!("--upload-pack=x")),
            ("metric_direction", json!("sideways")),
        ] {
            let mut wrong = served();
            wrong[field] = value.clone();
            assert!(
                ServedTask::read(wrong).is_err(),
                "{field} = {value} was taken"
            );
        }
    }
}
