//! Kills the real process again and again under mixed load, and looks whether an
//! answered write is there and an unanswered one is whole or not there at all.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{
    ADMIN, Backend, Database, id, key, submission_json, task_json, validator, with_headers,
};
use protocol::hotkey::Keypair;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sqlx::Row as _;

/// How often the process is killed; the environment may ask for another number.
const KILLS: usize = 50;

/// What was answered with success, by table: all of it must be in the database.
#[derive(Default)]
struct Answered {
    claims: BTreeSet<String>,
    submissions: BTreeSet<String>,
    results: BTreeSet<String>,
}

struct Process {
    child: Child,
    base: String,
}

impl Process {
    fn start(database: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coordinator"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--database", database])
            .args([
                "--requests-per-hotkey",
                "1e6",
                "--requests-per-address",
                "1e6",
                "--claims-per-task",
                "1000000",
            ])
            .env("COORDINATOR_ADMIN_TOKEN", ADMIN)
            .env("RUST_LOG", "off")
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        for n in 0..4 {
            command.args(["--validator", &validator(n).hotkey().to_string()]);
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let base = line
            .trim()
            .strip_prefix("listening on ")
            .expect("it starts")
            .to_owned();
        Self { child, base }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A signed request; `None` if the process died before it answered whole.
async fn post(
    http: &Client,
    base: &str,
    key: &Keypair,
    path: &str,
    body: &Value,
) -> Option<(u16, Value)> {
    let text = body.to_string();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let request = protocol::auth::Request {
        method: "POST",
        path,
        query: "",
        body: text.as_bytes(),
    };
    let headers = request.sign(key, now).unwrap();
    let sent = with_headers(
        http.request(Method::POST, format!("{base}{path}")),
        &headers,
    )
    .body(text);
    let answer = sent.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((
        status,
        serde_json::from_slice(&answer.bytes().await.ok()?).ok()?,
    ))
}

/// One miner's life, until the process is gone.
async fn mine(
    http: Client,
    base: String,
    n: u8,
    task: String,
    answered: Arc<Mutex<Answered>>,
    done: Arc<AtomicU64>,
) {
    let key = key(n);
    loop {
        let path = format!("/api/v1/tasks/{task}/claim");
        let Some((201, claim)) = post(
            &http,
            &base,
            &key,
            &path,
            &json!({"claim_description": "x"}),
        )
        .await
        else {
            return;
        };
        answered
            .lock()
            .unwrap()
            .claims
            .insert(id(&claim).to_owned());
        let Some((201, made)) = post(
            &http,
            &base,
            &key,
            "/api/v1/submissions",
            &submission_json(&claim),
        )
        .await
        else {
            return;
        };
        answered
            .lock()
            .unwrap()
            .submissions
            .insert(id(&made).to_owned());
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// One validator's life, until the process is gone.
async fn validate(http: Client, base: String, n: u8, answered: Arc<Mutex<Answered>>) {
    let key = validator(n);
    loop {
        match post(
            &http,
            &base,
            &key,
            "/api/v1/validator/jobs/claim",
            &json!({}),
        )
        .await
        {
            Some((200, job)) => {
                let path = format!(
                    "/api/v1/validator/jobs/{}/result",
                    job["job_id"].as_str().unwrap()
                );
                let score = f64::from(job["job_id"].as_str().unwrap().as_bytes()[0]);
                let result = json!({"submission_id": job["submission_id"], "status": "accepted", "observed_metrics": {"score": score}});
                match post(&http, &base, &key, &path, &result).await {
                    Some((200, row)) => {
                        answered.lock().unwrap().results.insert(id(&row).to_owned());
                    }
                    Some((409, _)) => {}
                    _ => return,
                }
            }
            Some((404, _)) => tokio::time::sleep(Duration::from_millis(5)).await,
            _ => return,
        }
    }
}

async fn nothing_answered_is_lost_and_nothing_is_half_written(backend: Backend) {
    let kills = std::env::var("CRASH_TEST_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(KILLS);
    let database = Database::new(backend);
    let answered = Arc::new(Mutex::new(Answered::default()));
    let http = Client::builder()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap();
    let process = Process::start(&database.url);
    let create = http
        .post(format!("{}/api/v1/tasks", process.base))
        .header("X-Admin-Token", ADMIN);
    let task: Value = create
        .body(task_json().to_string())
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let task = id(&task).to_owned();
    process.kill();
    let began = Instant::now();
    for round in 0..kills {
        let process = Process::start(&database.url);
        let done = Arc::new(AtomicU64::new(0));
        let mut lives = tokio::task::JoinSet::new();
        for n in 1..=4 {
            lives.spawn(mine(
                http.clone(),
                process.base.clone(),
                n,
                task.clone(),
                answered.clone(),
                done.clone(),
            ));
        }
        for n in 0..2 {
            lives.spawn(validate(
                http.clone(),
                process.base.clone(),
                n,
                answered.clone(),
            ));
        }
        // Under load first, and then at another moment of it each time.
        let deadline = Instant::now() + Duration::from_secs(20);
        while done.load(Ordering::Relaxed) < 4 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_micros((round as u64) * 7919 % 40_000)).await;
        process.kill();
        while lives.join_next().await.is_some() {}
    }
    let answered = std::mem::take(&mut *answered.lock().unwrap());
    let counts = check(&database.url, &answered, kills).await;
    println!(
        "{backend:?}: {kills} kills in {:?}; {counts}",
        began.elapsed()
    );
}

/// Reads the database as it is, without any coordinator.
async fn check(url: &str, answered: &Answered, kills: usize) -> String {
    let store = coordinator::Store::open(url).await.unwrap();
    let mut conn = store.read().await.unwrap();
    let mut ids = async |sql: &'static str| -> BTreeSet<String> {
        let rows = sqlx::query(sql).fetch_all(&mut *conn).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let claims = ids("SELECT id FROM claims").await;
    let submissions = ids("SELECT id FROM submissions").await;
    let results = ids("SELECT id FROM verifications WHERE status = 'accepted'").await;
    assert!(
        answered.claims.is_subset(&claims),
        "an answered claim is lost"
    );
    assert!(
        answered.submissions.is_subset(&submissions),
        "an answered submission is lost"
    );
    assert!(
        answered.results.is_subset(&results),
        "an answered result is lost"
    );
    assert!(
        answered.submissions.len() > 3 * kills && !answered.results.is_empty(),
        "there was load"
    );
    for (what, sql) in [
        (
            "a submission whose claim is not used up",
            "SELECT s.id FROM submissions s JOIN claims c ON c.id = s.claim_id WHERE c.status <> 'submitted'",
        ),
        (
            "a used claim without a submission",
            "SELECT c.id FROM claims c LEFT JOIN submissions s ON s.claim_id = c.id WHERE c.status = 'submitted' AND s.id IS NULL",
        ),
        (
            "a submission without its event",
            "SELECT id FROM submissions WHERE id NOT IN (SELECT subject FROM events WHERE action = 'submission.created')",
        ),
        (
            "a claim without its event",
            "SELECT id FROM claims WHERE id NOT IN (SELECT subject FROM events WHERE action = 'claim.created')",
        ),
        (
            "an event without its submission",
            "SELECT subject FROM events WHERE action = 'submission.created' AND subject NOT IN (SELECT id FROM submissions)",
        ),
        (
            "a result that decided nothing",
            "SELECT v.id FROM verifications v JOIN submissions s ON s.id = v.submission_id WHERE v.status = 'accepted' AND s.status <> 'accepted'",
        ),
        (
            "a decision without a result",
            "SELECT id FROM submissions s WHERE status = 'accepted' AND NOT EXISTS (SELECT 1 FROM verifications v WHERE v.submission_id = s.id AND v.status = 'accepted')",
        ),
        (
            "a submission decided twice",
            "SELECT subject FROM events WHERE action = 'submission.accepted' GROUP BY subject HAVING COUNT(*) > 1",
        ),
        (
            "two that are best at once",
            "SELECT task_id FROM bests WHERE left_at IS NULL GROUP BY task_id HAVING COUNT(*) > 1",
        ),
    ] {
        let found = ids(sql).await;
        assert!(found.is_empty(), "{what}: {found:?}");
    }
    format!(
        "{} claims, {} submissions, {} results, all whole",
        claims.len(),
        submissions.len(),
        results.len()
    )
}

on_both_databases! {
    nothing_answered_is_lost_and_nothing_is_half_written,
}
