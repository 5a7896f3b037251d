//! What the owner of a task does: publishes its repository and posts the task.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use protocol::Task;
use protocol::task::TaskFile;
use system_tests::fixtures::Fixture;

use crate::service::Service;

/// Makes a repository of the task's directory and posts the task. Its id.
pub(crate) fn post(service: &Service, fixture: &Fixture, directory: &Path) -> Result<String> {
    let repository = directory.join(format!("{}.git", fixture.name));
    let files = &fixture.directory;
    publish(files, &repository)?;
    let mut task: Task = fixture.task.clone();
    task.repository = Some(format!("file://{}", repository.display()));
    task.base_ref = Some("main".to_owned());
    let named = task
        .private_inputs
        .iter_mut()
        .chain(&mut task.baseline_artifact);
    for file in named {
        make_absolute(file, files)?;
    }
    let body = serde_json::to_value(&task)?;
    let made = service
        .client
        .post_as_admin(&service.admin_token, "/api/v1/tasks", &body)?;
    let id = made["id"].as_str().map(str::to_owned);
    id.context("the task has no id")
}

fn make_absolute(file: &mut TaskFile, beside: &Path) -> Result<()> {
    let path = beside.join(&file.uri);
    let path = path
        .canonicalize()
        .with_context(|| path.display().to_string())?;
    file.uri = format!("file://{}", path.display());
    Ok(())
}

/// A bare repository with `files` as its only commit.
fn publish(files: &Path, repository: &Path) -> Result<()> {
    let bare = ["init", "--quiet", "--bare", "--initial-branch=main"];
    git(Command::new("git").args(bare).arg(repository))?;
    for arguments in [
        &["add", "--all", "."][..],
        &["commit", "--quiet", "--message=The task"],
    ] {
        let mut command = Command::new("git");
        command
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
            .args(arguments);
        git(command.current_dir(files))?;
    }
    Ok(())
}

fn git(command: &mut Command) -> Result<()> {
    let done = command.output().context("git")?;
    let errors = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{command:?}: {errors}");
    Ok(())
}
