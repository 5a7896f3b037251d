//! A submission arrives: its replay is frozen, its claim is used up.

use protocol::spec::Content;
use protocol::{CommitId, Sha256Digest, Task};
use serde_json::json;

use crate::error::{ApiError, ApiResult};
use crate::rules::consensus::Metrics;
use crate::rules::freeze::{Brought, freeze};
use crate::store::events::{self, Cause, Event};
use crate::store::rows::{
    ClaimRow, ConsensusState, JsonText, SubmissionRow, SubmissionStatus, TaskRow, TaskState,
};
use crate::store::{Conn, claims, submissions, work_items};

/// What a miner posted, its fields checked one by one.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields of the wire")]
pub struct Posted {
    pub claim_id: String,
    pub base_ref: String,
    pub patch: String,
    pub summary: String,
    pub claimed_metrics: Metrics,
    pub proposed_idea: Option<String>,
    pub implemented_submission_id: Option<String>,
    pub artifact_uri: Option<String>,
    pub artifact_sha256: Option<Sha256Digest>,
    pub artifact_size_bytes: Option<i64>,
    pub execution_log: String,
}

/// A submission that is ready to be stored.
#[derive(Debug)]
pub struct Frozen {
    /// The row.
    pub row: SubmissionRow,
    /// The wide columns.
    pub content: submissions::Content,
}

/// Pins the replay of a submission for a claim.
pub fn frozen(
    task_row: &TaskRow,
    task: &Task,
    claim: &ClaimRow,
    posted: Posted,
    cause: &Cause,
) -> ApiResult<Frozen> {
    let base_commit: CommitId = task_row
        .base_commit
        .parse()
        .map_err(|error| ApiError::Internal(format!("base commit: {error}")))?;
    let patch = (!posted.patch.is_empty()).then(|| Content {
        sha256: Sha256Digest::of(posted.patch.as_bytes()),
        size_bytes: u64::try_from(posted.patch.len()).unwrap_or(u64::MAX),
    });
    let artifact = artifact(&posted);
    let spec = freeze(
        task,
        base_commit,
        Brought {
            patch: patch.clone(),
            artifact,
        },
    );
    let row = SubmissionRow {
        id: uuid::Uuid::new_v4().to_string(),
        claim_id: claim.id.clone(),
        task_id: claim.task_id.clone(),
        miner_hotkey: claim.miner_hotkey.clone(),
        status: SubmissionStatus::PendingVerification,
        consensus: ConsensusState::Waiting,
        base_ref: posted.base_ref,
        summary: posted.summary,
        claimed_metrics: JsonText::of(&posted.claimed_metrics),
        proposed_idea: posted.proposed_idea,
        implemented_submission_id: posted.implemented_submission_id,
        patch_sha256: patch.as_ref().map(|patch| patch.sha256.to_string()),
        patch_bytes: i64::try_from(posted.patch.len()).unwrap_or(i64::MAX),
        artifact_uri: posted.artifact_uri,
        artifact_sha256: posted.artifact_sha256.map(|digest| digest.to_string()),
        artifact_size_bytes: posted.artifact_size_bytes,
        spec_digest: spec.digest().to_string(),
        duplicate_of: None,
        outcome_code: None,
        observed_metrics: None,
        patched_tree: None,
        decided_at: None,
        created_at: cause.at,
        updated_at: cause.at,
    };
    let content = submissions::Content {
        patch: posted.patch,
        execution_log: posted.execution_log,
        spec: serde_json::to_string(&spec)
            .map_err(|error| ApiError::Internal(error.to_string()))?,
    };
    Ok(Frozen { row, content })
}

fn artifact(posted: &Posted) -> Option<Content> {
    Some(Content {
        sha256: posted.artifact_sha256?,
        size_bytes: u64::try_from(posted.artifact_size_bytes?).ok()?,
    })
}

/// 409 unless the claim is this miner's, live, and of a live task.
pub fn check_claim(claim: &ClaimRow, task: &TaskRow, hotkey: &str, cause: &Cause) -> ApiResult<()> {
    if claim.miner_hotkey != hotkey {
        return Err(ApiError::forbidden(
            "claim_of_another",
            "the claim is another hotkey's",
        ));
    }
    if claim.expires_at <= cause.at {
        let detail = format!("the claim expired at {}", claim.expires_at);
        return Err(ApiError::conflict("claim_expired", detail));
    }
    if claim.status != crate::store::rows::ClaimStatus::Active {
        let detail = format!("the claim is {}", claim.status.as_str());
        return Err(ApiError::conflict("claim_not_active", detail));
    }
    if task.state != TaskState::Live {
        let detail = format!("the task is {}", task.state.as_str());
        return Err(ApiError::conflict("task_not_live", detail));
    }
    Ok(())
}

/// Stores a submission and uses up its claim.
pub async fn store(conn: &mut Conn, mut frozen: Frozen, cause: &Cause) -> ApiResult<SubmissionRow> {
    let row = &mut frozen.row;
    if !claims::end(conn, &row.claim_id, "submitted", cause.at).await? {
        return Err(ApiError::conflict(
            "claim_not_active",
            "the claim is not active any more",
        ));
    }
    // Who was first decides ties and whose copy is whose: a clock that was set back must not
    // make the later one the earlier.
    if let Some(newest) = submissions::newest_of_task(conn, &row.task_id).await? {
        row.created_at = row.created_at.max(newest.just_after());
        row.updated_at = row.updated_at.max(row.created_at);
    }
    // The miner's own earlier attempt, which ended in an error, is no original.
    row.duplicate_of = submissions::first_of_others(conn, row).await?;
    if !submissions::insert(conn, row, &frozen.content).await? {
        return Err(ApiError::conflict(
            "duplicate_submission",
            "this hotkey has submitted the same content for this task",
        ));
    }
    work_items::complete(conn, &row.claim_id, &row.id, cause.at).await?;
    let event = Event {
        action: "submission.created",
        subject: &row.id,
        task_id: Some(&row.task_id),
    };
    let detail = json!({
        "claim_id": row.claim_id, "spec_digest": row.spec_digest,
        "duplicate_of": row.duplicate_of,
    });
    events::record(conn, cause, event, &detail).await?;
    Ok(frozen.row)
}
