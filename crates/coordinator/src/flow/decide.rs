//! Turns what validators or peers said into a decision about a submission.

use protocol::Task;
use serde_json::json;

use super::accept;
use crate::error::{ApiError, ApiResult};
use crate::rules::consensus::{self, Consensus, Said, Terms};
use crate::store::events::{self, Cause, Event};
use crate::store::rows::{
    ConsensusState, JsonText, SubmissionRow, SubmissionStatus, TaskRow, VerificationRow,
    VerificationStatus,
};
use crate::store::submissions::{self, Decision};
use crate::store::{Conn, verifications};

/// The task of a row; the document was checked when it was stored.
pub fn task_of(row: &TaskRow) -> ApiResult<Task> {
    serde_json::from_str(&row.document)
        .map_err(|error| ApiError::Internal(format!("task {} is unreadable: {error}", row.id)))
}

/// Decides a submission, held by the caller's lock, by all that validators said.
pub async fn by_validators(
    conn: &mut Conn,
    row: &TaskRow,
    submission: &SubmissionRow,
    cause: &Cause,
) -> ApiResult<()> {
    let task = task_of(row)?;
    let all = verifications::of(conn, &submission.id).await?;
    let said: Vec<Said> = all.iter().filter_map(said).collect();
    let terms = Terms {
        quorum: usize::try_from(row.quorum).unwrap_or(usize::MAX),
        tolerance: task.metric_tolerance.as_ref(),
        metrics: task.metric_names().collect(),
    };
    let consensus = consensus::decide(&said, &terms);
    apply(conn, &task, submission, consensus, cause).await
}

fn said(row: &VerificationRow) -> Option<Said> {
    match row.status {
        VerificationStatus::Accepted => Some(Said::Accepted {
            metrics: row.observed_metrics.read(),
            tree: row.patched_tree.clone(),
        }),
        VerificationStatus::Rejected => Some(Said::Rejected {
            code: row.outcome_code.clone(),
        }),
        // A validator that tries again still said what it said.
        VerificationStatus::Error | VerificationStatus::Leased if row.attempts > 0 => {
            Some(Said::Error {
                submission_faults: u32::try_from(row.submission_faults).unwrap_or(0),
                code: row.outcome_code.clone(),
            })
        }
        VerificationStatus::Error | VerificationStatus::Leased => None,
    }
}

/// Writes a decision, and everything that follows from it.
pub async fn apply(
    conn: &mut Conn,
    task: &Task,
    submission: &SubmissionRow,
    consensus: Consensus,
    cause: &Cause,
) -> ApiResult<()> {
    let Some(decision) = decision(&consensus) else {
        return Ok(());
    };
    if decision.status == submission.status && decision.consensus == submission.consensus {
        return Ok(());
    }
    submissions::decide(conn, &submission.id, &decision, cause.at).await?;
    let event = Event {
        action: match (decision.status, decision.consensus) {
            (_, ConsensusState::Disagreement) => "submission.disagreement",
            (SubmissionStatus::Accepted, _) => "submission.accepted",
            (SubmissionStatus::Rejected, _) => "submission.rejected",
            _ => "submission.error",
        },
        subject: &submission.id,
        task_id: Some(&submission.task_id),
    };
    let detail = json!({"outcome_code": decision.outcome_code, "observed_metrics": decision.observed_metrics.as_ref().map(|text| &text.0)});
    events::record(conn, &Cause::system(cause.at), event, &detail).await?;
    if let Consensus::Accepted { metrics, .. } = &consensus {
        let now = submissions::get(conn, &submission.id).await?;
        accept::accepted(conn, task, &now, metrics, cause).await?;
    }
    Ok(())
}

fn decision(consensus: &Consensus) -> Option<Decision> {
    let undecided = |status, state, code: Option<String>| Decision {
        status,
        consensus: state,
        outcome_code: code,
        observed_metrics: None,
        patched_tree: None,
    };
    match consensus {
        Consensus::Waiting => None,
        Consensus::Disagreement => Some(undecided(
            SubmissionStatus::PendingVerification,
            ConsensusState::Disagreement,
            None,
        )),
        Consensus::Rejected { code } => Some(undecided(
            SubmissionStatus::Rejected,
            ConsensusState::Agreed,
            code.clone(),
        )),
        Consensus::Error { code } => Some(undecided(
            SubmissionStatus::Error,
            ConsensusState::Agreed,
            code.clone(),
        )),
        Consensus::Accepted { metrics, tree } => Some(Decision {
            observed_metrics: Some(JsonText::of(metrics)),
            patched_tree: tree.clone(),
            ..undecided(
                SubmissionStatus::Accepted,
                ConsensusState::Agreed,
                Some("ok".to_owned()),
            )
        }),
    }
}
