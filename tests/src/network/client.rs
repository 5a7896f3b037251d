//! Requests to a coordinator, signed as the network's clients sign them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use protocol::Sha256Digest;
use protocol::auth;
use protocol::hotkey::Keypair;
use reqwest::blocking::RequestBuilder;
use serde_json::Value;

/// The key of whoever is called `name` in this process.
pub fn keypair(name: &str) -> Keypair {
    Keypair::from_seed(seed(name).as_bytes())
}

/// Its seed. Another process has others: on one host no two daemons run for one
/// hotkey, not even for that of a test whose daemon is still ending.
pub(super) fn seed(name: &str) -> Sha256Digest {
    Sha256Digest::of(format!("{name} of process {}", std::process::id()).as_bytes())
}

/// Talks to one coordinator.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::blocking::Client,
    base: String,
    admin_token: Option<String>,
}

/// What it answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; `Null` if it was no JSON.
    pub body: Value,
}

impl Answer {
    /// The body, if the status is one of success.
    pub fn success(self) -> Result<Value> {
        ensure!(
            (200..300).contains(&self.status),
            "the coordinator answered {}: {}",
            self.status,
            self.body
        );
        Ok(self.body)
    }
}

impl Client {
    /// A client of the coordinator at `base`.
    pub fn new(base: &str) -> Result<Self> {
        let http = reqwest::blocking::Client::builder()
            // A busy disk may keep a commit waiting for long.
            .timeout(Duration::from_mins(1))
            // A coordinator that is killed takes its connections with it.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self {
            http,
            base: base.to_owned(),
            admin_token: None,
        })
    }

    /// The same for its operator.
    #[must_use]
    pub(super) fn with_admin_token(self, token: String) -> Self {
        Self {
            admin_token: Some(token),
            ..self
        }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What everybody may read.
    pub fn get(&self, path: &str) -> Result<Value> {
        answer(self.http.get(self.url(path)))?.success()
    }

    /// A request of the operator.
    pub fn post_as_admin(&self, path: &str, body: &Value) -> Result<Value> {
        let token = self.admin_token.as_ref().context("no admin token")?;
        let request = self.http.post(self.url(path));
        let request = request.header("X-Admin-Token", token);
        answer(request.body(body.to_string()))?.success()
    }

    /// A request that `key` signs.
    pub fn post(&self, key: &Keypair, path: &str, body: &Value) -> Result<Answer> {
        let body = body.to_string();
        let request = auth::Request {
            method: "POST",
            path,
            query: "",
            body: body.as_bytes(),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let headers = request.sign(key, now)?;
        let request = self
            .http
            .post(self.url(path))
            .header(auth::HOTKEY_HEADER, headers.hotkey)
            .header(auth::TIMESTAMP_HEADER, headers.timestamp)
            .header(auth::SIGNATURE_HEADER, headers.signature);
        answer(request.body(body))
    }

    /// Everything at `path`, whose answers come in pages of a list.
    pub fn list(&self, path: &str) -> Result<Vec<Value>> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut next = format!("{path}{joint}limit=500");
        let mut all = Vec::new();
        loop {
            let response = self.http.get(self.url(&next)).send()?.error_for_status()?;
            let link = response
                .headers()
                .get("link")
                .and_then(|link| link.to_str().ok())
                .and_then(|link| link.split_once("rel=\"next\""))
                .and_then(|(head, _)| Some(head.rsplit('<').next()?.split('>').next()?.to_owned()));
            let page: Vec<Value> = serde_json::from_str(&response.text()?).context("a list")?;
            all.extend(page);
            match link {
                Some(link) => next = link,
                None => return Ok(all),
            }
        }
    }
}

fn answer(request: RequestBuilder) -> Result<Answer> {
    let response = request.send()?;
    let status = response.status().as_u16();
    let text = response.text()?;
    Ok(Answer {
        status,
        body: serde_json::from_str(&text).unwrap_or_default(),
    })
}
