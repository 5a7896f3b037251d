//! The JSON of a job, of this project's coordinator or of an older one.

use protocol::task::Task;
use protocol::{Code, ReplaySpec, Sha256Digest};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::failure::Failure;

use super::protocol;

/// The fields of a task that a replay reads. Others, such as a coordinator's
/// own, are passed over.
const FIELDS: &[&str] = &[
    "repository",
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
    "time_budget_seconds",
    "image",
    "score_command",
    "outputs",
    "private_inputs",
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
    "artifact",
    "baseline_artifact",
    "validator_benchmark_env",
    "limits",
];

/// What a job says.
pub(super) struct Document {
    pub(super) task: Task,
    /// The commit if the job pins one, else the branch or tag.
    pub(super) base_ref: Option<String>,
    pub(super) frozen: Option<ReplaySpec>,
    pub(super) submitted: Submitted,
    /// Whether the task says what it may use.
    pub(super) has_limits: bool,
}

/// What the miner brought.
pub(super) struct Submitted {
    pub(super) patch: Option<String>,
    pub(super) artifact_uri: Option<String>,
    pub(super) artifact_sha256: Option<String>,
    pub(super) artifact_size_bytes: Option<String>,
}

#[derive(serde::Deserialize)]
struct Outer<'a> {
    submission: Map<String, Value>,
    replay_spec: Map<String, Value>,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
    spec_digest: Option<String>,
}

impl Document {
    pub(super) fn read(text: &str) -> Result<Self, Failure> {
        let outer: Outer = serde_json::from_str(text)
            .map_err(|error| protocol(format!("the job is unreadable: {error}")))?;
        let frozen = frozen(outer.spec, outer.spec_digest.as_deref())?;
        let mut given = outer.replay_spec;
        let commit = text_of(&mut given, "base_commit_sha");
        let base_ref = commit.or_else(|| text_of(&mut given, "base_ref"));
        let has_limits = given.get("limits").is_some_and(|limits| !limits.is_null());
        let mut submission = outer.submission;
        let submitted = Submitted {
            patch: text_of(&mut submission, "patch"),
            artifact_uri: text_of(&mut submission, "artifact_uri"),
            artifact_sha256: text_of(&mut submission, "artifact_sha256")
                .map(|digest| digest.to_ascii_lowercase()),
            artifact_size_bytes: text_of(&mut submission, "artifact_size_bytes"),
        };
        Ok(Self {
            task: task(given)?,
            base_ref,
            frozen,
            submitted,
            has_limits,
        })
    }
}

/// A text or a number, as text; blank is none.
fn text_of(map: &mut Map<String, Value>, field: &str) -> Option<String> {
    match map.remove(field)? {
        Value::String(text) if !text.trim().is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn task(mut given: Map<String, Value>) -> Result<Task, Failure> {
    given.retain(|field, value| FIELDS.contains(&field.as_str()) && !value.is_null());
    // A replay has no use for it, and it must have one.
    given.insert("slug".to_owned(), json!("job"));
    let invalid = |text: String| Failure::new(Code::SpecInvalid, text);
    let task: Task = serde_json::from_value(Value::Object(given))
        .map_err(|error| invalid(format!("the task of the job: {error}")))?;
    let problems: Vec<String> = task.problems().iter().map(ToString::to_string).collect();
    if problems.is_empty() {
        Ok(task)
    } else {
        Err(invalid(problems.join("; ")))
    }
}

/// The frozen spec, if it is what its digest says.
fn frozen(spec: Option<&RawValue>, digest: Option<&str>) -> Result<Option<ReplaySpec>, Failure> {
    let Some(spec) = spec.filter(|raw| raw.get() != "null") else {
        return Ok(None);
    };
    let spec: ReplaySpec = serde_json::from_str(spec.get())
        .map_err(|error| protocol(format!("the spec of the job is unreadable: {error}")))?;
    let digest: Sha256Digest = digest
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| protocol("the job has a spec without a spec_digest"))?;
    if spec.digest() != digest {
        return Err(protocol(
            "the spec of the job does not have its spec_digest",
        ));
    }
    Ok(Some(spec))
}
