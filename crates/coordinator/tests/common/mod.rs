//! A coordinator under test, over real HTTP and a real database, and a client
//! that signs as the network's clients do.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test binary uses its part, and a test may panic"
)]

pub mod postgres;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use coordinator::{AdminToken, App, Clock, Settings, Store, routes, server};
use protocol::auth;
use protocol::hotkey::Keypair;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub const ADMIN: &str = "a-token-for-tests-only";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A new, empty database; it is gone when this is dropped.
pub struct Database {
    pub url: String,
    _dir: Option<tempfile::TempDir>,
}

impl Database {
    pub fn new(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => {
                let dir = tempfile::tempdir_in(scratch()).unwrap();
                let url = format!("sqlite://{}/coordinator.db", dir.path().display());
                Self {
                    url,
                    _dir: Some(dir),
                }
            }
            Backend::Postgres => Self {
                url: postgres::new_database(),
                _dir: None,
            },
        }
    }
}

/// What is written to memory is as safe as it gets.
pub const FSYNC: &str = "off";

/// Memory where there is some: what is tested is never the disk's speed.
pub fn scratch() -> std::path::PathBuf {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// A coordinator on a port of its own.
pub struct Server {
    pub app: App,
    pub address: SocketAddr,
    pub database: Database,
    stop: CancellationToken,
    http: reqwest::Client,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json()
    }

    /// That this is a refusal with a status and a stable code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{body}");
        assert!(
            body["detail"].is_string() || body["detail"].is_array(),
            "{body}"
        );
    }

    /// That this is a 422 which names exactly these fields.
    #[track_caller]
    pub fn names_fields(&self, fields: &[&str]) {
        let body = self.expect(422);
        let mut named: Vec<&str> = body["detail"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["field"].as_str().unwrap())
            .collect();
        named.sort_unstable();
        named.dedup();
        let mut expected = fields.to_vec();
        expected.sort_unstable();
        assert_eq!(named, expected, "{body}");
    }
}

impl Server {
    pub async fn start(backend: Backend) -> Self {
        Self::with(backend, |_| {}).await
    }

    pub async fn with(backend: Backend, change: impl FnOnce(&mut Settings)) -> Self {
        Self::over(Database::new(backend), change).await
    }

