//! The names of what lies in a workspace.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use protocol::task::CompetitionMode;
use serde_json::json;

use crate::task::ServedTask;

/// One directory with everything for one task.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    /// The directory, absolute.
    pub(crate) directory: PathBuf,
}

impl Workspace {
    /// The workspace in `directory`, made if it is not there.
    pub(crate) fn make(directory: &Path) -> anyhow::Result<Self> {
        let shown = directory.display();
        fs::create_dir_all(directory).with_context(|| format!("{shown} cannot be made"))?;
        Self::at(directory)
    }

    /// The workspace in `directory`.
    pub(crate) fn at(directory: &Path) -> anyhow::Result<Self> {
        let absolute = directory.canonicalize();
        let directory = absolute.with_context(|| format!("there is no {}", directory.display()))?;
        Ok(Self { directory })
    }

    /// The clone.
    pub(crate) fn repo(&self) -> PathBuf {
        self.directory.join("repo")
    }

    /// The onboarding page.
    pub(crate) fn intro(&self) -> PathBuf {
        self.directory.join("ONBOARDING.md")
    }

    /// What the miner says of the work.
    pub(crate) fn submission(&self) -> PathBuf {
        self.directory.join("submission.json")
    }

    /// What came of the last attempt.
    pub(crate) fn submission_result(&self) -> PathBuf {
        self.directory.join("submission-result.json")
    }

    /// The task as it was served.
    pub(crate) fn task_file(&self) -> PathBuf {
        self.directory.join("task.json")
    }

    /// Writes the page and the task.
    pub(crate) fn describe(&self, task: &ServedTask, onboarding: &str) -> anyhow::Result<()> {
        write(&self.intro(), onboarding.as_bytes())?;
        write(&self.task_file(), &serde_json::to_vec_pretty(&task.served)?)
    }

    /// Writes a `submission.json` with every field that this task wants, unless
    /// there is one.
    pub(crate) fn write_skeleton(&self, task: &ServedTask) -> anyhow::Result<()> {
        if self.submission().exists() {
            return Ok(());
        }
        let mut skeleton = json!({"summary": "", "claimed_metrics": {}});
        if task.task.competition_mode == CompetitionMode::Centerless {
            skeleton["proposed_idea"] = json!("");
        }
        if task.task.requires_artifact() {
            skeleton["artifact_uri"] = json!("");
            skeleton["artifact_sha256"] = json!("0".repeat(64));
            skeleton["artifact_size_bytes"] = json!(0);
        }
        write(&self.submission(), &serde_json::to_vec_pretty(&skeleton)?)
    }

    /// Reads the task back.
    pub(crate) fn task(&self) -> anyhow::Result<ServedTask> {
        let path = self.task_file();
        let text = fs::read(&path).with_context(|| {
            format!(
                "{} cannot be read; `init TASK` makes a workspace",
                path.display()
            )
        })?;
        let served = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        ServedTask::read(served)
    }
}

/// Replaces a file as a whole.
pub(crate) fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    std::io::Write::write_all(&mut file, content)?;
    file.persist(path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(())
}
