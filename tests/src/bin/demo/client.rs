//! Requests to a coordinator, signed as the network's clients sign them.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use protocol::auth;
use protocol::hotkey::Keypair;
use reqwest::blocking::RequestBuilder;
use serde_json::Value;

/// Talks to one coordinator.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::blocking::Client,
    base: String,
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The body, if the status is one of success.
    pub(crate) fn success(self) -> Result<Value> {
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
    pub(crate) fn new(base: &str) -> Result<Self> {
        Ok(Self {
            http: reqwest::blocking::Client::builder().build()?,
            base: base.to_owned(),
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What everybody may read.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        answer(self.http.get(self.url(path)))?.success()
    }

    /// A request of the operator.
    pub(crate) fn post_as_admin(&self, token: &str, path: &str, body: &Value) -> Result<Value> {
        let request = self
            .http
            .post(self.url(path))
            .header("X-Admin-Token", token);
        answer(request.body(body.to_string()))?.success()
    }

    /// A request that `key` signs.
    pub(crate) fn post(&self, key: &Keypair, path: &str, body: String) -> Result<Answer> {
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
}

fn answer(request: RequestBuilder) -> Result<Answer> {
    let response = request.send()?;
    let status = response.status().as_u16();
    let text = response.text()?;
    let body = serde_json::from_str(&text)
        .with_context(|| format!("the coordinator answered {status}, and no JSON: {text}"))?;
    Ok(Answer { status, body })
}