    pub async fn over(database: Database, change: impl FnOnce(&mut Settings)) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter("off,coordinator=warn")
            .with_test_writer()
            .try_init();
        let mut settings = Settings::new(AdminToken::new(ADMIN).unwrap());
        settings.requests_per_address = 1e6;
        settings.requests_per_hotkey = 1e6;
        settings.validators = (200..=209).map(|n| key(n).hotkey().to_string()).collect();
        change(&mut settings);
        let bounds = server::Bounds::of(&settings);
        let store = Store::open(&database.url).await.unwrap();
        let app = App::new(store, settings, Clock::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(server::serve(
            listener,
            routes::service(app.clone()),
            bounds,
            stop.clone(),
        ));
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_mins(1))
            .build()
            .unwrap();
        Self {
            app,
            address,
            database,
            stop,
            http,
        }
    }

    /// A second coordinator over the same database.
    pub async fn sibling(&self) -> Self {
        let database = Database {
            url: self.database.url.clone(),
            _dir: None,
        };
        Self::over(database, |_| {}).await
    }

    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    pub fn now(&self) -> u64 {
        self.app.clock.now().seconds().unsigned_abs()
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        Reply {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub fn request(&self, method: Method, target: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(target))
    }

    pub async fn get(&self, target: &str) -> Reply {
        self.send(self.request(Method::GET, target)).await
    }

    pub async fn admin(&self, method: Method, target: &str, body: &Value) -> Reply {
        let request = self.request(method, target).header("X-Admin-Token", ADMIN);
        self.send(request.body(wire(body))).await
    }

    pub async fn admin_post(&self, target: &str, body: &Value) -> Reply {
        self.admin(Method::POST, target, body).await
    }

    /// A signed request whose body is another serialisation than the signed one.
    pub async fn post(&self, key: &Keypair, target: &str, body: &Value) -> Reply {
        self.post_text(key, target, &wire(body)).await
    }

    pub async fn post_text(&self, key: &Keypair, target: &str, body: &str) -> Reply {
        let headers = self.sign(key, "POST", target, body);
        self.send(with_headers(self.request(Method::POST, target), &headers).body(body.to_owned()))
            .await
    }

    pub fn sign(&self, key: &Keypair, method: &str, target: &str, body: &str) -> auth::Headers {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        auth::Request {
            method,
            path,
            query,
            body: body.as_bytes(),
        }
        .sign(key, self.now())
        .unwrap()
    }

    /// Creates a task; `change` edits what is posted.
    pub async fn task(&self, change: impl FnOnce(&mut Value)) -> Value {
        let mut task = task_json();
        change(&mut task);
        self.admin_post("/api/v1/tasks", &task).await.expect(201)
    }

    /// Claims and submits, and returns the submission.
    pub async fn submit(
        &self,
        miner: &Keypair,
        task: &Value,
        change: impl FnOnce(&mut Value),
    ) -> Value {
        self.try_submit(miner, task, change).await.expect(201)
    }

    pub async fn try_submit(
        &self,
        miner: &Keypair,
        task: &Value,
        change: impl FnOnce(&mut Value),
    ) -> Reply {
        let claim = self.claim(miner, task).await;
        let mut body = submission_json(&claim);
        change(&mut body);
        self.post(miner, "/api/v1/submissions", &body).await
    }

    pub async fn claim(&self, miner: &Keypair, task: &Value) -> Value {
        let target = format!("/api/v1/tasks/{}/claim", id(task));
        self.post(
            miner,
            &target,
            &json!({"claim_description": "faster sorting"}),
        )
        .await
        .expect(201)
    }

    /// Leases this submission's job and posts a result.
    pub async fn judge(&self, validator: &Keypair, submission: &Value, result: &Value) -> Reply {
        let lease = json!({"submission_id": id(submission)});
        let job = self
            .post(validator, "/api/v1/validator/jobs/claim", &lease)
            .await
            .expect(200);
        self.post_result(validator, &job, result).await
    }

    pub async fn post_result(&self, validator: &Keypair, job: &Value, result: &Value) -> Reply {
        let mut body = result.clone();
        body["submission_id"] = job["submission_id"].clone();
        let target = format!(
            "/api/v1/validator/jobs/{}/result",
            job["job_id"].as_str().unwrap()
        );
        self.post(validator, &target, &body).await
    }

    pub async fn accept(&self, validator: &Keypair, submission: &Value, score: f64) -> Value {
        self.judge(validator, submission, &accepted(score))
            .await
            .expect(200)
    }

    pub async fn status_of(&self, submission: &Value) -> Value {
        self.get(&format!("/api/v1/submissions/{}", id(submission)))
            .await
            .expect(200)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub fn with_headers(
    request: reqwest::RequestBuilder,
    headers: &auth::Headers,
) -> reqwest::RequestBuilder {
    request
        .header("X-Hotkey", &headers.hotkey)
        .header("X-Timestamp", &headers.timestamp)
        .header("X-Signature", &headers.signature)
}

/// As Python's `requests` would send it: with blanks, in insertion order.
fn wire(body: &Value) -> String {
    if body.is_null() {
        return String::new();
    }
    serde_json::to_string_pretty(body).unwrap()
}

/// The key of participant `n`; 200 to 209 are validators.
pub fn key(n: u8) -> Keypair {
    Keypair::from_seed(&[n; 32])
}

pub fn validator(n: u8) -> Keypair {
    key(200 + n)
}

pub fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

pub fn accepted(score: f64) -> Value {
    json!({"status": "accepted", "observed_metrics": {"score": score}, "notes": "", "replay_log": "ran"})
}

static COUNT: AtomicU8 = AtomicU8::new(0);

/// A standard task with a unique slug.
pub fn task_json() -> Value {
    let unique = format!(
        "{}-{}",
        COUNT.fetch_add(1, Ordering::Relaxed),
        uuid::Uuid::new_v4().simple()
    );
    json!({
        "slug": format!("sort-{unique}"), "title": "Sort faster", "brief": "Make it fast.",
        "repository": "https://example.org/sort.git", "base_ref": "1".repeat(40),
        "setup_command": "make", "benchmark_command": "python bench.py", "result_path": "result.json",
        "allowed_patch_paths": ["src"], "metric_name": "score", "metric_direction": "maximize",
        "competition_mode": "standard", "time_budget_seconds": 60,
    })
}

/// A patch that no other call makes.
pub fn patch() -> String {
    let unique = uuid::Uuid::new_v4();
    format!(
        "diff --git a/src/a.py b/src/a.py\n--- a/src/a.py\n+++ b/src/a.py\n@@ -1 +1 @@\n-x\n+{unique}\n"
    )
}

pub fn submission_json(claim: &Value) -> Value {
    json!({
        "claim_id": id(claim), "base_ref": "main", "patch": patch(), "summary": "A faster sort",
        "claimed_metrics": {"score": 1.5}, "execution_log": "ran locally",
    })
}

/// Runs each test on both databases.
#[allow(unused_macros)]
macro_rules! on_both_databases {
    ($($name:ident,)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::common::Backend::Sqlite).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::common::Backend::Postgres).await;
            })+
        }
    };
}
