//! An agent that is a model behind an OpenAI-compatible endpoint
//! (`POST BASE/chat/completions`). It sees files and answers with files; nothing
//! that it writes is run outside the sandbox.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::prompt::{INSTRUCTIONS, prompt};
use super::reply::Reply;
use super::{Agent, AgentError};
use crate::task::ServedTask;
use crate::terminal::plain;
use crate::workspace::Workspace;

/// What is read of an answer at most.
const ANSWER_BYTES: usize = 16 << 20;
/// Requests of one attempt: endpoints are often busy.
const ATTEMPTS: u32 = 4;

/// A model and where it is.
#[derive(Clone)]
pub(crate) struct ModelAgent {
    http: reqwest::Client,
    url: url::Url,
    model: String,
    key: Option<Zeroizing<String>>,
    limit: Duration,
}

impl fmt::Debug for ModelAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelAgent({} at {})", self.model, self.url)
    }
}

impl Agent {
    /// A model at `base`, such as `https://api.example/v1`; one attempt may take
    /// as long as `limit`.
    pub(crate) fn model(
        base: &str,
        model: &str,
        key: Option<&str>,
        limit: Duration,
    ) -> Result<Self, String> {
        let refuse = |problem: &str| format!("--llm-base-url {base:?}: {problem}");
        let mut url = url::Url::parse(base).map_err(|_| refuse("is not an address"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refuse("is not an http or https address"));
        }
        let path = format!("{}/chat/completions", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let http = reqwest::Client::builder()
            // The key is for this host and no other.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(Duration::from_secs(20))
            .timeout(limit)
            .build()
            .map_err(|_| refuse("cannot be spoken to: no TLS on this machine"))?;
        Ok(Self::Model(ModelAgent {
            http,
            url,
            model: model.to_owned(),
            key: key.map(|key| Zeroizing::new(key.to_owned())),
            limit,
        }))
    }
}

impl ModelAgent {
    pub(super) async fn attempt(
        &self,
        workspace: &Workspace,
        task: &ServedTask,
        feedback: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<(), AgentError> {
        let failed =
            |problem: String| AgentError::Failed(format!("(the model {}) {problem}", self.model));
        let prompt =
            prompt(workspace, task, feedback).map_err(|error| failed(format!("{error:#}")))?;
        let answer = tokio::select! {
            answer = tokio::time::timeout(self.limit, self.complete(&prompt)) => match answer {
                Ok(answer) => answer.map_err(failed)?,
                Err(_) => return Err(AgentError::TimedOut(self.limit.as_secs_f64())),
            },
            () = cancel.cancelled() => return Err(AgentError::Interrupted),
        };
        let unusable = |problem: String| {
            failed(format!(
                "gave an answer that cannot be used: {}",
                plain(&problem)
            ))
        };
        let reply = Reply::find(&answer).map_err(unusable)?;
        reply.apply(workspace, task).map_err(unusable)
    }

    async fn complete(&self, prompt: &str) -> Result<String, String> {
        let body = json!({
            "model": self.model,
            "messages": [
                {"role": "system", "content": INSTRUCTIONS},
                {"role": "user", "content": prompt},
            ],
        })
        .to_string();
        let mut wait = Duration::from_secs(1);
        for attempt in 1.. {
            let problem = match self.once(&body).await? {
                Ok(answer) => return Ok(answer),
                Err(NotNow { problem, .. }) if attempt == ATTEMPTS => return Err(problem),
                Err(NotNow {
                    retry_after,
                    problem,
                }) => {
                    wait = retry_after.unwrap_or(wait * 2).min(Duration::from_mins(1));
                    problem
                }
            };
            eprintln!(
                "the model {problem}; trying again in {:.0} s",
                wait.as_secs_f64()
            );
            tokio::time::sleep(wait).await;
        }
        Err("was not asked".to_owned())
    }

    /// The text of the answer; or what may pass; or, outside, what will not.
    async fn once(&self, body: &str) -> Result<Result<String, NotNow>, String> {
        let mut request = self
            .http
            .post(self.url.clone())
            .header("Content-Type", "application/json")
            .body(body.to_owned());
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.as_str());
        }
        let Ok(mut response) = request.send().await else {
            return Ok(Err(NotNow::because("could not be reached", None)));
        };
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok());
        let retry_after = retry_after
            .and_then(|text| text.trim().parse().ok())
            .map(Duration::from_secs);
        let mut answer = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if answer.len() + chunk.len() > ANSWER_BYTES => {
                    return Err(format!("answered with more than {ANSWER_BYTES} bytes"));
                }
                Ok(Some(chunk)) => answer.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(_) => {
                    return Ok(Err(NotNow::because("broke its answer off", None)));
                }
            }
        }
        let value: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let content = value["choices"][0]["message"]["content"].as_str();
        match (status, content) {
            (200..=299, Some(content)) => Ok(Ok(content.to_owned())),
            (200..=299, None) => Err("answered without choices[0].message.content".to_owned()),
            (429 | 500..=599, _) => Ok(Err(NotNow::because(
                format!("answered with status {status}"),
                retry_after,
            ))),
            _ => {
                let why = value["error"]["message"]
                    .as_str()
                    .unwrap_or("it does not say why");
                Err(format!("refuses with status {status}: {}", plain(why)))
            }
        }
    }
}

struct NotNow {
    problem: String,
    retry_after: Option<Duration>,
}

impl NotNow {
    fn because(problem: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self {
            problem: problem.into(),
            retry_after,
        }
    }
}
