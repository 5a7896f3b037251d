//! Peer evaluation: other miners decide, by the median.

use protocol::Task;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::decide;
use crate::error::{ApiError, ApiResult};
use crate::rules::consensus::{Consensus, Metrics, median_of};
use crate::store::events::{self, Cause, Event};
use crate::store::rows::{JsonText, PeerEvaluationRow, SubmissionRow, SubmissionStatus};
use crate::store::{Conn, peers, submissions, tasks};

/// Where the evaluations of a submission stand.
#[derive(Debug, Serialize, ToSchema)]
#[expect(missing_docs, reason = "the fields of the wire")]
pub struct PeerConsensus {
    pub submission_id: String,
    pub min_peer_evaluations: u32,
    pub evaluation_count: usize,
    pub accepted_count: usize,
    /// Whether the evaluations decided the submission.
    pub consensus_reached: bool,
    pub status: SubmissionStatus,
    /// The median of the accepting evaluations.
    #[schema(value_type = std::collections::HashMap<String, f64>)]
    pub consensus_metrics: JsonText,
}

/// Records one evaluation, and decides when there are enough.
pub async fn evaluate(
    conn: &mut Conn,
    evaluation: PeerEvaluationRow,
    cause: &Cause,
) -> ApiResult<PeerEvaluationRow> {
    let submission = submissions::lock(conn, &evaluation.submission_id).await?;
    if submission.miner_hotkey == evaluation.evaluator_hotkey {
        return Err(ApiError::forbidden(
            "self_evaluation",
            "nobody evaluates their own submission",
        ));
    }
    let row = tasks::get(conn, &submission.task_id).await?;
    let task = decide::task_of(&row)?;
    if task.competition_mode != protocol::task::CompetitionMode::PeerEvaluation {
        return Err(ApiError::conflict(
            "validators_decide",
            "validators decide this task's submissions",
        ));
    }
    if submission.status != SubmissionStatus::PendingVerification {
        return Err(ApiError::conflict(
            "submission_decided",
            "the submission is decided",
        ));
    }
    if evaluation.status == "accepted" {
        super::jobs::metric_problems(&task, &evaluation.observed_metrics.read())?;
    }
    let evaluation = PeerEvaluationRow {
        task_id: submission.task_id.clone(),
        ..evaluation
    };
    peers::insert(conn, &evaluation).await?;
    let event = Event {
        action: "peer.evaluated",
        subject: &submission.id,
        task_id: Some(&submission.task_id),
    };
    let detail =
        json!({"status": evaluation.status, "observed_metrics": evaluation.observed_metrics.0});
    events::record(conn, cause, event, &detail).await?;
    let all = peers::of(conn, &submission.id).await?;
    decide::apply(
        conn,
        &task,
        &submission,
        tally(&task, &all).consensus,
        cause,
    )
    .await?;
    Ok(evaluation)
}

struct Tally {
    accepted: usize,
    median: Metrics,
    consensus: Consensus,
}

fn tally(task: &Task, all: &[PeerEvaluationRow]) -> Tally {
    let metrics: Vec<Metrics> = all
        .iter()
        .filter(|one| one.status == "accepted")
        .map(|one| one.observed_metrics.read())
        .collect();
    let median = median_of(&metrics.iter().collect::<Vec<_>>());
    let (accepted, rejected) = (metrics.len(), all.len() - metrics.len());
    let consensus = if all.len() < needed(task) {
        Consensus::Waiting
    } else if accepted > rejected {
        Consensus::Accepted {
            metrics: median.clone(),
            tree: None,
        }
    } else if rejected > accepted {
        Consensus::Rejected { code: None }
    } else {
        Consensus::Disagreement
    };
    Tally {
        accepted,
        median,
        consensus,
    }
}

fn needed(task: &Task) -> usize {
    usize::try_from(task.min_peer_evaluations.unwrap_or(1)).unwrap_or(usize::MAX)
}

/// The standing of a submission's evaluations.
pub async fn standing(conn: &mut Conn, submission: &SubmissionRow) -> ApiResult<PeerConsensus> {
    let row = tasks::get(conn, &submission.task_id).await?;
    let task = decide::task_of(&row)?;
    let all = peers::of(conn, &submission.id).await?;
    let tally = tally(&task, &all);
    Ok(PeerConsensus {
        submission_id: submission.id.clone(),
        min_peer_evaluations: task.min_peer_evaluations.unwrap_or(1),
        evaluation_count: all.len(),
        accepted_count: tally.accepted,
        consensus_reached: submission.status != SubmissionStatus::PendingVerification,
        status: submission.status,
        consensus_metrics: JsonText::of(&tally.median),
    })
}
