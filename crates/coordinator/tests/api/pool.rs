//! A real pool, as a process of its own, and a server in front of it that changes
//! what it says.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::claims::RecipientUpdate;
use protocol::hotkey::Keypair;
use protocol::ss58::Address;
use serde_json::{Value, json};

pub(crate) const CONTRACT: Address = Address::from_bytes([0xcc; 32]);

pub(crate) struct PoolProcess {
    child: Child,
    pub(crate) url: String,
    directory: tempfile::TempDir,
}

fn program() -> PathBuf {
    let own = Path::new(env!("CARGO_BIN_EXE_coordinator"));
    let program = own.with_file_name("pool");
    assert!(
        program.is_file(),
        "{} is not there; `cargo build -p pool` makes it",
        program.display()
    );
    program
}

impl PoolProcess {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir_in(crate::common::scratch()).unwrap();
        let mut child = Command::new(program())
            .args(["serve", "--listen", "127.0.0.1:0"])
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
            .unwrap()
            .to_owned();
        Self {
            child,
            url,
            directory,
        }
    }

    /// Names who is paid for a miner.
    pub(crate) async fn map(&self, miner: &Keypair, to: Address, now: u64) {
        let update = RecipientUpdate::sign(miner, to, now);
        let headers = update.headers();
        let answer = reqwest::Client::new()
            .put(format!("{}/api/v1/miners/recipient-coldkey", self.url))
            .header("X-Key", headers.key)
            .header("X-Timestamp", headers.timestamp)
            .header("X-Signature", headers.signature)
            .json(&json!({"recipient_coldkey": to}))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// Builds an epoch that divides so many rao by these shares.
    pub(crate) fn build(&self, epoch: u64, budget: u64, shares: &[(&Keypair, u64)]) {
        let miners: Vec<Value> = shares
            .iter()
            .map(|(miner, share)| json!({"hotkey": miner.hotkey(), "share_ppb": share}))
            .collect();
        let total: u64 = shares.iter().map(|(_, share)| share).sum();
        let snapshot = json!({"generated_at": "2026-01-01T00:00:00Z", "share_total": total,
            "reward_policy": {}, "eligible_miners": miners});
        let file = self.directory.path().join("snapshot.json");
        std::fs::write(file, snapshot.to_string()).unwrap();
        let built = Command::new(program())
            .args(["epoch", "build", &epoch.to_string()])
            .args(["--contract", &CONTRACT.to_string()])
            .args(["--snapshot", "snapshot.json"])
            .args(["--budget-rao", &budget.to_string()])
            .current_dir(self.directory.path())
            .output()
            .unwrap();
        assert!(built.status.success(), "{built:?}");
    }
}

impl Drop for PoolProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that passes on what another answers, changed, and counts how often it
/// is asked for the list of epochs.
pub(crate) struct Front {
    pub(crate) url: String,
    lists: Arc<AtomicUsize>,
}

impl Front {
    /// `change` gets the path and the answer; what it gives is served.
    pub(crate) async fn of(
        real: &str,
        change: impl Fn(&str, Response<String>) -> Response<String> + Clone + Send + Sync + 'static,
    ) -> Self {
        let lists = Arc::new(AtomicUsize::new(0));
        let (real, count) = (real.to_owned(), Arc::clone(&lists));
        // One for all: making one reads the machine's certificates.
        let http = reqwest::Client::new();
        let pass = move |request: Request| {
            let (real, change, count) = (real.clone(), change.clone(), Arc::clone(&count));
            let http = http.clone();
            async move {
                let path = request.uri().path().to_owned();
                if path == "/claims/epochs" {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                let got = http.get(format!("{real}{path}")).send().await;
                let (status, text) = match got {
                    Ok(got) => (got.status(), got.text().await.unwrap()),
                    Err(_) => (StatusCode::BAD_GATEWAY, String::new()),
                };
                let mut answer = Response::new(text);
                *answer.status_mut() = status;
                change(&path, answer).into_response()
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(pass)).await });
        Self { url, lists }
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.lists.load(Ordering::Relaxed)
    }
}
