//! One mining run: a workspace, a claim, attempts of an agent, each measured in
//! the sandbox, and a submission if one of them is better than what there is.

use std::path::PathBuf;

use protocol::hotkey::Keypair;
use protocol::{Code, Fault, Report, Status};
use replay_runner::artifact::{ArtifactSource, Declared};
use replay_runner::checkout::Source;
use replay_runner::patch::Patch;
use replay_runner::spec::Submission;
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::claim::HeldClaim;
use super::feedback::Feedback;
use super::references::references;
use super::{Work, submission_body};
use crate::agent::{Agent, AgentError};
use crate::client::answers::Metrics;
use crate::client::{Client, Id};
use crate::compare::{Point, improves};
use crate::failure::{Done, Failure};
use crate::lab::Lab;
use crate::submission_file::SubmissionFile;
use crate::task::ServedTask;
use crate::workspace::{Workspace, clone_at, write};

/// How a mining run goes.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where workspaces are made.
    pub(crate) workspace_root: PathBuf,
    /// Attempts of the agent.
    pub(crate) max_attempts: u32,
    /// How much better than the best an improvement must be.
    pub(crate) min_improvement: f64,
    /// What becomes of a workspace from which nothing was submitted.
    pub(crate) leftovers: Leftovers,
}

/// What becomes of a workspace from which nothing was submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leftovers {
    /// It stays, to be looked at.
    Kept,
    /// It goes: a loop would fill the disk.
    Removed,
}

/// Everything that a mining run needs.
#[derive(Debug)]
pub(crate) struct Miner<'a> {
    pub(crate) client: &'a Client,
    pub(crate) keypair: &'a Keypair,
    pub(crate) lab: &'a Lab,
    pub(crate) agent: &'a Agent,
    pub(crate) settings: Settings,
    pub(crate) cancel: &'a CancellationToken,
}

/// What came of a mining run.
#[derive(Debug, Serialize)]
pub(crate) struct Mined {
    /// `submitted` or `no_improvement`.
    pub(crate) status: &'static str,
    pub(crate) task_id: Id,
    pub(crate) task_slug: String,
    pub(crate) workspace: PathBuf,
    /// What came of each attempt.
    pub(crate) attempts: Vec<Feedback>,
    /// The coordinator's answer.
    pub(crate) submission: Option<Value>,
}

/// An attempt that is worth submitting.
struct Improvement {
    work: Work,
    file: SubmissionFile,
    metrics: Metrics,
}

