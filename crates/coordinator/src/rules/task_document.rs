//! Reads a task as its owner posts it, and names everything that is wrong with it.

use std::fmt::Write as _;

use protocol::Task;
use protocol::paths::AllowedPaths;
use protocol::task::TaskFile;

use crate::error::ApiResult;
use crate::http::fields::Fields;
use crate::rules::places::Places;

/// A task with every required field, each of which a posted field replaces. It
/// lets one field at a time be read, so that each gets its own error.
const TEMPLATE: &[(&str, &str)] = &[
    ("slug", "\"template\""),
    ("title", "\"Template\""),
    ("benchmark_command", "\"true\""),
    ("allowed_patch_paths", "[\"src\"]"),
    ("metric_name", "\"metric\""),
    ("metric_direction", "\"maximize\""),
    ("time_budget_seconds", "1"),
    ("repository", "\"https://localhost/\""),
];

/// Optional texts of which an empty one is as good as none: forms send it.
const MAY_BE_EMPTY: &[&str] = &[
    "base_ref",
    "setup_command",
    "result_path",
    "secondary_metric_name",
    "secondary_metric_direction",
    "score_command",
    "image",
];

/// A posted task.
#[derive(Debug)]
pub struct Posted {
    /// The task.
    pub task: Task,
    /// Distinct validators that decide a submission.
    pub quorum: i64,
}

/// Reads a task, or refuses it with every problem at once.
pub fn read(mut fields: Fields, places: Places) -> ApiResult<Posted> {
    let quorum = fields.optional_integer("quorum", 1, 32).unwrap_or(1);
    for (name, _) in TEMPLATE {
        if !fields.has(name) {
            fields.problem(name, "is missing");
        }
    }
    let mut sound = Vec::new();
    let names: Vec<String> = fields.names().cloned().collect();
    for name in names {
        let Some(raw) = fields.raw(&name) else {
            continue;
        };
        if raw.get() == "\"\"" && MAY_BE_EMPTY.contains(&name.as_str()) {
            continue;
        }
        match parse(&[(&name, raw.get())]) {
            Ok(_) => sound.push((name, raw)),
            Err(error) => fields.problem(&shown(&name), explain(&error)),
        }
    }
    let given: Vec<(&str, &str)> = sound
        .iter()
        .map(|(name, raw)| (name.as_str(), raw.get()))
        .collect();
    // Every field was read alone, so together they are a task.
    let mut task = parse(&given)
        .map_err(|error| crate::error::ApiError::malformed("malformed_task", explain(&error)))?;
    if task.base_ref.is_none() {
        task.base_ref = Some("HEAD".to_owned());
    }
    let found = task.problems();
    fields.problems(found);
    more_problems(&mut fields, &task, places);
    fields.done(Posted { task, quorum })
}

/// What only matters to a task that is served to others.
fn more_problems(fields: &mut Fields, task: &Task, places: Places) {
    let repository = task.repository.as_deref().unwrap_or_default();
    if let Some(problem) = places.repository_problem(repository) {
        fields.problem("repository", problem);
    }
    // For local work a title is optional; in a catalog it is not.
    if task.title.is_empty() {
        fields.problem("title", "has 0 characters; 3 to 255 are allowed");
    }
    let reference = task.base_ref.as_deref().unwrap_or_default();
    if reference.is_empty()
        || reference.len() > 255
        || reference.chars().any(|c| c.is_control() || c == ' ')
    {
        fields.problem("base_ref", "is not a branch, tag or commit");
    }
    if let Err(error) = AllowedPaths::new(&task.allowed_patch_paths, &task.protected_paths) {
        fields.problem("allowed_patch_paths", error.to_string());
    }
    if has_nul(task) {
        fields.problem("brief", "or another text has a NUL character");
    }
    for (index, file) in task.private_inputs.iter().enumerate() {
        file_problems(fields, &format!("private_inputs[{index}]"), file, places);
    }
    if let Some(file) = &task.baseline_artifact {
        file_problems(fields, "baseline_artifact", file, places);
    }
}

fn file_problems(fields: &mut Fields, name: &str, file: &TaskFile, places: Places) {
    if let Some(problem) = places.file_problem(&file.uri) {
        fields.problem(&format!("{name}.uri"), problem);
    }
    if file.sha256.is_none() || file.size_bytes.is_none() {
        fields.problem(name, "needs sha256 and size_bytes");
    }
}

