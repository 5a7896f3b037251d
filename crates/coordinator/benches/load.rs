//! Measures the coordinator against the cost that nothing can avoid: one sr25519
//! verification for each signed request, on the same machine in the same run.
//!
//! `cargo bench -p coordinator --bench load -- --database URL [--seconds N]
//! [--rows N]`, one JSON object on standard output.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use coordinator::{AdminToken, App, Clock, Settings, Store, routes, server};
use protocol::auth::{Headers, Request};
use protocol::hotkey::Keypair;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const ADMIN: &str = "a-token-for-the-benchmark";

/// Signed submissions per second, and latencies of the large reads.
#[derive(Debug, Parser)]
struct Options {
    /// An empty database.
    #[arg(long)]
    database: String,
    /// How long submissions are sent.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How many submissions there are when the reads are measured.
    #[arg(long, default_value_t = 100_000)]
    rows: i64,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
    /// How many clients send at once.
    #[arg(long, default_value_t = 32)]
    clients: u8,
}

struct Bench {
    app: App,
    http: reqwest::Client,
    base: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let verifications = bare_verifications(Duration::from_secs(2));
    let bench = Bench::start(&options).await?;
    let task = bench.task("bench").await?;
    let submissions = bench.submissions(&task, &options).await?;
    bench.fill(&task, options.rows).await?;
    let validator = key(250);
    let worklist = bench
        .latencies(|| bench.signed(&validator, "/api/v1/validator/submissions/scan", "{}"))
        .await?;
    let catalog = bench
        .latencies(|| bench.get("/api/v1/submissions?limit=100"))
        .await?;
    let tasks = bench.latencies(|| bench.get("/api/v1/tasks")).await?;
    let snapshot = bench
        .latencies(|| bench.get("/api/v1/reward-snapshot"))
        .await?;
    let report = json!({
        "database": options.database.split(':').next(),
        "bare_sr25519_verifications_per_second": verifications.round(),
        "signed_submissions_per_second": submissions.round(),
        "ratio": (submissions / verifications * 1000.0).round() / 1000.0,
        "rows": options.rows,
        "worklist_ms": worklist, "submissions_page_ms": catalog, "tasks_ms": tasks, "snapshot_ms": snapshot,
    });
    println!("{report:#}");
    Ok(())
}

fn key(n: u8) -> Keypair {
    Keypair::from_seed(&[n; 32])
}

/// One thread that does nothing but verify.
fn bare_verifications(time: Duration) -> f64 {
    let request = Request {
        method: "POST",
        path: "/api/v1/submissions",
        query: "",
        body: br#"{"a":1}"#,
    };
    let headers = request
        .sign(&key(1), 1_000_000)
        .unwrap_or_else(|_| unreachable!("a plain request"));
    let borrowed = Headers {
        hotkey: headers.hotkey.as_str(),
        timestamp: &headers.timestamp,
        signature: &headers.signature,
    };
    let (began, mut count) = (Instant::now(), 0.0);
    while began.elapsed() < time {
        let right = request.authenticate(&borrowed, 1_000_000, 300).is_ok();
        count += f64::from(u8::from(std::hint::black_box(right)));
    }
    count / began.elapsed().as_secs_f64()
}

impl Bench {
    async fn start(options: &Options) -> anyhow::Result<Self> {
        let token = AdminToken::new(ADMIN).context("the token is long enough")?;
        let mut settings = Settings::new(token);
        settings.requests_per_address = 1e9;
        settings.requests_per_hotkey = 1e9;
        settings.claims_per_task = i64::MAX;
        settings.validators = [key(250).hotkey().to_string()].into();
        let store = Store::open(&options.database).await?;
        let app = App::new(store, settings, Clock::default());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let bounds = server::Bounds::of(&app.settings);
        let router = routes::service(app.clone());
        tokio::spawn(server::serve(
            listener,
            router,
            bounds,
            CancellationToken::new(),
        ));
        Ok(Self {
            app,
            http: reqwest::Client::new(),
            base,
        })
    }

    async fn task(&self, slug: &str) -> anyhow::Result<String> {
        let task = json!({
            "slug": slug, "title": "Bench", "repository": "https://example.org/x.git", "base_ref": "1".repeat(40),
            "benchmark_command": "true", "allowed_patch_paths": ["src"], "metric_name": "score",
            "metric_direction": "maximize", "competition_mode": "standard", "time_budget_seconds": 1,
        });
        let request = self
            .http
            .post(format!("{}/api/v1/tasks", self.base))
            .header("X-Admin-Token", ADMIN);
        let made: Value = request
            .body(task.to_string())
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        Ok(made["id"].as_str().context("an id")?.to_owned())
    }

