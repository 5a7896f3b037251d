//! `init`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::options::{LabArgs, NetworkArgs, TaskArgs};
use crate::failure::{Done, Ended, Failure};
use crate::terminal::Output;
use crate::workspace::{Workspace, clone_at};

/// Prepare a workspace for a task
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  bitsota-research-agent init sort-faster
  bitsota-research-agent init sort-faster --dir second-try

Makes a directory with
  repo/              a clone at the pinned commit, on a branch named work
  ONBOARDING.md      what the task wants, and how
  submission.json    to be filled in
  task.json          the task, for dry-run and submit")]
pub(crate) struct InitArgs {
    /// The task's slug or id
    #[arg(value_name = "TASK")]
    task: String,

    /// The directory to make [default: the task's slug]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    lab: LabArgs,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &InitArgs, cancel: &CancellationToken) -> Done {
    let client = args.network.client(cancel)?;
    let task = TaskArgs::named(&args.task).one(&client).await?;
    // The rules for tasks make a slug a plain name; nothing else becomes a path.
    let directory = args
        .dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(&task.task.slug));
    if directory.join("repo").exists() {
        return Err(Failure::Refused(format!(
            "{} is a workspace already, and it is not overwritten; name another with --dir",
            directory.display()
        )));
    }
    let onboarding = client.onboarding(task.id).await?;
    let source = args.lab.source(&task, &client)?;
    let reference = task.base_ref()?;
    let workspace = Workspace::make(&directory)?;
    eprintln!("cloning {} at {reference}", task.task.slug);
    let commit = clone_at(source, reference, &workspace.repo(), cancel).await?;
    workspace.describe(&task, &onboarding)?;
    workspace.write_skeleton(&task)?;
    let made = json!({
        "directory": workspace.directory, "repo": workspace.repo(), "task_id": task.id,
        "task_slug": task.task.slug, "base_commit": commit,
    });
    Output::new(args.json).print(&made, |_| {
        format!(
            "{} is ready. Next:\n  cd {}\n  read ONBOARDING.md, change files in repo, fill in submission.json\n  bitsota-research-agent dry-run",
            task.task.slug,
            directory.display()
        )
    })?;
    Ok(Ended::Well)
}
