//! Why a server's answer is of no use.

use std::fmt;

use protocol::auth::AuthError;

use crate::terminal::plain;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// Has tasks, takes submissions.
    Coordinator,
    /// Has claims.
    Pool,
}

impl Server {
    /// The option that names its address.
    const fn option(self) -> &'static str {
        match self {
            Self::Coordinator => "--coordinator-url",
            Self::Pool => "--pool-url",
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Coordinator => "coordinator",
            Self::Pool => "pool",
        })
    }
}

/// Why a server's answer is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The address is none that is spoken to.
    #[error("{server} url {url:?}: {problem}")]
    Address {
        /// Whose.
        server: Server,
        /// As it was given.
        url: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The server understood, and says no.
    #[error("the {server} refuses ({status}{}): {detail}", code.as_deref().map(|code| format!(" {code}")).unwrap_or_default())]
    Refused {
        /// Who.
        server: Server,
        /// The status of the answer.
        status: u16,
        /// Our stable code, where the server has one.
        code: Option<String>,
        /// The sentence, escaped: a stranger wrote it.
        detail: String,
    },
    /// No usable answer, however often it was asked.
    #[error(
        "the {server} gave no usable answer in {attempts} attempt(s): {problem}; try again later, or look at {}", server.option()
    )]
    Unavailable {
        /// Who.
        server: Server,
        /// How often it was asked.
        attempts: u32,
        /// What happened last.
        problem: String,
    },
    /// More bytes than any honest answer has.
    #[error(
        "the answer to {what} has more than {limit} bytes and was not read further; this is no honest {server}"
    )]
    TooLarge {
        /// Who.
        server: Server,
        /// What was asked.
        what: String,
        /// The bound.
        limit: usize,
    },
    /// Not what the interface promises.
    #[error("the answer to {what} is not what it should be: {problem}")]
    Unexpected {
        /// What was asked.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The body or the query cannot be signed.
    #[error("the request cannot be signed: {0}")]
    Unsigned(#[from] AuthError),
    /// Somebody wants it to end.
    #[error("interrupted")]
    Interrupted,
}

impl ClientError {
    /// Whether the server refused with this status.
    pub(crate) fn is_status(&self, wanted: u16) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == wanted)
    }

    /// Reads a refusal. Clients of this network print `detail`.
    pub(super) fn refused(server: Server, status: u16, body: &[u8]) -> Self {
        let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let text = match &value["detail"] {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(fields) => fields
                .iter()
                .map(field_problem)
                .collect::<Vec<_>>()
                .join("; "),
            _ => "it does not say why".to_owned(),
        };
        Self::Refused {
            server,
            status,
            code: value["code"].as_str().map(plain),
            detail: plain(&text),
        }
    }
}

/// One entry of a 422: ours names `field`, others end `loc` with it.
fn field_problem(entry: &serde_json::Value) -> String {
    let field = entry["field"].as_str().or_else(|| {
        let place = entry["loc"].as_array()?;
        place.last()?.as_str()
    });
    let problem = entry["msg"].as_str().unwrap_or("is not right");
    match field {
        Some(field) => format!("{field}: {problem}"),
        None => problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_its_sentence_or_every_field_and_nothing_that_moves_a_cursor() {
        for (body, words) in [
            (
                r#"{"detail": "no such task", "code": "not_found"}"#,
                vec!["404 not_found", "no such task"],
            ),
            (
                r#"{"detail": [{"loc": ["body", "summary"], "msg": "is empty"}, {"field": "patch", "msg": "x"}]}"#,
                vec!["summary: is empty; patch: x"],
            ),
            ("<html>", vec!["does not say why"]),
            (r#"{"detail": "a\u001b[2Jb"}"#, vec!["refuses (404): a"]),
        ] {
            let text = ClientError::refused(Server::Coordinator, 404, body.as_bytes()).to_string();
            for word in words {
                assert!(text.contains(word), "{word:?} is not in {text:?}");
            }
            assert!(!text.contains('\u{1b}'), "{text:?}");
        }
    }
}