    fn signed(&self, key: &Keypair, path: &str, body: &str) -> reqwest::RequestBuilder {
        let request = Request {
            method: "POST",
            path,
            query: "",
            body: body.as_bytes(),
        };
        let now = self.app.clock.now().seconds().unsigned_abs();
        let headers = request
            .sign(key, now)
            .unwrap_or_else(|_| unreachable!("a plain request"));
        self.http
            .post(format!("{}{path}", self.base))
            .header("X-Hotkey", headers.hotkey)
            .header("X-Timestamp", headers.timestamp)
            .header("X-Signature", headers.signature)
            .body(body.to_owned())
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.base))
    }

    /// Claims are made first and not counted; then everybody submits.
    async fn submissions(&self, task: &str, options: &Options) -> anyhow::Result<f64> {
        let mut clients = tokio::task::JoinSet::new();
        let count = Arc::new(AtomicU64::new(0));
        let start = Arc::new(tokio::sync::Barrier::new(usize::from(options.clients) + 1));
        let until = Duration::from_secs(options.seconds);
        for n in 1..=options.clients {
            let claims = self.claims(task, &key(n), options.seconds * 400).await?;
            let requests: Vec<_> = claims
                .iter()
                .map(|claim| self.submission(&key(n), claim))
                .collect();
            let (count, start) = (count.clone(), start.clone());
            clients.spawn(async move {
                start.wait().await;
                let began = Instant::now();
                for request in requests {
                    if began.elapsed() > until {
                        break;
                    }
                    if request
                        .send()
                        .await
                        .is_ok_and(|answer| answer.status() == 201)
                    {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        start.wait().await;
        let began = Instant::now();
        while clients.join_next().await.is_some() {}
        #[expect(clippy::cast_precision_loss, reason = "a count for people")]
        Ok(count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
    }

    /// Claims straight into the database, so that only submissions are measured.
    async fn claims(&self, task: &str, key: &Keypair, count: u64) -> anyhow::Result<Vec<String>> {
        use coordinator::store::{
            claims,
            rows::{ClaimRow, ClaimStatus},
        };
        let (task, hotkey, now) = (
            task.to_owned(),
            key.hotkey().to_string(),
            self.app.clock.now(),
        );
        let ids: Vec<String> = (0..count)
            .map(|_| uuid::Uuid::new_v4().to_string())
            .collect();
        let made = ids.clone();
        self.app
            .store
            .write(move |conn| {
                Box::pin(async move {
                    for id in made {
                        let claim = ClaimRow {
                            id,
                            task_id: task.clone(),
                            miner_hotkey: hotkey.clone(),
                            claim_description: "bench".to_owned(),
                            base_submission_id: None,
                            work_item_id: None,
                            status: ClaimStatus::Active,
                            expires_at: now.plus_seconds(2700),
                            created_at: now,
                            updated_at: now,
                        };
                        claims::insert(conn, &claim).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(ids)
    }

    fn submission(&self, key: &Keypair, claim: &str) -> reqwest::RequestBuilder {
        let patch = format!(
            "diff --git a/src/a b/src/a\n--- a/src/a\n+++ b/src/a\n@@ -1 +1 @@\n-x\n+{}\n",
            uuid::Uuid::new_v4()
        );
        let body = json!({"claim_id": claim, "base_ref": "main", "patch": patch, "summary": "bench", "claimed_metrics": {"score": 1.0}});
        self.signed(key, "/api/v1/submissions", &body.to_string())
    }

    /// Fills up to `rows`: one in ten pending, the rest accepted by 1,000 miners.
    async fn fill(&self, task: &str, rows: i64) -> anyhow::Result<()> {
        let series = match self.app.store.dialect() {
            coordinator::store::Dialect::Postgres => {
                "SELECT generate_series AS n FROM generate_series(1, $2)"
            }
            coordinator::store::Dialect::Sqlite => {
                "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < $2) SELECT n FROM c"
            }
        };
        let claims = format!(
            "INSERT INTO claims SELECT 'c' || n, $1, 'm' || (n % 1000), 'x', NULL, NULL, 'submitted', 0, n, n FROM ({series}) AS s"
        );
        let submissions = format!(
            "INSERT INTO submissions SELECT 's' || n, 'c' || n, $1, 'm' || (n % 1000), \
             CASE WHEN n % 10 = 0 THEN 'pending_verification' ELSE 'accepted' END, 'waiting', 'main', 'bench', '{{}}', \
             NULL, NULL, NULL, 100, NULL, NULL, NULL, 'd' || n, NULL, NULL, '{{\"score\":1}}', NULL, \
             $3, $3 + n, $3, 'patch', '', '{{}}' FROM ({series}) AS s"
        );
        let standings = "INSERT INTO standings SELECT task_id, miner_hotkey, MIN(id), COUNT(*) FROM submissions \
             WHERE task_id = $1 AND status = 'accepted' GROUP BY task_id, miner_hotkey";
        let (task, now) = (task.to_owned(), self.app.clock.now());
        self.app
            .store
            .write(move |conn| {
                Box::pin(async move {
                    for sql in [claims, submissions] {
                        sqlx::query(sqlx::AssertSqlSafe(sql))
                            .bind(task.clone())
                            .bind(rows)
                            .bind(now.micros() - rows - 1_000_000)
                            .execute(&mut *conn)
                            .await?;
                    }
                    sqlx::query(standings)
                        .bind(task)
                        .execute(&mut *conn)
                        .await?;
                    Ok(())
                })
            })
            .await?;
        sqlx::query("ANALYZE")
            .execute(self.app.store.reads())
            .await?;
        Ok(())
    }

    async fn latencies(
        &self,
        request: impl Fn() -> reqwest::RequestBuilder,
    ) -> anyhow::Result<Value> {
        let mut times = Vec::new();
        for round in 0..220 {
            let began = Instant::now();
            let bytes = request()
                .send()
                .await?
                .error_for_status()?
                .bytes()
                .await?
                .len();
            if round >= 20 {
                times.push((began.elapsed().as_secs_f64() * 1e3, bytes));
            }
        }
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        let at = |part: usize| (times[times.len() * part / 100].0 * 100.0).round() / 100.0;
        Ok(json!({"p50": at(50), "p99": at(99), "bytes": times[0].1}))
    }
}
