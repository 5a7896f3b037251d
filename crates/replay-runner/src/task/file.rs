//! Finding and parsing the file.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use protocol::Task;
use protocol::canonical_json::canonicalize;
use protocol::task::FieldError;
use serde::de::DeserializeOwned;

use super::served::{as_file, is_served};
use super::suggestion;

/// Names of task files in a directory, in the order in which they are tried.
pub(crate) const NAMES: &[&str] = &[
    "task.toml",
    "problem.yaml",
    "problem.yml",
    "task.json",
    "task.yaml",
];
/// Larger than every bound on every field together.
const LARGEST: u64 = 4 << 20;

/// A task file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TaskFileError {
    /// There is none.
    #[error("{0} is no task file, and no directory that holds one of {names}", names = NAMES.join(", "))]
    NotFound(PathBuf),
    /// It could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its text is wrong.
    #[error("{path}{place}: {problem}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// `:line:column`, as far as known.
        place: Place,
        /// What is wrong, and the nearest right name.
        problem: String,
    },
    /// Its values are wrong.
    #[error("{path}: {}", list(problems))]
    Values {
        /// The file.
        path: PathBuf,
        /// All of them.
        problems: Vec<FieldError>,
    },
}

fn list(problems: &[FieldError]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

/// Where in a file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place(Option<(usize, usize)>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// A parsed task and where it lies.
#[derive(Debug, Clone)]
pub struct TaskSource {
    /// The task.
    pub task: Task,
    /// The directory against which its relative paths are resolved.
    pub directory: PathBuf,
}

/// Loads the task file at `path`, or the one in the directory `path`.
pub fn load(path: &Path) -> Result<TaskSource, TaskFileError> {
    let file = find(path)?;
    let io = |source| TaskFileError::Io {
        path: file.clone(),
        source,
    };
    let syntax = |place, problem| TaskFileError::Syntax {
        path: file.clone(),
        place: Place(place),
        problem,
    };
    let size = fs::metadata(&file).map_err(io)?.len();
    if size > LARGEST {
        let problem = format!("is {size} bytes long; a task file has at most {LARGEST}");
        return Err(syntax(None, problem));
    }
    let text = String::from_utf8(fs::read(&file).map_err(io)?).map_err(|error| {
        let end = error.utf8_error().valid_up_to();
        let valid = String::from_utf8_lossy(&error.as_bytes()[..end]).into_owned();
        let place = line_and_column(&valid, end);
        syntax(
            Some(place),
            "is not UTF-8; save the file as UTF-8".to_owned(),
        )
    })?;
    let task = parse(&file, &text)?;
    let problems = task.problems();
    if !problems.is_empty() {
        return Err(TaskFileError::Values {
            path: file,
            problems,
        });
    }
    let absolute = file.canonicalize().map_err(io)?;
    let directory = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    Ok(TaskSource { task, directory })
}

fn find(path: &Path) -> Result<PathBuf, TaskFileError> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    NAMES
        .iter()
        .map(|name| path.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| TaskFileError::NotFound(path.to_owned()))
}

fn parse(path: &Path, text: &str) -> Result<Task, TaskFileError> {
    let parsed = match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => from_json(text),
        Some("yaml" | "yml") => from_yaml(text),
        _ => from_toml(text),
    };
    parsed.map_err(|(place, problem)| TaskFileError::Syntax {
        path: path.to_owned(),
        place: Place(place),
        problem: suggestion::improve(&problem),
    })
}

type Parsed<T> = Result<T, (Option<(usize, usize)>, String)>;

fn from_toml(text: &str) -> Parsed<Task> {
    let locate = |error: toml::de::Error| {
        let place = error.span().map(|span| line_and_column(text, span.start));
        (place, error.message().to_owned())
    };
    if served(toml::from_str::<toml::Table>(text).map_err(locate)?.keys()) {
        let mut table: toml::Table = toml::from_str(text).map_err(locate)?;
        table.retain(|key, _| !is_served(key));
        return table
            .try_into()
            .map_err(|error: toml::de::Error| (None, error.message().to_owned()));
    }
    toml::from_str(text).map_err(locate)
}

fn from_json(text: &str) -> Parsed<Task> {
    fn read<T: DeserializeOwned>(text: &str) -> Parsed<T> {
        serde_json::from_str(text).map_err(|error| {
            let message = error.to_string();
            let message = message
                .split(" at line ")
                .next()
                .unwrap_or_default()
                .to_owned();
            (Some((error.line(), error.column())), message)
        })
    }
    let object: serde_json::Map<String, serde_json::Value> = read(text)?;
    // A map keeps the last of two values, another reader the first.
    canonicalize(text.as_bytes()).map_err(|error| {
        let place = line_and_column(text, error.offset);
        (Some(place), error.problem.to_string())
    })?;
    if served(object.keys()) {
        return serde_json::from_value(as_file(object).into())
            .map_err(|error| (None, error.to_string()));
    }
    read(text)
}

fn from_yaml(text: &str) -> Parsed<Task> {
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().map(|at| {
            let number = |value: u64| usize::try_from(value).unwrap_or(0);
            (number(at.line()), number(at.column()))
        });
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        // The place stands before the message already.
        let problem = match line.split_once(": ") {
            Some(("error", rest)) if rest.starts_with("line ") => {
                rest.split_once(": ").map_or(rest, |(_, problem)| problem)
            }
            _ => line,
        };
        (place, problem.to_owned())
    })
}

