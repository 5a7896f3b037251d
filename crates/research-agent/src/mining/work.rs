//! What was changed in a repository, and whether it may be submitted.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use git2::Repository;
use protocol::CommitId;

use crate::failure::{Done, Failure};
use crate::gate;
use crate::submission_file::SubmissionFile;
use crate::task::ServedTask;
use crate::workspace::diff;

/// A patch and what it is made against.
#[derive(Debug)]
pub(crate) struct Work {
    /// The unified git diff; empty if nothing is changed.
    pub(crate) patch: String,
    /// The commit that it differs from.
    pub(crate) base: CommitId,
}

impl Work {
    /// The changes in `repo` since `base_ref`, or since the task's pinned commit.
    /// New files that are no part of it are told on standard error.
    pub(crate) async fn of(
        repo: &Path,
        task: &ServedTask,
        base_ref: Option<&str>,
    ) -> anyhow::Result<Self> {
        let (repo, task) = (absolute(repo)?, task.clone());
        let base_ref = base_ref.map(str::to_owned);
        let made = tokio::task::spawn_blocking(move || {
            let base = match (base_ref, task.base_commit) {
                (None, Some(commit)) => commit,
                (Some(reference), _) => resolve(&repo, &reference)?,
                (None, None) => resolve(&repo, &task.base_ref()?)?,
            };
            anyhow::Ok((diff(&repo, base, &task.task)?, base))
        });
        let (made, base) = made.await??;
        for file in &made.left_out {
            eprintln!("left out: {} {}", file.path, file.reason);
        }
        Ok(Self {
            patch: made.patch,
            base,
        })
    }

    /// Refuses what the coordinator or the gate of the validators would refuse.
    /// The gate judges against the pinned commit, as validators do.
    pub(crate) async fn check(
        &self,
        repo: &Path,
        task: &ServedTask,
        file: &SubmissionFile,
    ) -> Done<()> {
        let problems = file.problems(&task.task, !self.patch.is_empty());
        if !problems.is_empty() {
            return Err(Failure::Refused(format!(
                "submission.json: {}",
                problems.join("; ")
            )));
        }
        if self.patch.is_empty() {
            return Ok(());
        }
        let repo = absolute(repo)?;
        let base = task.base_commit.unwrap_or(self.base);
        let (patch, rules) = (self.patch.clone(), task.task.clone());
        let reviewed =
            tokio::task::spawn_blocking(move || gate::review(&repo, base, &rules, &patch));
        reviewed.await.map_err(anyhow::Error::from)??;
        Ok(())
    }
}

fn absolute(repo: &Path) -> anyhow::Result<PathBuf> {
    repo.canonicalize()
        .with_context(|| format!("there is no repository {}", repo.display()))
}

/// The commit that `reference` names in the repository itself.
fn resolve(repo: &Path, reference: &str) -> anyhow::Result<CommitId> {
    let shown = repo.display();
    let repo = Repository::open(repo).with_context(|| format!("{shown} is no git repository"))?;
    let commit = repo
        .revparse_single(reference)
        .and_then(|object| object.peel_to_commit());
    match commit.ok().map(|commit| commit.id().to_string().parse()) {
        Some(Ok(commit)) => Ok(commit),
        _ => {
            bail!("{shown} has no commit {reference:?}; fetch it, or name another with --base-ref")
        }
    }
}
