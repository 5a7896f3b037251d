//! `dry-run`.

use std::path::{Path, PathBuf};

use clap::Args;
use protocol::{Report, Status};
use replay_runner::artifact::{ArtifactSource, Declared};
use replay_runner::checkout::Source;
use replay_runner::patch::Patch;
use replay_runner::spec::Submission;
use tokio_util::sync::CancellationToken;

use super::options::LabArgs;
use crate::failure::{Done, Ended, Failure};
use crate::mining::Work;
use crate::submission_file::SubmissionFile;
use crate::terminal::{Output, plain};
use crate::workspace::Workspace;

/// Replay a workspace with the validators' engine, in the same sandbox; nothing is signed or sent
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bitsota-research-agent dry-run
  bitsota-research-agent dry-run sort-faster --json > report.json
  bitsota-research-agent dry-run --baseline         what the unchanged task scores here
  bitsota-research-agent dry-run --artifact model.bin

Exit status: 0 accepted, 3 rejected, 1 error, as `replay-runner run`.")]
pub(crate) struct DryRunArgs {
    /// The workspace that `init` made
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,

    /// Replay the task as it is, without your changes
    #[arg(long, conflicts_with = "artifact")]
    baseline: bool,

    /// A local file in place of the artifact that submission.json names
    #[arg(long, value_name = "FILE")]
    artifact: Option<PathBuf>,

    #[command(flatten)]
    lab: LabArgs,

    /// Print JSON on a terminal, too
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &DryRunArgs, cancel: &CancellationToken) -> Done {
    let workspace = Workspace::at(&args.dir)?;
    let task = workspace.task()?;
    let submission = if args.baseline {
        Submission::default()
    } else {
        let work = Work::of(&workspace.repo(), &task, None).await?;
        let file = workspace.submission();
        let file = file
            .exists()
            .then(|| SubmissionFile::read(&file))
            .transpose()?;
        let artifact = artifact(args.artifact.as_deref(), file.as_ref())?;
        if work.patch.is_empty() && artifact.is_none() {
            return Err(Failure::Refused(
                "nothing is changed in repo; --baseline replays the task as it is".to_owned(),
            ));
        }
        Submission {
            patch: (!work.patch.is_empty()).then(|| Patch::new(work.patch.into_bytes())),
            artifact,
            artifact_uri: file.and_then(|file| file.artifact_uri),
        }
    };
    let lab = args.lab.open(cancel).await?;
    if lab.lacks_private_inputs(&task) {
        eprintln!(
            "note: validators have files for this task that you do not; stand-ins are named with --private-input NAME=FILE"
        );
    }
    // The clone has the pinned commit; the network is not needed.
    let source = Source::parse(&workspace.repo().display().to_string(), Path::new("/"))
        .map_err(|error| Failure::Refused(error.to_string()))?;
    let report = lab.replay(&task, source, submission).await?;
    Output::new(args.json).print(&report, tell)?;
    if cancel.is_cancelled() {
        return Err(Failure::Interrupted);
    }
    Ok(match report.status {
        Status::Accepted => Ended::Well,
        Status::Rejected => Ended::Rejected,
        Status::Error => Ended::Undecided,
    })
}

fn artifact(
    local: Option<&Path>,
    file: Option<&SubmissionFile>,
) -> Done<Option<(ArtifactSource, Declared)>> {
    let file = file.cloned().unwrap_or_default();
    let declared = Declared {
        sha256: file.artifact_sha256,
        size_bytes: file.artifact_size_bytes,
    };
    if let Some(path) = local {
        // What is declared in a skeleton says nothing of a file that is here.
        return Ok(Some((ArtifactSource::local(path), Declared::default())));
    }
    let Some(uri) = file.artifact_uri else {
        return Ok(None);
    };
    if !uri.starts_with("https://") {
        return Err(Failure::Refused(
            "artifact_uri: is not an https address; --artifact FILE replays a local file"
                .to_owned(),
        ));
    }
    let source =
        ArtifactSource::parse(&uri).map_err(|error| Failure::Refused(error.to_string()))?;
    Ok(Some((source, declared)))
}

/// The report in a few lines.
fn tell(report: &Report) -> String {
    let mut lines = vec![format!(
        "{} {}",
        report.status.to_string().to_uppercase(),
        report.code
    )];
    if report.status != Status::Accepted {
        lines.push(format!("  {}", plain(&report.message)));
        lines.extend(end_of_output(report));
    }
    let metrics = report.observed_metrics.iter();
    lines.extend(metrics.map(|(name, value)| format!("  {} = {value}", plain(name))));
    lines.push(format!("  {:.2} s", report.timing.total_seconds));
    lines.join("\n")
}

/// The last lines of the stage that failed.
fn end_of_output(report: &Report) -> Vec<String> {
    const LINES: usize = 12;
    let mut stages = report.stages.iter();
    let failed = stages.rfind(|stage| !stage.name.ends_with("(baseline)"));
    let lines: Vec<&str> = failed.map_or("", |stage| &stage.output).lines().collect();
    let shown = &lines[lines.len().saturating_sub(LINES)..];
    shown
        .iter()
        .map(|line| format!("    {}", plain(line)))
        .collect()
}
