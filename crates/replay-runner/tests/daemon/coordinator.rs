//! A coordinator of the tests' own, for what no real one does on demand: error
//! statuses, nonsense, half answers, lies. Speaks HTTP over a plain socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use protocol::auth;
use serde_json::{Value, json};

/// A request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    /// Who signed it, if the signature is right and fresh.
    pub(crate) fn signer(&self) -> String {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let headers = auth::Headers {
            hotkey: self.header(auth::HOTKEY_HEADER).unwrap(),
            timestamp: self.header(auth::TIMESTAMP_HEADER).unwrap(),
            signature: self.header(auth::SIGNATURE_HEADER).unwrap(),
        };
        auth::Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            body: self.body.as_bytes(),
        }
        .authenticate(&headers, now.as_secs(), 300)
        .unwrap()
        .hotkey
        .to_string()
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A status with headers and a body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// These bytes, and the connection is cut.
    Cut(String),
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Status(status, Vec::new(), body.to_string())
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::Status(status, Vec::new(), body.to_owned())
    }
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// A running coordinator.
pub(crate) struct Coordinator {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Coordinator {
    /// Answers every request by `answer`, until the test ends.
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, all): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, all) = (Arc::clone(&answer), Arc::clone(&all));
                thread::spawn(move || serve(&stream, answer.as_ref(), &all));
            }
        });
        Self { address, seen }
    }

    /// Everything that was asked at `path` so far.
    pub(crate) fn asked(&self, path: &str) -> Vec<Request> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|request| request.path.contains(path))
            .cloned()
            .collect()
    }
}

fn serve(stream: &TcpStream, answer: &Answer, all: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        all.lock().unwrap().push(request.clone());
        let mut stream = stream;
        let (bytes, goes_on) = match answer(&request) {
            Reply::Cut(bytes) => (bytes, false),
            Reply::Status(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.extend([name, ": ", value.as_str(), "\r\n"]);
                }
                (format!("{head}\r\n{body}"), true)
            }
        };
        // A daemon that was killed hears nothing.
        let written = stream.write_all(bytes.as_bytes());
        if written.is_err() || !goes_on {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut parts = line.split_whitespace();
    let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut request = Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        body: String::new(),
        headers,
    };
    let length: u64 = request
        .header("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    reader.take(length).read_to_string(&mut request.body).ok()?;
    Some(request)
}

pub(crate) const JOB: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const SUBMISSION: &str = "22222222-2222-4222-8222-222222222222";

/// A job as an older coordinator serves it: no digests, no limits. It has nothing
/// to replay, so its result does not depend on the engine.
pub(crate) fn empty_job() -> Value {
    json!({
        "job_id": JOB, "submission_id": SUBMISSION,
        "submission": {"id": SUBMISSION, "task_id": "33333333-3333-4333-8333-333333333333",
            "base_ref": "main", "patch": "", "artifact_uri": null, "artifact_sha256": null,
            "artifact_size_bytes": null, "created_at": "2026-01-01T00:00:00Z"},
        "replay_spec": {"repository": "https://git.example/task.git", "base_ref": "main",
            "base_commit_sha": "0123456789012345678901234567890123456789", "setup_command": null,
            "benchmark_command": "make bench", "result_path": "result.json",
            "allowed_patch_paths": ["src/"], "metric_name": "loss", "metric_direction": "minimize",
            "ranking_mode": "scalar", "secondary_metric_name": null, "secondary_metric_direction": null,
            "validator_benchmark_env": {"TOKEN": "a-secret-value"}, "time_budget_seconds": 60,
            "max_patch_bytes": 262_144, "some_field_of_its_own": true},
    })
}

/// The row of [`JOB`] with this status.
pub(crate) fn row(status: &str) -> Value {
    json!({"id": JOB, "submission_id": SUBMISSION, "status": status, "observed_metrics": {}})
}

/// Offers [`empty_job`] until its result was answered with 200, and answers
/// results by `result`, which is told how many came before.
pub(crate) fn offering(
    result: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
) -> Coordinator {
    offering_job(empty_job(), result)
}

/// Offers `job` until its result was posted; the row says that it is an error.
pub(crate) fn offering_of(job: Value) -> Coordinator {
    offering_job(job, |_, _| Reply::json(200, &row("error")))
}

fn offering_job(
    job: Value,
    result: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
) -> Coordinator {
    let state = Arc::new(Mutex::new((0, false)));
    Coordinator::start(move |request| {
        let mut state = state.lock().unwrap();
        if request.path.ends_with("/result") {
            let reply = result(state.0, request);
            state.0 += 1;
            state.1 |= matches!(reply, Reply::Status(200, ..));
            return reply;
        }
        match request.path.as_str() {
            "/api/v1/validator/submissions/scan" if state.1 => {
                Reply::json(200, &json!({"jobs": []}))
            }
            "/api/v1/validator/submissions/scan" => Reply::json(200, &json!({"jobs": [job]})),
            "/api/v1/verifications" => Reply::json(200, &json!([])),
            _ => Reply::json(404, &json!({"detail": "Not Found"})),
        }
    })
}
