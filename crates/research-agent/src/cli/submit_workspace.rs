//! `submit-workspace`: for a claim that is held already.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::options::CommonArgs;
use super::submit::told;
use crate::client::{Client, Id};
use crate::failure::{Done, Ended, Failure};
use crate::mining::{Work, submission_body};
use crate::submission_file::SubmissionFile;
use crate::task::ServedTask;
use crate::terminal::Output;

/// Submit a repository for a claim that you hold
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  bitsota-research-agent submit-workspace --coordinator-url https://coordinator.example \\
      --claim-id CLAIM --repo-dir work --submission-file submission.json

The patch is everything that differs from the base commit, committed or not. What the gate of the
validators would refuse is refused here, before it is signed (exit status 3).")]
pub(crate) struct SubmitWorkspaceArgs {
    #[command(flatten)]
    common: CommonArgs,

    /// The claim
    #[arg(long, value_name = "CLAIM")]
    claim_id: Id,

    /// The clone with your changes
    #[arg(long, value_name = "DIR")]
    repo_dir: PathBuf,

    /// What you say of them
    #[arg(long, value_name = "FILE")]
    submission_file: PathBuf,

    /// What the patch is made against [default: the task's pinned commit]
    #[arg(long, value_name = "REF")]
    base_ref: Option<String>,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &SubmitWorkspaceArgs, cancel: &CancellationToken) -> Done {
    let client = args.common.network.client(cancel)?;
    let keypair = args.common.wallet.keypair()?;
    let file = SubmissionFile::read(&args.submission_file)?;
    let task = task_of_claim(&client, args.claim_id, &args.common.task).await?;
    let work = Work::of(&args.repo_dir, &task, args.base_ref.as_deref()).await?;
    work.check(&args.repo_dir, &task, &file).await?;
    let base_ref = args
        .base_ref
        .clone()
        .unwrap_or_else(|| work.base.to_string());
    let body = submission_body(args.claim_id, &base_ref, &work.patch, &file)?;
    let submitted = client.submit(&body, args.claim_id, &keypair).await?;
    Output::new(args.json).print(&submitted, |submitted: &Value| told(submitted))?;
    Ok(Ended::Well)
}

/// The task that a claim is on. There is no route for one claim: it is found in
/// the list.
async fn task_of_claim(
    client: &Client,
    claim: Id,
    named: &super::options::TaskArgs,
) -> Done<ServedTask> {
    if named.task_id.is_some() || named.task_slug.is_some() {
        return named.one(client).await;
    }
    let claims = client.claims(None, Some("active")).await?;
    let found = claims.iter().find(|one| one["id"] == claim.to_string());
    let task = found.and_then(|one| one["task_id"].as_str()?.parse::<Id>().ok());
    match task {
        Some(id) => Ok(ServedTask::read(client.task(id).await?)?),
        None => Err(Failure::Refused(format!(
            "there is no active claim {claim}; `claims` shows yours"
        ))),
    }
}
