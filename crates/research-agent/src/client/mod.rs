//! Talking to a coordinator or a pool over HTTP: signed where it must be, bounded
//! in what is read, patient with what passes. The server may lie; nothing that it
//! says becomes a path, a redirect or an endless wait.

pub(crate) mod answers;
mod error;
mod id;
mod requests;
mod retry;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::auth;
use protocol::hotkey::Keypair;
use reqwest::redirect;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use url::Url;

pub(crate) use error::{ClientError, Server};
pub(crate) use id::Id;
pub(crate) use retry::Retry;

/// What is read of an answer at most, unless a call says otherwise.
const ANSWER_BYTES: usize = 16 << 20;

/// A server, and how patiently it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    server: Server,
    http: reqwest::Client,
    base: Url,
    retry: Retry,
    cancel: CancellationToken,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    method: &'a str,
    path: String,
    query: String,
    body: Option<String>,
    signer: Option<&'a Keypair>,
    headers: Vec<(&'static str, String)>,
}

/// An answer of success.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The bytes, all of them.
    pub(crate) body: Vec<u8>,
    /// The query of the next page, where there is one.
    pub(crate) next_query: Option<String>,
    /// How often it was asked: after the first time, the coordinator may have
    /// done already what it is asked to do.
    pub(crate) attempts: u32,
    what: String,
}

impl<'a> Call<'a> {
    /// A public request without a body.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: "GET",
            path: path.into(),
            query: String::new(),
            body: None,
            signer: None,
            headers: Vec::new(),
        }
    }

    /// A signed request with a JSON body.
    pub(crate) fn post(
        path: impl Into<String>,
        body: &serde_json::Value,
        signer: &'a Keypair,
    ) -> Self {
        Self::get(path)
            .method("POST")
            .body(body.to_string())
            .signed(signer)
    }

    #[must_use]
    pub(crate) fn method(self, method: &'a str) -> Self {
        Self { method, ..self }
    }

    #[must_use]
    pub(crate) fn body(self, body: String) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    #[must_use]
    pub(crate) fn signed(self, signer: &'a Keypair) -> Self {
        Self {
            signer: Some(signer),
            ..self
        }
    }

    /// One more header.
    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// A raw query string.
    #[must_use]
    pub(crate) fn query(self, query: String) -> Self {
        Self { query, ..self }
    }

    fn what(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl Answer {
    /// The JSON in it.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        let unexpected = |problem: String| ClientError::Unexpected {
            what: self.what.clone(),
            problem: crate::terminal::plain(&problem),
        };
        let value = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| unexpected(error.to_string()))?;
        json.end().map_err(|error| unexpected(error.to_string()))?;
        Ok(value)
    }

    /// The text in it.
    pub(crate) fn text(self) -> Result<String, ClientError> {
        String::from_utf8(self.body).map_err(|_| ClientError::Unexpected {
            what: self.what,
            problem: "it is not UTF-8 text".to_owned(),
        })
    }
}

impl Client {
    /// A client of the server at `url`. Every wait ends when `cancel` is.
    pub(crate) fn new(
        server: Server,
        url: &str,
        timeout: Duration,
        retry: Retry,
        cancel: CancellationToken,
    ) -> Result<Self, ClientError> {
        let refuse = |problem| ClientError::Address {
            server,
            url: url.chars().take(200).collect(),
            problem,
        };
        let base = Url::parse(url).map_err(|_| refuse("is not an address; use https://HOST"))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(refuse("is not an http or https address"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(ClientError::Address {
                server,
                url: base.host_str().unwrap_or_default().to_owned(),
                problem: "carries a user name or password; leave them out",
            });
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(refuse("has a query or a fragment; name the service's root"));
        }
        let http = reqwest::Client::builder()
            .http1_only()
            // What is signed for one host is not handed to another.
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(timeout.min(Duration::from_secs(20)))
            .timeout(timeout)
            .user_agent(concat!(
                "bitsota-research-agent/",
                env!("CARGO_PKG_VERSION")
            ))
            .build()
            .map_err(|_| refuse("cannot be spoken to: no TLS on this machine"))?;
        Ok(Self {
            server,
            http,
            base,
            retry,
            cancel,
        })
    }

    /// Whether the coordinator is a process of this machine, as in tests and demos.
    pub(crate) fn is_on_this_machine(&self) -> bool {
        match self.base.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// The address of a path, for people.
    pub(crate) fn address(&self, path: &str) -> String {
        self.url(path, "").to_string()
    }

    /// Sends, waits and sends again as long as that can help.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Answer, ClientError> {
        let mut attempt = 1;
        loop {
            let sent = tokio::select! {
                sent = self.once(&call, attempt) => sent?,
                () = self.cancel.cancelled() => return Err(ClientError::Interrupted),
            };
            let (problem, retry_after) = match sent {
                Sent::Answered(answer) => return Ok(answer),
                Sent::NotNow {
                    problem,
                    retry_after,
                } => (problem, retry_after),
            };
            if attempt >= self.retry.attempts {
                return Err(ClientError::Unavailable {
                    server: self.server,
                    attempts: attempt,
                    problem,
                });
            }
            let pause = self.retry.pause(attempt, retry_after);
            eprintln!(
                "{}: {problem}; trying again in {:.1} s",
                call.what(),
                pause.as_secs_f64()
            );
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.cancel.cancelled() => return Err(ClientError::Interrupted),
            }
            attempt += 1;
        }
    }

    /// A client that still speaks after an interruption, briefly: to give back a
    /// claim.
    pub(crate) fn parting(&self) -> Self {
        Self {
            cancel: CancellationToken::new(),
            retry: Retry {
                attempts: 1,
                ..self.retry
            },
            ..self.clone()
        }
    }

