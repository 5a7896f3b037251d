//! The program as an operator runs it: on an empty directory, and beside itself.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The program in `dir`, with nothing from this environment that would matter.
fn coordinator(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coordinator"));
    command
        .args(arguments)
        .current_dir(dir)
        .env_remove("COORDINATOR_ADMIN_TOKEN")
        .env_remove("COORDINATOR_DATABASE")
        .env("RUST_LOG", "warn");
    command
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    coordinator(dir, arguments).output().unwrap()
}

struct Serving {
    process: Child,
    base: String,
}

impl Serving {
    /// Only the port is not the default: another test may have that one.
    fn start(dir: &Path) -> Self {
        let mut process = coordinator(dir, &["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = process.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("listening on ").unwrap();
        Self {
            base: base.to_owned(),
            process,
        }
    }

    fn end(mut self) {
        let id = i32::try_from(self.process.id()).unwrap();
        kill(Pid::from_raw(id), Signal::SIGTERM).unwrap();
        assert!(self.process.wait().unwrap().success(), "it ends in peace");
    }

    async fn post_task(&self, token: &str, slug: &str) -> Value {
        let task = json!({
            "slug": slug, "title": "Sort faster", "repository": "https://example.org/sort.git",
            "base_ref": "1".repeat(40), "benchmark_command": "true", "allowed_patch_paths": ["src"],
            "metric_name": "score", "metric_direction": "maximize", "time_budget_seconds": 60,
        });
        let request = reqwest::Client::new()
            .post(format!("{}/api/v1/tasks", self.base))
            .header("X-Admin-Token", token);
        let answer = request.body(task.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        answer.json().await.unwrap()
    }
}

fn token_in(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join("admin-token")).unwrap();
    text.trim().to_owned()
}

#[tokio::test]
async fn it_starts_on_an_empty_directory_and_goes_on_where_it_was() {
    let dir = TempDir::new().unwrap();
    let serving = Serving::start(dir.path());
    let token = token_in(dir.path());
    let mode = fs::metadata(dir.path().join("admin-token"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let task = serving.post_task(&token, "first").await;
    let page = reqwest::get(format!("{}/", serving.base)).await.unwrap();
    assert!(page.text().await.unwrap().contains("Sort faster"));
    serving.end();

    let again = Serving::start(dir.path());
    assert_eq!(token_in(dir.path()), token);
    let url = format!("{}/api/v1/tasks", again.base);
    let tasks: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(tasks[0]["id"], task["id"]);
    again.end();
}

#[tokio::test]
async fn a_backup_is_made_and_the_audit_read_while_it_serves() {
    let dir = TempDir::new().unwrap();
    let serving = Serving::start(dir.path());
    let token = token_in(dir.path());
    let first = serving.post_task(&token, "before").await;
    let made = run(dir.path(), &["backup", "copy.db"]);
    assert!(made.status.success(), "{made:?}");
    serving.post_task(&token, "after").await;
    let twice = run(dir.path(), &["backup", "copy.db"]);
    assert!(!twice.status.success(), "a backup never overwrites");

    let events = |database: &str| -> Vec<Value> {
        let read = run(dir.path(), &["audit", "--database", database]);
        assert!(read.status.success(), "{read:?}");
        let text = String::from_utf8(read.stdout).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let (live, copied) = (
        events("sqlite://coordinator.db"),
        events("sqlite://copy.db"),
    );
    assert_eq!((live.len(), copied.len()), (2, 1));
    assert_eq!(copied[0]["action"], "task.created");
    assert_eq!(copied[0]["subject"], first["id"]);
    assert_eq!(copied[0]["actor"], "admin");
    assert_eq!(copied[0], live[0]);
    serving.end();
}

#[test]
fn what_reads_a_database_does_not_make_one() {
    let dir = TempDir::new().unwrap();
    for arguments in [&["audit"][..], &["backup", "copy.db"]] {
        assert!(
            !run(dir.path(), arguments).status.success(),
            "{arguments:?}"
        );
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn settings_that_would_open_a_gate_are_refused() {
    let dir = TempDir::new().unwrap();
    for arguments in [
        &["--minimum-stake", "nan", "--metagraph-file", "m.json"][..],
        &["--minimum-stake=-1", "--metagraph-file", "m.json"],
        &["--minimum-stake", "1"],
        &["--metagraph-file", "m.json"],
        &["--requests-per-hotkey", "nan"],
        &["--requests-per-address", "0"],
        &["--lease-seconds", "0"],
        &["--validator", "nobody"],
        &["--validators-file", "not-there"],
    ] {
        let refused = run(
            dir.path(),
            &[&["serve", "--listen", "127.0.0.1:0"], arguments].concat(),
        );
        assert!(!refused.status.success(), "{arguments:?}");
        assert!(!refused.stderr.is_empty(), "{arguments:?}");
    }
    fs::write(dir.path().join("admin-token"), "short").unwrap();
    let refused = run(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert!(!refused.status.success(), "a token that can be guessed");
}
