//! One request to one node: JSON-RPC 2.0 over HTTP.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Endpoint;
use crate::error::one_line;

/// The longest answer that is read. Metadata, the longest that is asked for, has
/// less than 1 MiB as hex digits.
const MAX_ANSWER_BYTES: usize = 32 << 20;

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) endpoint: Endpoint,
    http: reqwest::Client,
    next_id: AtomicU64,
}

/// Why one node gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NodeError {
    /// It could not be reached, was too slow, or what it sent is no answer. Whether
    /// it took the request is not known.
    #[error("{0}")]
    Transport(String),
    /// It answered with an error.
    #[error("{message} (code {code})")]
    Answered {
        /// JSON-RPC's number of the error.
        code: i64,
        /// Its words, with its details.
        message: String,
    },
    /// It is a node of another chain.
    #[error("it is a node of another chain: its first block is {found}, not {expected}")]
    OtherChain {
        /// Its genesis block.
        found: String,
        /// The one that was asked for.
        expected: String,
    },
}

#[derive(Serialize)]
struct Request<'a> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: &'a RawValue,
}

#[derive(Deserialize)]
struct Answer<'a> {
    id: u64,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<RpcError<'a>>,
}

#[derive(Deserialize)]
struct RpcError<'a> {
    code: i64,
    message: String,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

impl Node {
    pub(crate) fn new(endpoint: Endpoint, timeout: Duration) -> Result<Self, NodeError> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .timeout(timeout)
            .user_agent(concat!("subtensor/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| transport(&error))?;
        Ok(Self {
            endpoint,
            http,
            next_id: AtomicU64::new(1),
        })
    }

    /// Asks once.
    pub(crate) async fn ask(
        &self,
        method: &str,
        params: &RawValue,
    ) -> Result<Box<RawValue>, NodeError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = Request {
            jsonrpc: "2.0",
            id,
            method,
            params,
        };
        let body = serde_json::to_vec(&request)
            .map_err(|error| NodeError::Transport(one_line(&error.to_string())))?;
        let mut response = self
            .http
            .post(self.endpoint.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await
            .map_err(|error| transport(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(NodeError::Transport(format!("it answered HTTP {status}")));
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| transport(&error))? {
            if answer.len() + chunk.len() > MAX_ANSWER_BYTES {
                let problem = format!("its answer has more than {MAX_ANSWER_BYTES} bytes");
                return Err(NodeError::Transport(problem));
            }
            answer.extend_from_slice(&chunk);
        }
        read(&answer, id)
    }
}

/// Reads an answer to request `id`.
fn read(answer: &[u8], id: u64) -> Result<Box<RawValue>, NodeError> {
    let malformed = |problem: &str| NodeError::Transport(format!("its answer is {problem}"));
    let answer: Answer =
        serde_json::from_slice(answer).map_err(|_| malformed("no JSON-RPC answer"))?;
    if answer.id != id {
        return Err(malformed("to another request"));
    }
    match (answer.result, answer.error) {
        (None, Some(error)) => Err(NodeError::Answered {
            code: error.code,
            message: one_line(&match error.data {
                None => error.message,
                Some(data) => format!("{}: {}", error.message, data.get()),
            }),
        }),
        (Some(result), None) => Ok(result.to_owned()),
        // `"result": null` is an answer, but serde makes `None` of it.
        (None, None) => Ok(RawValue::NULL.to_owned()),
        (Some(_), Some(_)) => Err(malformed("a result and an error at once")),
    }
}

/// The innermost cause: the outer ones repeat the address, which may hold a key.
fn transport(error: &reqwest::Error) -> NodeError {
    if error.is_timeout() {
        return NodeError::Transport("it did not answer in time".to_owned());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    NodeError::Transport(one_line(&cause.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_and_null_are_answers() {
        let result = |text: &str| read(text.as_bytes(), 7).map(|raw| raw.get().to_owned());
        assert_eq!(
            result(r#"{"jsonrpc":"2.0","id":7,"result":"0x00"}"#).unwrap(),
            "\"0x00\""
        );
        assert_eq!(result(r#"{"id":7,"result":null}"#).unwrap(), "null");
    }

    #[test]
    fn an_error_keeps_its_code_and_its_details_in_one_line() {
        let text = r#"{"id":7,"error":{"code":1010,"message":"Invalid\nTransaction","data":"Custom error: 6"}}"#;
        let error = read(text.as_bytes(), 7).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Invalid Transaction: \"Custom error: 6\" (code 1010)"
        );
    }

    #[test]
    fn what_is_no_answer_to_this_request_is_none() {
        for text in [
            "",
            "null",
            "[]",
            "{}",
            "<html>",
            r#"{"id":8,"result":1}"#,
            r#"{"id":"7","result":1}"#,
            r#"{"id":7,"result":1,"result":2}"#,
            r#"{"id":7,"result":1,"error":{"code":1,"message":"x"}}"#,
            r#"{"id":7,"error":{}}"#,
            r#"{"id":7,"result":1} x"#,
            "\u{0}\u{ff}",
        ] {
            let error = read(text.as_bytes(), 7).expect_err(text);
            assert!(matches!(error, NodeError::Transport(_)), "{text}");
        }
    }
}
