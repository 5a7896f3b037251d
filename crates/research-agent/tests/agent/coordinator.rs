//! The real coordinator as a process of its own, on an empty directory.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use protocol::auth;
use protocol::hotkey::Keypair;
use serde_json::{Value, json};

const ADMIN: &str = "a-token-for-tests-only";

pub(crate) struct Coordinator {
    child: Child,
    pub(crate) url: String,
    _directory: tempfile::TempDir,
}

/// The key of participant `n`; 200 is a validator.
pub(crate) fn key(n: u8) -> Keypair {
    Keypair::from_seed(&[n; 32])
}

/// Beside this test's own program, where the workspace's programs are built.
fn program() -> PathBuf {
    let own = Path::new(env!("CARGO_BIN_EXE_bitsota-research-agent"));
    let program = own.with_file_name("coordinator");
    assert!(
        program.is_file(),
        "{} is not there; `cargo build -p coordinator` makes it",
        program.display()
    );
    program
}

impl Coordinator {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(program())
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--allow-local-repositories",
            ])
            .args(["--validator", &key(200).hotkey().to_string()])
            .env("COORDINATOR_ADMIN_TOKEN", ADMIN)
            .env("RUST_LOG", "off")
            .current_dir(directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .expect("it starts")
            .to_owned();
        Self {
            child,
            url,
            _directory: directory,
        }
    }

    /// Posts a task over the repository at `path`; `change` edits it.
    pub(crate) async fn task(
        &self,
        path: &Path,
        slug: &str,
        change: impl FnOnce(&mut Value),
    ) -> Value {
        let mut task = json!({
            "slug": slug, "title": "A larger number", "brief": "Make it larger.",
            "repository": path.display().to_string(), "base_ref": "main",
            "benchmark_command": "python3 bench.py", "result_path": "result.json",
            "allowed_patch_paths": ["src"], "metric_name": "score", "metric_direction": "maximize",
            "competition_mode": "standard", "time_budget_seconds": 30,
            "limits": {"memory": "256m", "workspace": "32m", "tmp": "16m", "pids": 64},
        });
        change(&mut task);
        let sent = reqwest::Client::new()
            .post(format!("{}/api/v1/tasks", self.url))
            .header("X-Admin-Token", ADMIN)
            .header("Content-Type", "application/json")
            .body(task.to_string());
        read(sent, 201).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        read(
            reqwest::Client::new().get(format!("{}{path}", self.url)),
            200,
        )
        .await
    }

    /// A request signed by this test, not by the program under test.
    pub(crate) async fn post(&self, key: &Keypair, path: &str, body: &Value, status: u16) -> Value {
        let text = body.to_string();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let request = auth::Request {
            method: "POST",
            path,
            query: "",
            body: text.as_bytes(),
        };
        let headers = request.sign(key, now).unwrap();
        let sent = reqwest::Client::new()
            .post(format!("{}{path}", self.url))
            .header("X-Hotkey", headers.hotkey)
            .header("X-Timestamp", headers.timestamp)
            .header("X-Signature", headers.signature)
            .header("Content-Type", "application/json")
            .body(text);
        read(sent, status).await
    }

    /// Judges a submission as a validator.
    pub(crate) async fn judge(&self, submission: &str, result: &Value) {
        let lease = json!({"submission_id": submission});
        let job = self
            .post(&key(200), "/api/v1/validator/jobs/claim", &lease, 200)
            .await;
        let mut body = result.clone();
        body["submission_id"] = json!(submission);
        let path = format!(
            "/api/v1/validator/jobs/{}/result",
            job["job_id"].as_str().unwrap()
        );
        self.post(&key(200), &path, &body, 200).await;
    }
}

async fn read(request: reqwest::RequestBuilder, status: u16) -> Value {
    let answer = request.send().await.unwrap();
    let found = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
