//! A task as a coordinator serves it: the same fields, and some of its own.

use serde_json::{Map, Value, json};

/// Fields that a coordinator adds to what the owner wrote.
const FIELDS: &[&str] = &[
    "id",
    "task_state",
    "is_active",
    "onboard_path",
    "created_at",
    "updated_at",
    "base_commit_sha",
    "quorum",
    "artifact_required",
    "max_artifact_bytes",
    "has_private_inputs",
];

/// Whether a coordinator's answer has this field, and no task file.
pub(super) fn is_served(key: &str) -> bool {
    FIELDS.contains(&key)
}

/// The task file that a served task was made from, at the commit that it is pinned to.
pub(super) fn as_file(mut served: Map<String, Value>) -> Map<String, Value> {
    // A branch goes on; submissions are replayed on the commit of the day it was posted.
    if let Some(commit) = served.remove("base_commit_sha").filter(Value::is_string) {
        served.insert("base_ref".to_owned(), commit);
    }
    let required = served.remove("artifact_required");
    let max_bytes = served.remove("max_artifact_bytes");
    if let (Some(required), Some(max_bytes)) = (required, max_bytes) {
        served
            .entry("artifact")
            .or_insert_with(|| json!({"required": required, "max_bytes": max_bytes}));
    }
    served.retain(|key, value| {
        // Nulls are how the coordinator writes what a task does not have.
        !is_served(key) && !value.is_null()
    });
    served
}