    fn url(&self, path: &str, query: &str) -> Url {
        let mut url = self.base.clone();
        let root = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{root}{path}"));
        url.set_query((!query.is_empty()).then_some(query));
        url
    }

    async fn once(&self, call: &Call<'_>, attempts: u32) -> Result<Sent, ClientError> {
        let url = self.url(&call.path, &call.query);
        let method = reqwest::Method::from_bytes(call.method.to_ascii_uppercase().as_bytes())
            .map_err(|_| ClientError::Unexpected {
                what: call.what(),
                problem: "that is no HTTP method".to_owned(),
            })?;
        // Signed anew each time: a signature is accepted once, and for minutes.
        let headers = call
            .signer
            .map(|signer| sign(call, &url, signer))
            .transpose()?;
        let mut request = self.http.request(method, url).header("Accept", "*/*");
        if let Some(headers) = headers {
            request = request
                .header(auth::HOTKEY_HEADER, headers.hotkey)
                .header(auth::TIMESTAMP_HEADER, headers.timestamp)
                .header(auth::SIGNATURE_HEADER, headers.signature);
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = &call.body {
            request = request
                .header("Content-Type", "application/json")
                .body(body.clone());
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                return Ok(Sent::NotNow {
                    problem: innermost(&error),
                    retry_after: None,
                });
            }
        };
        let status = response.status().as_u16();
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let retry_after = retry::retry_after(header("retry-after").as_deref());
        let next_query = header("link").as_deref().and_then(next_query);
        let body = match self.read_body(&mut response, call).await? {
            Ok(body) => body,
            Err(problem) => {
                return Ok(Sent::NotNow {
                    problem,
                    retry_after,
                });
            }
        };
        match status {
            200..=299 => Ok(Sent::Answered(Answer {
                body,
                next_query,
                attempts,
                what: call.what(),
            })),
            300..=399 => Err(ClientError::Unexpected {
                what: call.what(),
                problem: format!(
                    "status {status}; redirects are not followed, so name the final address"
                ),
            }),
            _ if retry::is_temporary(status) => {
                let problem = ClientError::refused(self.server, status, &body).to_string();
                Ok(Sent::NotNow {
                    problem,
                    retry_after,
                })
            }
            _ => Err(ClientError::refused(self.server, status, &body)),
        }
    }

    /// The whole body, or what broke it off, which another attempt may mend.
    async fn read_body(
        &self,
        response: &mut reqwest::Response,
        call: &Call<'_>,
    ) -> Result<Result<Vec<u8>, String>, ClientError> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > ANSWER_BYTES => {
                    return Err(ClientError::TooLarge {
                        server: self.server,
                        what: call.what(),
                        limit: ANSWER_BYTES,
                    });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(Ok(body)),
                Err(error) => {
                    return Ok(Err(format!("the answer broke off: {}", innermost(&error))));
                }
            }
        }
    }
}

enum Sent {
    Answered(Answer),
    NotNow {
        problem: String,
        retry_after: Option<Duration>,
    },
}

fn sign(call: &Call<'_>, url: &Url, signer: &Keypair) -> Result<auth::Headers, ClientError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let request = auth::Request {
        method: call.method,
        // As it is sent, not as it was written: both sides sign what is on the wire.
        path: url.path(),
        query: url.query().unwrap_or_default(),
        body: call.body.as_deref().unwrap_or_default().as_bytes(),
    };
    Ok(request.sign(signer, now.map_or(0, |now| now.as_secs()))?)
}

/// The query of `Link: <…?QUERY>; rel="next"`. Of the address nothing but the
/// query is used, so that a page leads to no other place.
fn next_query(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let address = next.split_once('<')?.1.split_once('>')?.0;
    Some(address.split_once('?')?.1.to_owned())
}

/// What lies at the bottom of a chain of errors: the outer ones repeat the address.
fn innermost(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Result<Client, ClientError> {
        let retry = Retry {
            attempts: 1,
            first: Duration::ZERO,
        };
        let timeout = Duration::from_secs(1);
        Client::new(
            Server::Coordinator,
            url,
            timeout,
            retry,
            CancellationToken::new(),
        )
    }

    #[test]
    fn addresses_that_are_no_coordinator_are_refused_without_repeating_a_password() {
        for url in [
            "",
            "coordinator",
            "ftp://h",
            "file:///etc",
            "https://u:secret@h",
            "https://h?x=1",
            "https://h/#x",
        ] {
            let error = client(url).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_coordinator_below_a_path_is_asked_there() {
        let client = client("https://h/sub/").unwrap();
        assert_eq!(
            client.address("/api/v1/tasks"),
            "https://h/sub/api/v1/tasks"
        );
    }

    #[test]
    fn only_loopback_is_this_machine() {
        for (url, here) in [
            ("http://127.0.0.1:8080", true),
            ("http://localhost:8080", true),
            ("http://[::1]:8080", true),
            ("http://10.0.0.1", false),
            ("http://0.0.0.0", false),
            ("https://localhost.example", false),
            ("https://127.0.0.1.example", false),
        ] {
            assert_eq!(client(url).unwrap().is_on_this_machine(), here, "{url}");
        }
    }

    #[test]
    fn the_next_page_is_a_query_and_never_another_host() {
        assert_eq!(
            next_query("</api/v1/tasks?cursor=a%20b>; rel=\"next\"").as_deref(),
            Some("cursor=a%20b")
        );
        assert_eq!(
            next_query("<https://evil/x?cursor=1>; rel=\"next\"").as_deref(),
            Some("cursor=1")
        );
        assert_eq!(next_query("</x?cursor=1>; rel=\"prev\""), None);
        assert_eq!(next_query("rel=\"next\""), None);
    }
}