impl Miner<'_> {
    /// Mines `task` once, from a clone of `source`.
    pub(crate) async fn mine_once(&self, task: &ServedTask, source: Source) -> Done<Mined> {
        if !task.is_live {
            let slug = &task.task.slug;
            return Err(Failure::Refused(format!("{slug} takes no claims now")));
        }
        let workspace = self.prepare(task, source).await?;
        let repo = local(&workspace)?;
        eprintln!("measuring the baseline of {}", task.task.slug);
        let to_beat = references(self.client, self.lab, task, &repo).await?;
        let description = format!("improving {} of {}", task.task.metric_name, task.task.slug);
        let claim = HeldClaim::make(self.client, task, &description, self.keypair).await?;
        let mut attempts = Vec::new();
        let found = self
            .attempts(task, &workspace, &repo, &to_beat, &mut attempts)
            .await;
        let submission = match found {
            Ok(Some(improvement)) => Some(self.submit(task, claim, improvement).await?),
            Ok(None) => {
                claim.give_back().await;
                self.tidy(&workspace);
                None
            }
            Err(failure) => {
                claim.give_back().await;
                return Err(failure);
            }
        };
        if let (Some(last), true) = (attempts.last_mut(), submission.is_some()) {
            last.status = "submitted";
            record(&workspace, last)?;
        }
        Ok(Mined {
            status: if submission.is_some() {
                "submitted"
            } else {
                "no_improvement"
            },
            task_id: task.id,
            task_slug: task.task.slug.clone(),
            workspace: workspace.directory,
            attempts,
            submission,
        })
    }

    fn tidy(&self, workspace: &Workspace) {
        if self.settings.leftovers == Leftovers::Removed {
            let _ = std::fs::remove_dir_all(&workspace.directory);
        }
    }

    async fn prepare(&self, task: &ServedTask, source: Source) -> Done<Workspace> {
        let onboarding = self.client.onboarding(task.id).await?;
        let name = format!("{}-{}", task.task.slug, uuid::Uuid::new_v4().simple());
        let workspace = Workspace::make(&self.settings.workspace_root.join(name))?;
        let cloned = clone_at(source, task.base_ref()?, &workspace.repo(), self.cancel).await;
        if cloned.is_err() {
            // Nothing in it is worth keeping.
            let _ = std::fs::remove_dir_all(&workspace.directory);
        }
        cloned?;
        workspace.describe(task, &onboarding)?;
        Ok(workspace)
    }

    /// Lets the agent try until an attempt is worth submitting, or no attempt is left.
    async fn attempts(
        &self,
        task: &ServedTask,
        workspace: &Workspace,
        repo: &Source,
        to_beat: &[Point],
        told: &mut Vec<Feedback>,
    ) -> Done<Option<Improvement>> {
        for attempt in 1..=self.settings.max_attempts {
            let before = told.last().map(Feedback::for_agent);
            eprintln!("attempt {attempt} of {}", self.settings.max_attempts);
            let tried = self
                .agent
                .attempt(workspace, task, before.as_deref(), self.cancel)
                .await;
            let judged = match tried {
                Err(AgentError::Interrupted) => return Err(Failure::Interrupted),
                Err(error) => Err(Feedback::new(attempt, "agent_failed", error.to_string())),
                Ok(()) => self.judge(attempt, task, workspace, repo, to_beat).await?,
            };
            let (feedback, found) = match judged {
                Ok((feedback, improvement)) => (feedback, Some(improvement)),
                Err(feedback) => (feedback, None),
            };
            feedback.tell();
            record(workspace, &feedback)?;
            told.push(feedback);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Measures what the agent left. Only what is wrong with this machine ends the run.
    async fn judge(
        &self,
        attempt: u32,
        task: &ServedTask,
        workspace: &Workspace,
        repo: &Source,
        to_beat: &[Point],
    ) -> Done<Result<(Feedback, Improvement), Feedback>> {
        let refused = |message: String| Ok(Err(Feedback::new(attempt, "refused", message)));
        let file = match SubmissionFile::read(&workspace.submission()) {
            Ok(file) => file,
            Err(error) => return refused(format!("{error:#}")),
        };
        let work = match Work::of(&workspace.repo(), task, None).await {
            Ok(work) => work,
            Err(error) => return refused(format!("{error:#}")),
        };
        if work.patch.is_empty() && file.artifact_uri.is_none() {
            return Ok(Err(Feedback::new(
                attempt,
                "nothing_changed",
                "no file of the repository is changed",
            )));
        }
        match work.check(&workspace.repo(), task, &file).await {
            Ok(()) => {}
            Err(Failure::Refused(message)) => return refused(message),
            Err(failure) => return Err(failure),
        }
        let submission = match submission(&work, &file) {
            Ok(submission) => submission,
            Err(message) => return refused(message),
        };
        let report = self.lab.replay(task, repo.clone(), submission).await?;
        stop_if_hopeless(&report)?;
        let point = Point::of(&task.task, &report.observed_metrics);
        let better = point.is_some_and(|point| {
            improves(&task.task, &point, to_beat, self.settings.min_improvement)
        });
        if report.status != Status::Accepted || !better {
            let message = "it runs, and is not better than the baseline and the best so far";
            return Ok(Err(Feedback::of_report(attempt, &report, message)));
        }
        let mut feedback = Feedback::of_report(
            attempt,
            &report,
            "it is better than the baseline and the best so far",
        );
        feedback.status = "improved";
        let metrics = report.observed_metrics;
        Ok(Ok((
            feedback,
            Improvement {
                work,
                file,
                metrics,
            },
        )))
    }

    async fn submit(
        &self,
        task: &ServedTask,
        claim: HeldClaim<'_>,
        found: Improvement,
    ) -> Done<Value> {
        let Improvement {
            work,
            mut file,
            metrics,
        } = found;
        let log = format!(
            "measured by the replay engine on the miner's machine: {}\n",
            serde_json::to_string(&metrics).map_err(anyhow::Error::from)?
        );
        file.execution_log.get_or_insert(log);
        // What was measured, not what an agent believes.
        file.claimed_metrics = metrics;
        let base = work.base.to_string();
        let body = submission_body(claim.id(), &base, &work.patch, &file)?;
        match claim.submit(&body).await {
            Ok(submitted) => Ok(submitted),
            // The agent took longer than a claim lives.
            Err(error) if error.is_status(409) && error.to_string().contains("expired") => {
                let claim = HeldClaim::make(self.client, task, &file.summary, self.keypair).await?;
                let body = submission_body(claim.id(), &base, &work.patch, &file)?;
                Ok(claim.submit(&body).await?)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn record(workspace: &Workspace, feedback: &Feedback) -> Done<()> {
    let text = serde_json::to_vec_pretty(feedback).map_err(anyhow::Error::from)?;
    Ok(write(&workspace.submission_result(), &text)?)
}

fn local(workspace: &Workspace) -> Done<Source> {
    let path = workspace.repo().display().to_string();
    Source::parse(&path, std::path::Path::new("/"))
        .map_err(|error| Failure::Refused(error.to_string()))
}

fn submission(work: &Work, file: &SubmissionFile) -> Result<Submission, String> {
    let artifact = match &file.artifact_uri {
        None => None,
        Some(uri) => {
            let source = ArtifactSource::parse(uri).map_err(|error| error.to_string())?;
            let declared = Declared {
                sha256: file.artifact_sha256,
                size_bytes: file.artifact_size_bytes,
            };
            Some((source, declared))
        }
    };
    Ok(Submission {
        patch: (!work.patch.is_empty()).then(|| Patch::new(work.patch.as_bytes())),
        artifact,
        artifact_uri: file.artifact_uri.clone(),
    })
}

/// Another attempt would end the same way.
fn stop_if_hopeless(report: &Report) -> Done<()> {
    if report.code == Code::Cancelled {
        return Err(Failure::Interrupted);
    }
    if report.status == Status::Error && report.fault == Some(Fault::Validator) {
        return Err(anyhow::anyhow!(
            "the sandbox cannot replay: {}: {}",
            report.code,
            report.message
        )
        .into());
    }
    Ok(())
}
