//! One signed request and its bounded answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::auth::{HOTKEY_HEADER, Request, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use protocol::hotkey::Keypair;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, Response, redirect};
use serde_json::Value;
use url::Url;

use super::error::{ClientError, plain};

/// An error answer is read as far as this.
const ERROR_BYTES: usize = 64 << 10;
/// Longer than this, nobody is asked to wait.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// A connection that signs.
#[derive(Debug)]
pub struct Transport {
    base: Url,
    keypair: Keypair,
    http: reqwest::Client,
}

impl Transport {
    /// Requests to `base`, each of which may take `timeout` in all.
    pub fn new(base: &Url, timeout: Duration, keypair: Keypair) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            // What is signed is signed for one place.
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            // Below what servers leave an idle connection: one that closes it while the
            // next request is on its way would look as if it were down.
            .pool_idle_timeout(Duration::from_secs(10))
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .timeout(timeout)
            .user_agent(concat!("replay-runner/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientError::Request(innermost(&error)))?;
        Ok(Self {
            base: base.clone(),
            keypair,
            http,
        })
    }

    /// The address of the signer.
    pub fn hotkey(&self) -> String {
        self.keypair.hotkey().to_string()
    }

    /// A signed POST. The answer is JSON text of at most `limit` bytes.
    pub async fn post(
        &self,
        path: &str,
        body: String,
        limit: usize,
    ) -> Result<String, ClientError> {
        self.send(Method::POST, path, "", body, limit).await
    }

    /// A signed GET.
    pub async fn get(&self, path: &str, query: &str, limit: usize) -> Result<String, ClientError> {
        self.send(Method::GET, path, query, String::new(), limit)
            .await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: String,
        limit: usize,
    ) -> Result<String, ClientError> {
        let signed = Request {
            method: method.as_str(),
            path,
            query,
            body: body.as_bytes(),
        }
        .sign(&self.keypair, unix_seconds())
        .map_err(|error| ClientError::Request(error.to_string()))?;
        let mut url = self.base.clone();
        url.set_path(path);
        url.set_query((!query.is_empty()).then_some(query));
        let mut request = self
            .http
            .request(method, url)
            .header(HOTKEY_HEADER, signed.hotkey)
            .header(TIMESTAMP_HEADER, signed.timestamp)
            .header(SIGNATURE_HEADER, signed.signature);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request
            .send()
            .await
            .map_err(|error| ClientError::Unreachable(innermost(&error)))?;
        let status = response.status();
        if status.is_success() {
            return read(response, limit).await;
        }
        let retry_after = retry_after(&response);
        // What an error says is for people: half of it will do.
        let text = read(response, ERROR_BYTES).await.unwrap_or_default();
        let (code, detail) = problem(&text);
        Err(ClientError::Refused {
            status: status.as_u16(),
            code,
            detail,
            retry_after,
        })
    }
}

/// The whole body, if it is no longer than `limit`.
async fn read(mut response: Response, limit: usize) -> Result<String, ClientError> {
    let too_long = || ClientError::Protocol(format!("an answer of more than {limit} bytes"));
    if response
        .content_length()
        .is_some_and(|length| length > limit as u64)
    {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > limit => return Err(too_long()),
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return Err(ClientError::Unreachable(innermost(&error))),
        }
    }
    String::from_utf8(bytes).map_err(|_| ClientError::Protocol("text that is not UTF-8".to_owned()))
}

/// The code and the detail of an error answer.
fn problem(text: &str) -> (Option<String>, String) {
    let Ok(Value::Object(body)) = serde_json::from_str(text) else {
        return (None, plain(text));
    };
    let code = body.get("code").and_then(Value::as_str).map(plain);
    let detail = match body.get("detail") {
        Some(Value::String(detail)) => plain(detail),
        Some(other) => plain(&other.to_string()),
        None => plain(text),
    };
    (code, detail)
}

fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let seconds: u64 = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// The cause of all, without the address that each layer repeats.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    plain(&cause.to_string())
}

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
