//! A coordinator in this process, and requests to it.

use anyhow::Context as _;
use coordinator::{AdminToken, App, Clock, Settings, Store, routes, server};
use protocol::auth::Request;
use protocol::hotkey::Keypair;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const ADMIN: &str = "a-token-for-the-load";

/// The coordinator and a client of it.
pub(crate) struct Service {
    pub(crate) app: App,
    http: reqwest::Client,
    base: String,
}

pub(crate) fn key(n: u8) -> Keypair {
    Keypair::from_seed(&[n; 32])
}

pub(crate) fn validator() -> Keypair {
    key(250)
}

impl Service {
    pub(crate) async fn start(database: &str) -> anyhow::Result<Self> {
        let token = AdminToken::new(ADMIN).context("the token is long enough")?;
        let mut settings = Settings::new(token);
        settings.requests_per_address = 1e9;
        settings.requests_per_hotkey = 1e9;
        settings.claims_per_task = i64::MAX;
        settings.validators = [validator().hotkey().to_string()].into();
        let bounds = server::Bounds::of(&settings);
        let app = App::new(Store::open(database).await?, settings, Clock::default());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
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

    /// Posts a task; its id.
    pub(crate) async fn task(&self, slug: &str) -> anyhow::Result<String> {
        let task = json!({
            "slug": slug, "title": "Load", "repository": "https://example.org/x.git", "base_ref": "1".repeat(40),
            "benchmark_command": "true", "allowed_patch_paths": ["src"], "metric_name": "score",
            "metric_direction": "maximize", "competition_mode": "standard", "time_budget_seconds": 1,
        });
        let request = self.http.post(format!("{}/api/v1/tasks", self.base));
        let request = request
            .header("X-Admin-Token", ADMIN)
            .body(task.to_string());
        let made: Value = request.send().await?.error_for_status()?.json().await?;
        Ok(made["id"].as_str().context("an id")?.to_owned())
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.base))
    }

    pub(crate) fn signed(
        &self,
        key: &Keypair,
        path: &str,
        body: &str,
    ) -> anyhow::Result<reqwest::RequestBuilder> {
        let request = Request {
            method: "POST",
            path,
            query: "",
            body: body.as_bytes(),
        };
        let now = self.app.clock.now().seconds().unsigned_abs();
        let headers = request.sign(key, now)?;
        Ok(self
            .http
            .post(format!("{}{path}", self.base))
            .header("X-Hotkey", headers.hotkey)
            .header("X-Timestamp", headers.timestamp)
            .header("X-Signature", headers.signature)
            .body(body.to_owned()))
    }
}
