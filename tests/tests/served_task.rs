//! What `GET /api/v1/tasks/{id}` answers, saved: the file that a task's onboarding
//! page tells miners to replay.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use protocol::{Code, Report};
use system_tests::fixtures::Fixture;
use system_tests::network::{Coordinator, Daemon, post_fixture};
use system_tests::tool::run;

#[test]
fn a_saved_task_is_replayed_on_the_commit_that_it_is_pinned_to() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let validators = [Daemon::hotkey("nobody")];
    let coordinator = Coordinator::start(&directory.path().join("coordinator"), &validators)?;
    let fixture = Fixture::load("matmul-kernel")?;
    let client = &coordinator.client;
    let id = post_fixture(
        client,
        &fixture.task,
        &fixture.directory,
        directory.path(),
        1,
    )?;
    let served = client.get(&format!("/api/v1/tasks/{id}"))?;
    let file = directory.path().join("task.json");
    fs::write(&file, served.to_string())?;

    // The owner goes on; what miners submit is still replayed on the first commit.
    let repository = directory.path().join("matmul-kernel.git");
    let gone_on = Command::new("git")
        .arg("--git-dir")
        .arg(&repository)
        .arg("--work-tree")
        .arg(directory.path())
        .args([
            "-c",
            "user.name=owner",
            "-c",
            "user.email=owner@example.org",
        ])
        .args(["commit", "--quiet", "--allow-empty", "--message=Later"])
        .status()?;
    ensure!(gone_on.success(), "{gone_on}");
    let state = directory.path().join("state");
    let replayed = run(directory.path(), &state, &["run", "task.json", "--json"])?;
    let report: Report = serde_json::from_value(replayed.json()?)?;
    ensure!(report.code == Code::Ok, "{report:?}");
    let pinned = served["base_commit_sha"].as_str().map(str::to_owned);
    let replayed = report.base_commit.map(|commit| commit.to_string());
    ensure!(
        pinned.is_some() && replayed == pinned,
        "pinned to {pinned:?}, replayed on {replayed:?}"
    );
    Ok(())
}
