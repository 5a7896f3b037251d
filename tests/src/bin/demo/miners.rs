//! The miners of the demo: who submits what, and how the coordinator takes it.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use protocol::hotkey::Keypair;
use protocol::{Sha256Digest, Task};
use serde_json::{Map, Value, json};
use system_tests::fixtures::{Case, Kind};

use crate::client::{Answer, Client};

/// Who made an honest submission, in turn; the last makes the others.
const NAMES: [&str; 4] = ["alice", "bob", "carol", "mallory"];

/// Ideas that another miner takes up: the task, whose submission proposes it,
/// what it says, and whose submission implements it.
const IDEAS: &[(&str, &str, &str, &str)] = &[(
    "digits-frontier",
    "larger-steps",
    "put a few principal components in front of the regression",
    "principal-components",
)];

/// A hotkey with a name.
pub(crate) struct Miner {
    pub(crate) name: &'static str,
    key: Keypair,
}

/// How the coordinator took a submission.
#[derive(Debug, Clone)]
pub(crate) enum Taken {
    /// It waits for a validator.
    Pending {
        /// Its id.
        id: String,
    },
    /// It is not even stored.
    Refused {
        /// The outcome code that the first wrong field names.
        code: String,
    },
    /// This miner has submitted the same content before.
    Repeated,
}

/// All miners.
pub(crate) struct Miners {
    all: Vec<Miner>,
    honest_so_far: usize,
    ideas: BTreeMap<(String, String), String>,
}

impl Miners {
    pub(crate) fn new() -> Self {
        let miner = |name: &'static str| Miner {
            name,
            key: Keypair::from_seed(Sha256Digest::of(name.as_bytes()).as_bytes()),
        };
        Self {
            all: NAMES.map(miner).into(),
            honest_so_far: 0,
            ideas: BTreeMap::new(),
        }
    }

    /// The name behind a hotkey.
    pub(crate) fn name_of(&self, hotkey: &str) -> String {
        let found = self
            .all
            .iter()
            .find(|miner| miner.key.hotkey().to_string() == hotkey);
        found.map_or_else(|| hotkey.to_owned(), |miner| miner.name.to_owned())
    }

    /// Claims the task and submits `case`. Who did, and how it was taken.
    pub(crate) fn submit(
        &mut self,
        client: &Client,
        task_id: &str,
        task: &Task,
        case: &Case,
    ) -> Result<(&'static str, Taken)> {
        let is_hostile = case.submission.kind == Kind::Hostile;
        let honest = NAMES.len() - 1;
        let number = if is_hostile {
            honest
        } else {
            self.honest_so_far += 1;
            (self.honest_so_far - 1) % honest
        };
        let body = self.body(task, case)?;
        // Some fixtures have equal content: nobody submits that twice, but
        // another miner may.
        for offset in 0..self.all.len() {
            let miner = &self.all[(number + offset) % self.all.len()];
            let taken = miner.submit(client, task_id, body.clone())?;
            match &taken {
                Taken::Repeated => continue,
                Taken::Pending { id } => {
                    let place = (case.task.clone(), case.name.clone());
                    self.ideas.insert(place, id.clone());
                }
                Taken::Refused { .. } => {}
            }
            return Ok((miner.name, taken));
        }
        bail!("every miner has submitted what {} is", case.name)
    }

    fn body(&self, task: &Task, case: &Case) -> Result<Map<String, Value>> {
        let submission = &case.submission;
        let mut body = Map::new();
        body.insert("base_ref".to_owned(), json!("main"));
        body.insert("summary".to_owned(), json!(submission.summary));
        body.insert("claimed_metrics".to_owned(), claimed(task, submission.kind));
        let mut idea = "see whether a change elsewhere helps as much";
        for (slug, from, text, by) in IDEAS {
            if *slug == case.task && *from == case.name {
                idea = text;
            }
            let place = ((*slug).to_owned(), (*from).to_owned());
            if *slug == case.task
                && *by == case.name
                && let Some(id) = self.ideas.get(&place)
            {
                body.insert("implemented_submission_id".to_owned(), json!(id));
            }
        }
        body.insert("proposed_idea".to_owned(), json!(idea));
        if let Some(patch) = &submission.patch {
            let path = case.dir.join(patch);
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            body.insert("patch".to_owned(), json!(text));
        }
        if let Some(artifact) = &submission.artifact {
            let uri = format!("file://{}", case.dir.join(artifact).display());
            body.insert("artifact_uri".to_owned(), json!(uri));
            body.insert(
                "artifact_sha256".to_owned(),
                json!(submission.artifact_sha256.map(|digest| digest.to_string())),
            );
            let size = submission.artifact_size_bytes;
            body.insert("artifact_size_bytes".to_owned(), json!(size));
        }
        Ok(body)
    }
}

/// The honest claim nothing that they have not measured; the others, the best
/// that the task lets anybody have.
fn claimed(task: &Task, kind: Kind) -> Value {
    let range = &task.metric_range;
    let bound = match task.metric_direction {
        protocol::task::Direction::Minimize => &range.min,
        protocol::task::Direction::Maximize => &range.max,
    };
    match (kind, bound) {
        (Kind::Hostile, Some(bound)) => json!({ task.metric_name.clone(): bound.value() }),
        _ => json!({}),
    }
}

impl Miner {
    fn submit(
        &self,
        client: &Client,
        task_id: &str,
        mut body: Map<String, Value>,
    ) -> Result<Taken> {
        let path = format!("/api/v1/tasks/{task_id}/claim");
        let claim = json!({"claim_description": body["summary"]}).to_string();
        let claim = client.post(&self.key, &path, claim)?.success()?;
        let claim_id = claim["id"].as_str().context("the claim has no id")?;
        body.insert("claim_id".to_owned(), json!(claim_id));
        let body = Value::Object(body).to_string();
        let answer = client.post(&self.key, "/api/v1/submissions", body)?;
        if answer.status != 422 && answer.body["code"] != "duplicate_submission" {
            let made = answer.success()?;
            let id = made["id"].as_str().context("the submission has no id")?;
            return Ok(Taken::Pending { id: id.to_owned() });
        }
        let cancel = format!("/api/v1/claims/{claim_id}/cancel");
        client.post(&self.key, &cancel, String::new())?.success()?;
        if answer.status != 422 {
            return Ok(Taken::Repeated);
        }
        Ok(Taken::Refused {
            code: refused_code(&answer)?,
        })
    }
}

/// The outcome code of a refusal: what the gate of the replay would have said.
fn refused_code(answer: &Answer) -> Result<String> {
    let text = answer.body["detail"][0]["msg"].as_str().unwrap_or_default();
    let (code, _) = text.split_once(':').unwrap_or((text, ""));
    ensure!(
        code.parse::<protocol::Code>().is_ok(),
        "a submission was refused for another reason: {}",
        answer.body
    );
    Ok(code.to_owned())
}
