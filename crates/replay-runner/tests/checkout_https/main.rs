//! Replays of tasks whose repository is on a real https git server, by the
//! command itself: trust is what the environment says, as in production.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

mod server;
#[path = "../tls/mod.rs"]
mod tls;

use std::fs;
use std::path::Path;
use std::process::Command;

use protocol::{Code, Report, Status};
use server::Server;
use tempfile::TempDir;

const TASK: &str = r#"
slug = "remote"
title = "A task on a server"
image = "replay-sandbox/c:1"
allowed_patch_paths = ["value"]
benchmark_command = "echo \"{\\\"score\\\": $(cat value)}\" > result.json"
result_path = "result.json"
metric_name = "score"
metric_direction = "maximize"
time_budget_seconds = 20
"#;

/// A repository, the server in front of it, and a runner's state.
struct World {
    home: TempDir,
    server: Server,
}

impl World {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let work = home.path().join("work");
        fs::create_dir(&work).unwrap();
        git(&work, &["init", "-q", "-b", "main"]);
        fs::create_dir(home.path().join("served")).unwrap();
        let server = Server::start(&home.path().join("served")).await;
        fs::write(home.path().join("ca.pem"), &server.ca_pem).unwrap();
        fs::write(home.path().join("task.toml"), TASK).unwrap();
        let world = Self { home, server };
        world.commit(1);
        let bare = ["clone", "-q", "--bare", "work", "served/task.git"];
        git(world.home.path(), &bare);
        world
    }

    fn commit(&self, value: u32) -> String {
        let work = self.home.path().join("work");
        fs::write(work.join("value"), format!("{value}\n")).unwrap();
        git(&work, &["add", "value"]);
        git(&work, &["commit", "-q", "-m", "another value"]);
        git(&work, &["rev-parse", "HEAD"])
    }

    fn push(&self, what: &str) {
        let work = self.home.path().join("work");
        git(&work, &["push", "-q", "../served/task.git", what]);
    }

    async fn replay(&self, address: &str, reference: &str) -> Report {
        self.replay_trusting(address, reference, "ca.pem").await
    }

    async fn replay_trusting(&self, address: &str, reference: &str, roots: &str) -> Report {
        let mut command = Command::new(env!("CARGO_BIN_EXE_replay-runner"));
        command
            .args(["run", "task.toml", "--json", "--state", "state"])
            .args(["--repository", address, "--base-ref", reference])
            .current_dir(self.home.path())
            .env("SSL_CERT_FILE", self.home.path().join(roots))
            .env_remove("SSL_CERT_DIR");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    }
}

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn score(report: &Report) -> String {
    assert_eq!(report.status, Status::Accepted, "{report:?}");
    report.observed_metrics["score"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_is_followed_a_commit_is_pinned_and_what_is_known_is_not_fetched_again() {
    let world = World::new().await;
    let address = world.server.url("task.git");
    let first = world.replay(&address, "main").await;
    assert_eq!(score(&first), "1");
    let second = world.commit(2);
    world.push("main");
    let moved = world.replay(&address, "main").await;
    assert_eq!(score(&moved), "2");
    assert_eq!(moved.base_commit.unwrap().to_string(), second);
    let before = world.server.requests();
    let pinned = first.base_commit.unwrap().to_string();
    let again = world.replay(&address, &pinned).await;
    assert_eq!(score(&again), "1");
    assert_eq!(
        world.server.requests(),
        before,
        "a known commit was fetched"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_no_branch_reaches_is_fetched_by_its_id() {
    let world = World::new().await;
    let orphan = world.commit(7);
    world.push("HEAD:refs/hidden/orphan");
    let served = world.home.path().join("served/task.git");
    git(
        &served,
        &["config", "uploadpack.allowAnySHA1InWant", "true"],
    );
    let report = world.replay(&world.server.url("task.git"), &orphan).await;
    assert_eq!(score(&report), "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_fetched_is_this_hosts_trouble_and_says_what() {
    let world = World::new().await;
    let url = |path: &str| world.server.url(path);
    let gone = "0123456789012345678901234567890123456789";
    let cases = [
        (
            "a branch that is not there",
            url("task.git"),
            "nope",
            Code::CheckoutRefNotFound,
        ),
        (
            "a commit that is not there",
            url("task.git"),
            gone,
            Code::CheckoutRefNotFound,
        ),
        (
            "a repository that is not there",
            url("none.git"),
            "main",
            Code::CheckoutFetchFailed,
        ),
        (
            "a server in trouble",
            url("status/500/task.git"),
            "main",
            Code::CheckoutFetchFailed,
        ),
        (
            "a server that asks who we are",
            url("status/401/task.git"),
            "main",
            Code::CheckoutFetchFailed,
        ),
        (
            "a way that leads out of https",
            url("plain/task.git"),
            "main",
            Code::CheckoutFetchFailed,
        ),
        (
            "http from the start",
            url("task.git").replace("https", "http"),
            "main",
            Code::CheckoutSchemeNotAllowed,
        ),
    ];
    for (what, address, reference, code) in cases {
        let report = world.replay(&address, reference).await;
        assert_eq!(report.code, code, "{what}: {}", report.message);
        assert_eq!(report.status, Status::Error, "{what}");
        assert!(report.stages.is_empty(), "{what}: nothing may run");
    }
    let moved = world.replay(&url("moved/task.git"), "main").await;
    assert_eq!(score(&moved), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let world = World::new().await;
    let stranger = World::new().await;
    fs::write(world.home.path().join("other.pem"), &stranger.server.ca_pem).unwrap();
    let address = world.server.url("task.git");
    let report = world.replay_trusting(&address, "main", "other.pem").await;
    assert_eq!(report.code, Code::CheckoutFetchFailed, "{}", report.message);
    assert_eq!(
        world.server.requests(),
        0,
        "nothing was asked of a stranger"
    );
}
