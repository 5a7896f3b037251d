//! What the owner of a task does: publishes its repository and posts the task.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use protocol::Task;
use serde_json::json;

use super::client::Client;

/// Publishes the fixture task in `files` below `directory` and posts it, to be
/// decided by `quorum` validators. Its id.
pub fn post_fixture(
    client: &Client,
    task: &Task,
    files: &Path,
    directory: &Path,
    quorum: u32,
) -> Result<String> {
    let repository = directory.join(format!("{}.git", task.slug));
    publish(files, &repository)?;
    let mut task = task.clone();
    task.repository = Some(format!("file://{}", repository.display()));
    task.base_ref = Some("main".to_owned());
    let named = task
        .private_inputs
        .iter_mut()
        .chain(&mut task.baseline_artifact);
    for file in named {
        let path = files.join(&file.uri);
        let path = path
            .canonicalize()
            .with_context(|| path.display().to_string())?;
        file.uri = format!("file://{}", path.display());
    }
    post_task(client, &task, quorum)
}

/// Posts a task. Its id.
pub fn post_task(client: &Client, task: &Task, quorum: u32) -> Result<String> {
    let mut body = serde_json::to_value(task)?;
    body["quorum"] = json!(quorum);
    let made = client.post_as_admin("/api/v1/tasks", &body)?;
    let id = made["id"].as_str().map(str::to_owned);
    id.context("a task has an id")
}

/// A bare repository with `files` as its only commit.
pub fn publish(files: &Path, repository: &Path) -> Result<()> {
    git(Command::new("git")
        .args(["init", "--quiet", "--bare", "--initial-branch=main"])
        .arg(repository))?;
    for arguments in [
        &["add", "--all", "."][..],
        &["commit", "--quiet", "--message=The task"],
    ] {
        git(Command::new("git")
            .arg("--git-dir")
            .arg(repository)
            .arg("--work-tree")
            .arg(files)
            .args([
                "-c",
                "user.name=owner",
                "-c",
                "user.email=owner@example.org",
            ])
            .args(arguments)
            .current_dir(files))?;
    }
    Ok(())
}

fn git(command: &mut Command) -> Result<()> {
    let done = command.output().context("git")?;
    let errors = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{command:?}: {errors}");
    Ok(())
}
