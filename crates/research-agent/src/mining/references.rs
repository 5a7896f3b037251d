//! What an attempt must beat: the baseline as it runs here, and whoever is best.

use anyhow::anyhow;
use protocol::{Fault, Report, Status};
use replay_runner::checkout::Source;
use replay_runner::spec::Submission;

use crate::client::Client;
use crate::compare::Point;
use crate::failure::{Done, Failure};
use crate::lab::Lab;
use crate::task::ServedTask;

/// The points to beat.
pub(super) async fn references(
    client: &Client,
    lab: &Lab,
    task: &ServedTask,
    source: &Source,
) -> Done<Vec<Point>> {
    let report = lab
        .replay(task, source.clone(), Submission::default())
        .await?;
    let mut points: Vec<Point> = baseline(task, lab, &report)?.into_iter().collect();
    let bests = client.best(task.id).await?;
    points.extend(bests.iter().filter_map(|one| Point::of(&task.task, one)));
    points.dedup();
    Ok(points)
}

fn baseline(task: &ServedTask, lab: &Lab, report: &Report) -> Done<Option<Point>> {
    if report.code == protocol::Code::Cancelled {
        return Err(Failure::Interrupted);
    }
    let told = || format!("{}: {}", report.code, report.message);
    match (report.status, report.fault) {
        (Status::Accepted, _) => Ok(Point::of(&task.task, &report.observed_metrics)),
        (_, Some(Fault::Validator)) => Err(anyhow!("the sandbox cannot replay: {}", told()).into()),
        // Nobody can run it without an artifact.
        _ if task.task.requires_artifact() => Ok(None),
        _ if lab.lacks_private_inputs(task) => Err(Failure::Refused(format!(
            "the baseline cannot be measured here ({}): validators have files that you do not; name stand-ins with --private-input NAME=FILE",
            told()
        ))),
        _ => Err(Failure::Refused(format!(
            "the task's own baseline fails here: {}",
            told()
        ))),
    }
}
