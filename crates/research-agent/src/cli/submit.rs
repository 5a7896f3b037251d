//! `submit`: from a workspace to a submission, in one step.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::options::{NetworkArgs, WalletArgs};
use crate::client::Id;
use crate::failure::{Done, Ended};
use crate::mining::{HeldClaim, Work, submission_body};
use crate::submission_file::SubmissionFile;
use crate::terminal::{Output, plain};
use crate::workspace::Workspace;

/// Claim, check with the validators' gate, sign and submit a workspace
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bitsota-research-agent submit
  bitsota-research-agent submit sort-faster --claim-id CLAIM

What the gate would refuse is refused here, before anything is claimed or signed (exit status 3).")]
pub(crate) struct SubmitArgs {
    /// The workspace that `init` made
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,

    /// A claim that you hold [default: a new one]
    #[arg(long, value_name = "CLAIM")]
    claim_id: Option<Id>,

    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    wallet: WalletArgs,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &SubmitArgs, cancel: &CancellationToken) -> Done {
    let workspace = Workspace::at(&args.dir)?;
    let task = workspace.task()?;
    let file = SubmissionFile::read(&workspace.submission())?;
    let work = Work::of(&workspace.repo(), &task, None).await?;
    work.check(&workspace.repo(), &task, &file).await?;
    let client = args.network.client(cancel)?;
    let keypair = args.wallet.keypair()?;
    let claim = match args.claim_id {
        Some(id) => HeldClaim::given(id, &client, &keypair),
        None => HeldClaim::make(&client, &task, &file.summary, &keypair).await?,
    };
    let body = submission_body(claim.id(), &work.base.to_string(), &work.patch, &file)?;
    let submitted = claim.submit(&body).await?;
    Output::new(args.json).print(&submitted, |submitted: &Value| told(submitted))?;
    Ok(Ended::Well)
}

/// What became of a submission, for a person.
pub(super) fn told(submitted: &Value) -> String {
    let text = |field: &str| plain(submitted[field].as_str().unwrap_or("-"));
    format!(
        "submitted {}: {}\nnext: bitsota-research-agent watch {}",
        text("id"),
        text("status"),
        text("id")
    )
}