fn served<'a>(mut keys: impl Iterator<Item = &'a String>) -> bool {
    keys.any(|key| is_served(key))
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "slug = \"a-task\"\nbenchmark_command = \"true\"\nallowed_patch_paths = [\"src\"]\n\
        metric_name = \"loss\"\nmetric_direction = \"minimize\"\ntime_budget_seconds = 10\n";

    fn problem(name: &str, text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name), text).unwrap();
        let error = load(dir.path()).unwrap_err().to_string();
        error.replace(&dir.path().display().to_string(), "DIR")
    }

    #[test]
    fn a_misspelt_field_is_named_with_file_line_and_the_nearest_right_name() {
        let toml = problem("task.toml", &GOOD.replace("metric_name", "metric_nam"));
        assert!(
            toml.starts_with("DIR/task.toml:4:1: unknown field `metric_nam`"),
            "{toml}"
        );
        assert!(toml.contains("did you mean `metric_name`?"), "{toml}");
        let json = problem(
            "task.json",
            "{\n \"slug\": \"abc\",\n \"time_bugdet_seconds\": 3}",
        );
        assert!(json.starts_with("DIR/task.json:3:"), "{json}");
        assert!(
            json.contains("did you mean `time_budget_seconds`?"),
            "{json}"
        );
        let yaml = problem("problem.yaml", "slug: abc\nrepostory: x\n");
        assert!(
            yaml.contains("problem.yaml:2:1") && yaml.contains("did you mean `repository`?"),
            "{yaml}"
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_with_its_line() {
        let error = problem("task.toml", &GOOD.replace("= 10", "= \"10\""));
        assert!(error.contains("task.toml:6:"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_text_or_too_long_is_a_wrong_task_and_not_a_wrong_command() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("task.toml");
        fs::write(&path, b"slug = \"a\"\ntitle = \"\xff\"\n").unwrap();
        let error = load(&path).unwrap_err();
        assert!(matches!(error, TaskFileError::Syntax { .. }), "{error:?}");
        assert!(
            error.to_string().contains("task.toml:2:10: is not UTF-8"),
            "{error}"
        );
        fs::write(&path, vec![b'#'; 5 << 20]).unwrap();
        let error = load(&path).unwrap_err();
        assert!(matches!(error, TaskFileError::Syntax { .. }), "{error:?}");
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_wherever_it_stands() {
        let rest = "\"benchmark_command\": \"true\", \"allowed_patch_paths\": [\"src\"],\n\
            \"metric_name\": \"loss\", \"metric_direction\": \"minimize\", \"time_budget_seconds\": 5}";
        for twice in [
            "{\"slug\": \"abc\",\n\"slug\": \"abd\", ",
            "{\"id\": 1, \"slug\": \"abc\",\n\"slug\": \"abd\", ",
            "{\"slug\": \"abc\", \"validator_benchmark_env\": {\"A\": \"1\",\n\"A\": \"2\"}, ",
        ] {
            let error = problem("task.json", &format!("{twice}{rest}"));
            assert!(error.starts_with("DIR/task.json:2:"), "{error}");
            assert!(error.contains("duplicate key"), "{error}");
        }
        let toml = format!("{GOOD}[validator_benchmark_env]\nA = \"1\"\nA = \"2\"\n");
        assert!(problem("task.toml", &toml).contains("duplicate key"));
        let yaml = problem(
            "task.yaml",
            "slug: abc\nvalidator_benchmark_env:\n  A: x\n  A: y\n",
        );
        assert!(yaml.contains("duplicate"), "{yaml}");
    }

    #[test]
    fn all_wrong_values_are_told_at_once() {
        let text = GOOD
            .replace("= 10", "= 0")
            .replace("[\"src\"]", "[\"../x\"]")
            .replace("a-task", "a/..");
        let error = problem("task.toml", &text);
        for field in ["time_budget_seconds", "allowed_patch_paths[0]", "slug"] {
            assert!(error.contains(field), "{field} is not in {error}");
        }
    }

    #[test]
    fn the_three_formats_read_the_same_task() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("task.toml"), GOOD).unwrap();
        let task = load(dir.path()).unwrap().task;
        let json = serde_json::to_string(&task).unwrap();
        for name in ["t.json", "t.yaml"] {
            // JSON is YAML, too.
            fs::write(dir.path().join(name), &json).unwrap();
            assert_eq!(load(&dir.path().join(name)).unwrap().task, task, "{name}");
        }
    }

    #[test]
    fn an_answer_of_a_coordinator_is_a_task_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("task.json");
        fs::write(&path, r#"{"id": "x", "is_active": true, "setup_command": null, "slug": "abc", "benchmark_command": "true",
            "allowed_patch_paths": ["src"], "metric_name": "loss", "metric_direction": "minimize", "time_budget_seconds": 5}"#).unwrap();
        assert_eq!(load(&path).unwrap().task.slug, "abc");
    }

    #[test]
    fn a_directory_without_a_task_file_says_which_names_are_tried() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            load(dir.path())
                .unwrap_err()
                .to_string()
                .contains("problem.yaml")
        );
    }
}