/// PostgreSQL stores no NUL in a text, and no honest task has one.
fn has_nul(task: &Task) -> bool {
    serde_json::to_string(task).is_ok_and(|json| json.contains("\\u0000"))
}

fn parse(given: &[(&str, &str)]) -> Result<Task, serde_json::Error> {
    let template = TEMPLATE
        .iter()
        .filter(|(name, _)| !given.iter().any(|(known, _)| known == name));
    let mut json = String::from("{");
    for (index, (name, raw)) in template.chain(given).enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let name = serde_json::to_string(name)?;
        let _ = write!(json, "{comma}{name}:{raw}");
    }
    json.push('}');
    serde_json::from_str(&json)
}

fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(text, _)| text);
    if text.starts_with("unknown field") && text.contains("`slug`") {
        return "is no field of a task".to_owned();
    }
    text.chars().take(300).collect()
}

fn shown(name: &str) -> String {
    name.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ApiError;

    fn wrong_fields(json: &str) -> Vec<String> {
        match read(Fields::of(json).unwrap(), Places::RemoteOnly) {
            Err(ApiError::Fields(found)) => found.into_iter().map(|one| one.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let json = r#"{"slug": "x", "title": 7, "repository": "https://a/b", "colour": "red",
            "allowed_patch_paths": ["../etc"], "metric_direction": "sideways",
            "benchmark_command": "true", "time_budget_seconds": 0, "quorum": 99,
            "limits": {"memory": "lots"}}"#;
        let mut wrong = wrong_fields(json);
        wrong.sort();
        wrong.dedup();
        assert_eq!(
            wrong,
            [
                "allowed_patch_paths",
                "allowed_patch_paths[0]",
                "colour",
                "limits",
                "metric_direction",
                "metric_name",
                "quorum",
                "slug",
                "time_budget_seconds",
                "title",
            ]
        );
    }

    #[test]
    fn an_empty_optional_text_is_as_good_as_none_and_an_empty_title_is_not() {
        let json = |title: &str| {
            format!(
                r#"{{"slug": "sort", "title": "{title}", "repository": "https://a/b", "base_ref": "",
            "allowed_patch_paths": ["src"], "metric_direction": "maximize", "metric_name": "m",
            "benchmark_command": "true", "time_budget_seconds": 1, "setup_command": "",
            "result_path": "", "secondary_metric_name": "", "secondary_metric_direction": ""}}"#
            )
        };
        let fields = Fields::of(&json("Sort")).unwrap();
        let task = read(fields, Places::RemoteOnly).unwrap().task;
        assert_eq!((task.setup_command, task.result_path), (None, None));
        assert_eq!(
            (task.secondary_metric_name, task.secondary_metric_direction),
            (None, None)
        );
        assert_eq!(task.base_ref.as_deref(), Some("HEAD"));
        assert_eq!(wrong_fields(&json("")), ["title"]);
    }

    #[test]
    fn private_inputs_must_be_pinned_and_https() {
        let json = r#"{"slug": "sort", "title": "Sort", "repository": "https://a/b",
            "allowed_patch_paths": ["src"], "metric_direction": "maximize", "metric_name": "m",
            "benchmark_command": "true", "time_budget_seconds": 1,
            "private_inputs": [{"name": "held-out.json", "uri": "/etc/passwd"}]}"#;
        assert_eq!(
            wrong_fields(json),
            ["private_inputs[0].uri", "private_inputs[0]"]
        );
    }

    #[test]
    fn digits_of_a_tolerance_survive() {
        let json = r#"{"slug": "sort", "title": "Sort", "repository": "https://a/b",
            "allowed_patch_paths": ["src"], "metric_direction": "maximize", "metric_name": "m",
            "benchmark_command": "true", "time_budget_seconds": 1, "metric_tolerance": 0.010}"#;
        let posted = read(Fields::of(json).unwrap(), Places::RemoteOnly).unwrap();
        let tolerance = posted.task.metric_tolerance.unwrap();
        assert!((tolerance.value() - 0.01).abs() < f64::EPSILON);
        assert_eq!(posted.quorum, 1);
    }
}
