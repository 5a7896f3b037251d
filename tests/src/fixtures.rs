//! The task repositories and submissions under `fixtures/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use protocol::{Code, Sha256Digest, Status, Task};
use serde::Deserialize;

use crate::verdict::Standing;

/// Why somebody made a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Honest, and better than the baseline.
    Improves,
    /// Honest, and worse.
    Worse,
    /// Honest, and does not work.
    Broken,
    /// Wants a metric that it has not earned, or harm.
    Hostile,
}

/// How a replay should end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Accepted, rejected, or error.
    pub status: Status,
    /// The outcome code.
    pub code: Code,
    /// How its metrics compare with the baseline's.
    pub metric: Option<Standing>,
}

/// The content of a `submission.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// What it tries, in one line.
    pub summary: String,
    /// Why somebody made it.
    pub kind: Kind,
    /// The patch, relative to the submission's directory.
    pub patch: Option<PathBuf>,
    /// The artifact, relative to the submission's directory.
    pub artifact: Option<PathBuf>,
    /// What the miner says that the artifact's digest is.
    pub artifact_sha256: Option<Sha256Digest>,
    /// What the miner says that its length is.
    pub artifact_size_bytes: Option<u64>,
    /// How its replay should end.
    pub expect: Expectation,
}

/// One replay to be made: a task with one of its submissions, or with none.
#[derive(Debug, Clone)]
pub struct Case {
    /// The directory of the task repository.
    pub task_dir: PathBuf,
    /// The name of that directory.
    pub task: String,
    /// The name of the submission, or `baseline`.
    pub name: String,
    /// The directory of the submission; that of the task for a baseline.
    pub dir: PathBuf,
    /// What is submitted.
    pub submission: Submission,
}

/// The name of a replay without a submission.
pub const BASELINE: &str = "baseline";

/// A task of the fixtures with everything that is submitted to it.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// The name of its directory.
    pub name: String,
    /// That directory.
    pub directory: PathBuf,
    /// The task file.
    pub task: Task,
    /// The baseline first, then the submissions by name.
    pub cases: Vec<Case>,
}

impl Fixture {
    /// Reads the task `name` and its submissions.
    pub fn load(name: &str) -> Result<Self> {
        let task_dir = root().join("tasks").join(name);
        let task: Task = read_toml(&task_dir.join("task.toml"))?;
        let baseline = Case {
            task_dir: task_dir.clone(),
            task: name.to_owned(),
            name: BASELINE.to_owned(),
            dir: task_dir.clone(),
            submission: Submission {
                summary: "the task as its author left it".to_owned(),
                kind: Kind::Improves,
                patch: None,
                artifact: None,
                artifact_sha256: None,
                artifact_size_bytes: None,
                expect: Expectation {
                    status: Status::Accepted,
                    code: Code::Ok,
                    metric: None,
                },
            },
        };
        let mut cases = vec![baseline];
        for dir in directories(&root().join("submissions").join(name))? {
            cases.push(Case {
                task_dir: task_dir.clone(),
                task: name.to_owned(),
                name: file_name(&dir),
                submission: read_toml(&dir.join("submission.toml"))?,
                dir,
            });
        }
        ensure!(cases.len() > 1, "task {name} has no submissions");
        Ok(Self {
            name: name.to_owned(),
            directory: task_dir,
            task,
            cases,
        })
    }

    /// Reads all tasks.
    pub fn load_all() -> Result<Vec<Self>> {
        let tasks = directories(&root().join("tasks"))?;
        tasks
            .iter()
            .map(|dir| Self::load(&file_name(dir)))
            .collect()
    }
}

/// Where the fixtures are.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("fixtures")
}

fn read_toml<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

fn directories(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let mut found: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    found.retain(|path| path.is_dir());
    found.sort();
    Ok(found)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
