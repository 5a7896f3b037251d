//! What a miner does: claims a task and submits, whatever happens on the way.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use protocol::hotkey::Keypair;
use serde_json::{Value, json};

use super::client::{Answer, Client};

/// How long somebody tries.
const PATIENCE: Duration = Duration::from_mins(3);

/// What is submitted.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// One line; the tests find a submission by it.
    pub summary: String,
    /// The patch; empty for an artifact alone.
    pub patch: String,
    /// Address, digest and size of an artifact.
    pub artifact: Option<(String, String, u64)>,
}

/// Claims the task and submits; again and again while the coordinator is away.
/// The submission's id, or the answer that refused it.
pub fn submit(
    client: &Client,
    key: &Keypair,
    task_id: &str,
    content: &Content,
) -> Result<Result<String, Value>> {
    let start = Instant::now();
    let claim = json!({"claim_description": content.summary});
    let path = format!("/api/v1/tasks/{task_id}/claim");
    let claim = patiently(start, || client.post(key, &path, &claim))?.success()?;
    let claim_id = claim["id"].as_str().context("a claim has an id")?;
    let mut body = json!({
        "claim_id": claim_id, "base_ref": "main", "patch": content.patch, "summary": content.summary,
        "claimed_metrics": {}, "proposed_idea": "try something else next",
    });
    if let Some((uri, sha256, size)) = &content.artifact {
        body["artifact_uri"] = json!(uri);
        body["artifact_sha256"] = json!(sha256);
        body["artifact_size_bytes"] = json!(size);
    }
    let answer = patiently(start, || {
        let answer = client.post(key, "/api/v1/submissions", &body)?;
        // The answer to an earlier try may have been lost.
        Ok(
            match (answer.status, by_claim(client, task_id, claim_id)?) {
                (409, Some(found)) => Answer {
                    status: 200,
                    body: found,
                },
                _ => answer,
            },
        )
    })?;
    if answer.status == 422 {
        return Ok(Err(answer.body));
    }
    let made = answer.success()?;
    let id = made["id"].as_str().context("a submission has an id")?;
    Ok(Ok(id.to_owned()))
}

fn by_claim(client: &Client, task_id: &str, claim_id: &str) -> Result<Option<Value>> {
    let all = client.list(&format!("/api/v1/submissions?task_id={task_id}"))?;
    Ok(all.into_iter().find(|one| one["claim_id"] == claim_id))
}

/// Tries until there is an answer that is not the coordinator's trouble.
pub fn patiently(start: Instant, ask: impl Fn() -> Result<Answer>) -> Result<Answer> {
    loop {
        let trouble = match ask() {
            Ok(answer) if answer.status < 500 && answer.status != 429 => return Ok(answer),
            Ok(answer) => format!("{answer:?}"),
            Err(error) => format!("{error:#}"),
        };
        if start.elapsed() > PATIENCE {
            bail!("the coordinator gives no usable answer: {trouble}");
        }
        thread::sleep(Duration::from_millis(200));
    }
}
