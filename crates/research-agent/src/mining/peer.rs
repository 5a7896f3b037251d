//! Evaluating another miner's submission: the same replay that validators do, in
//! the same sandbox, and what was observed is said and nothing else.

use protocol::hotkey::Keypair;
use protocol::{Code, Report, Sha256Digest, Status};
use replay_runner::artifact::{ArtifactSource, Declared};
use replay_runner::checkout::Source;
use replay_runner::patch::Patch;
use replay_runner::spec::Submission as Brought;
use serde::Serialize;
use serde_json::Value;

use crate::client::answers::Submission;
use crate::client::{Client, ClientError, Id};
use crate::failure::{Done, Failure};
use crate::lab::Lab;
use crate::task::ServedTask;

/// Whoever evaluates.
#[derive(Debug)]
pub(crate) struct Peer<'a> {
    pub(crate) client: &'a Client,
    pub(crate) keypair: &'a Keypair,
    pub(crate) lab: &'a Lab,
}

/// What was said of a submission.
#[derive(Debug, Serialize)]
pub(crate) struct Evaluated {
    /// `accepted` or `rejected`.
    pub(crate) status: Status,
    pub(crate) submission_id: Id,
    pub(crate) task_id: Id,
    pub(crate) code: Code,
    /// The coordinator's answer.
    pub(crate) evaluation: Value,
}

impl Peer<'_> {
    /// The submission of `task` that has waited longest for this peer.
    pub(crate) async fn next(&self, task: &ServedTask) -> Done<Option<Submission>> {
        let me = self.keypair.hotkey();
        for submission in self.client.pending(task.id).await? {
            if submission.miner_hotkey == Some(me) || submission.task_id != task.id {
                continue;
            }
            let said = self.client.peer_evaluations(submission.id).await?;
            if said.iter().all(|one| one.evaluator_hotkey != me) {
                return Ok(Some(self.client.submission(submission.id).await?));
            }
        }
        Ok(None)
    }

    /// Replays `submission` and says what was observed. Where nothing could be
    /// decided, nothing is said.
    pub(crate) async fn evaluate(
        &self,
        task: &ServedTask,
        source: Source,
        submission: &Submission,
    ) -> Done<Evaluated> {
        let brought = brought(submission)?;
        eprintln!(
            "replaying submission {} to {}",
            submission.id, task.task.slug
        );
        let report = self.lab.replay(task, source, brought).await?;
        if report.code == Code::Cancelled {
            return Err(Failure::Interrupted);
        }
        if report.status == Status::Error {
            return Err(anyhow::anyhow!(
                "nothing is decided about {}, so nothing is said of it: {}: {}",
                submission.id,
                report.code,
                report.message
            )
            .into());
        }
        let evaluation = self.say(submission.id, &report).await?;
        Ok(Evaluated {
            status: report.status,
            submission_id: submission.id,
            task_id: task.id,
            code: report.code,
            evaluation,
        })
    }

    async fn say(&self, submission: Id, report: &Report) -> Result<Value, ClientError> {
        let notes = format!("{}: {}", report.code, report.message);
        let status = report.status.to_string();
        let said = self
            .client
            .peer_evaluate(
                submission,
                &status,
                &report.observed_metrics,
                &notes,
                self.keypair,
            )
            .await;
        let Err(error) = said else { return said };
        // The answer to an earlier attempt was lost: what was said is there.
        let me = self.keypair.hotkey().to_string();
        let there = if error.is_status(409) {
            self.client.peer_evaluations(submission).await?
        } else {
            Vec::new()
        };
        let mine = there
            .into_iter()
            .find(|one| one.evaluator_hotkey.to_string() == me);
        mine.and_then(|one| serde_json::to_value(one).ok())
            .ok_or(error)
    }
}

/// What the coordinator says was submitted, if its digests agree with it and the
/// artifact is where a stranger's may be.
fn brought(submission: &Submission) -> Done<Brought> {
    let wrong = |problem: &str| {
        Failure::Refused(format!(
            "submission {}: {problem}; this is no honest coordinator",
            submission.id
        ))
    };
    let patch = submission
        .patch
        .as_deref()
        .filter(|patch| !patch.is_empty());
    let digest = patch.map(|patch| Sha256Digest::of(patch.as_bytes()));
    if submission.patch_sha256.is_some() && submission.patch_sha256 != digest {
        return Err(wrong("its patch is not the one of its digest"));
    }
    let artifact = match &submission.artifact_uri {
        None => None,
        Some(uri) if uri.starts_with("https://") => {
            let source = ArtifactSource::parse(uri).map_err(|error| wrong(&error.to_string()))?;
            let declared = Declared {
                sha256: submission.artifact_sha256,
                size_bytes: submission.artifact_size_bytes,
            };
            Some((source, declared))
        }
        Some(_) => return Err(wrong("its artifact is not at an https address")),
    };
    if patch.is_none() && artifact.is_none() {
        return Err(wrong("it has neither a patch nor an artifact"));
    }
    Ok(Brought {
        patch: patch.map(|patch| Patch::new(patch.as_bytes())),
        artifact,
        artifact_uri: submission.artifact_uri.clone(),
    })
}
