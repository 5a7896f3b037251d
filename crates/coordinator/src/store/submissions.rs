//! Submissions.

use super::Conn;
use super::page::{Page, list};
use super::rows::{
    ConsensusState, JsonText, SubmissionRow, SubmissionStatus, TaskRow, submission_columns,
};
use crate::error::{ApiError, ApiResult};
use crate::time::Timestamp;

/// The wide columns of a submission.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Content {
    pub patch: String,
    pub execution_log: String,
    pub spec: String,
}

/// Stores a submission. False if the miner has the same content pending or
/// decided, or the claim was submitted for.
pub async fn insert(conn: &mut Conn, row: &SubmissionRow, content: &Content) -> ApiResult<bool> {
    let done = sqlx::query(
        "INSERT INTO submissions (id, claim_id, task_id, miner_hotkey, status, consensus, \
         base_ref, summary, claimed_metrics, proposed_idea, implemented_submission_id, \
         patch_sha256, patch_bytes, artifact_uri, artifact_sha256, artifact_size_bytes, \
         spec_digest, duplicate_of, created_at, updated_at, patch, execution_log, spec) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
         $18, $19, $19, $20, $21, $22) ON CONFLICT DO NOTHING",
    )
    .bind(row.id.clone())
    .bind(row.claim_id.clone())
    .bind(row.task_id.clone())
    .bind(row.miner_hotkey.clone())
    .bind(row.status.as_str())
    .bind(row.consensus.as_str())
    .bind(row.base_ref.clone())
    .bind(row.summary.clone())
    .bind(row.claimed_metrics.clone())
    .bind(row.proposed_idea.clone())
    .bind(row.implemented_submission_id.clone())
    .bind(row.patch_sha256.clone())
    .bind(row.patch_bytes)
    .bind(row.artifact_uri.clone())
    .bind(row.artifact_sha256.clone())
    .bind(row.artifact_size_bytes)
    .bind(row.spec_digest.clone())
    .bind(row.duplicate_of.clone())
    .bind(row.created_at)
    .bind(content.patch.clone())
    .bind(content.execution_log.clone())
    .bind(content.spec.clone())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// When the newest submission of a task arrived.
pub async fn newest_of_task(conn: &mut Conn, task_id: &str) -> ApiResult<Option<Timestamp>> {
    Ok(
        sqlx::query_scalar("SELECT MAX(created_at) FROM submissions WHERE task_id = $1")
            .bind(task_id.to_owned())
            .fetch_one(conn)
            .await?,
    )
}

/// One submission; 404 if there is none.
pub async fn get(conn: &mut Conn, id: &str) -> ApiResult<SubmissionRow> {
    find(conn, id)
        .await?
        .ok_or_else(|| ApiError::not_found("submission_not_found", format!("no submission {id}")))
}

/// One submission, if there is one.
pub async fn find(conn: &mut Conn, id: &str) -> ApiResult<Option<SubmissionRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        submission_columns!(),
        " FROM submissions WHERE id = $1"
    ))
    .bind(id.to_owned())
    .fetch_optional(conn)
    .await?)
}

/// One submission, held against every other change until the transaction ends.
pub async fn lock(conn: &mut Conn, id: &str) -> ApiResult<SubmissionRow> {
    // An update that changes nothing takes the row's lock in both databases.
    sqlx::query_as(concat!(
        "UPDATE submissions SET updated_at = updated_at WHERE id = $1 RETURNING ",
        submission_columns!()
    ))
    .bind(id.to_owned())
    .fetch_optional(conn)
    .await?
    .ok_or_else(|| ApiError::not_found("submission_not_found", format!("no submission {id}")))
}

/// The wide columns of one submission.
pub async fn content(conn: &mut Conn, id: &str) -> ApiResult<Content> {
    Ok(
        sqlx::query_as("SELECT patch, execution_log, spec FROM submissions WHERE id = $1")
            .bind(id.to_owned())
            .fetch_one(conn)
            .await?,
    )
}

/// One page of submissions, newest first.
pub async fn list(
    conn: &mut Conn,
    task_id: Option<&str>,
    status: Option<&str>,
    page: &Page,
) -> ApiResult<Vec<SubmissionRow>> {
    Ok(list!(
        conn,
        SubmissionRow,
        submission_columns!(),
        "submissions",
        "task_id" = task_id,
        "status" = status,
        page
    )?)
}

/// The first submission of another hotkey that has the same content, if any.
pub async fn first_of_others(conn: &mut Conn, row: &SubmissionRow) -> ApiResult<Option<String>> {
    Ok(sqlx::query_scalar(FIRST_OF_OTHERS)
        .bind(row.task_id.clone())
        .bind(row.spec_digest.clone())
        .bind(row.miner_hotkey.clone())
        .fetch_optional(conn)
        .await?)
}

const FIRST_OF_OTHERS: &str = "SELECT id FROM submissions WHERE task_id = $1 \
     AND spec_digest = $2 AND miner_hotkey <> $3 ORDER BY created_at, id LIMIT 1";

/// What a decision writes.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Decision {
    pub status: SubmissionStatus,
    pub consensus: ConsensusState,
    pub outcome_code: Option<String>,
    pub observed_metrics: Option<JsonText>,
    pub patched_tree: Option<String>,
}

/// Writes a decision about a pending submission.
pub async fn decide(conn: &mut Conn, id: &str, made: &Decision, at: Timestamp) -> ApiResult<()> {
    let decided_at = (made.status != SubmissionStatus::PendingVerification).then_some(at);
    sqlx::query(
        "UPDATE submissions SET status = $1, consensus = $2, outcome_code = $3, \
         observed_metrics = $4, patched_tree = $5, decided_at = $6, updated_at = $7 \
         WHERE id = $8 AND status = 'pending_verification'",
    )
    .bind(made.status.as_str())
    .bind(made.consensus.as_str())
    .bind(made.outcome_code.clone())
    .bind(made.observed_metrics.clone())
    .bind(made.patched_tree.clone())
    .bind(decided_at)
    .bind(at)
    .bind(id.to_owned())
    .execute(conn)
    .await?;
    Ok(())
}

/// The accepted submissions of the same task with the same spec or patched
/// tree, itself included, oldest first.
pub async fn accepted_alike(conn: &mut Conn, row: &SubmissionRow) -> ApiResult<Vec<SubmissionRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        submission_columns!(),
        " FROM submissions WHERE id IN (SELECT id FROM submissions WHERE task_id = $1 \
         AND spec_digest = $2 UNION SELECT id FROM submissions WHERE task_id = $1 \
         AND patched_tree = $3) AND status = 'accepted' ORDER BY created_at, id"
    ))
    .bind(row.task_id.clone())
    .bind(row.spec_digest.clone())
    .bind(row.patched_tree.clone())
    .fetch_all(conn)
    .await?)
}

/// Marks a submission as a copy of an earlier one.
pub async fn mark_duplicate(conn: &mut Conn, id: &str, of: &str, at: Timestamp) -> ApiResult<()> {
    sqlx::query("UPDATE submissions SET duplicate_of = $1, updated_at = $2 WHERE id = $3")
        .bind(of.to_owned())
        .bind(at)
        .bind(id.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}

/// The newest open ideas of a task: proposed by a decided or pending submission
/// that nobody has implemented.
pub async fn open_ideas(
    conn: &mut Conn,
    task_id: &str,
    limit: i64,
) -> ApiResult<Vec<SubmissionRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        submission_columns!(),
        " FROM submissions WHERE task_id = $1 AND proposed_idea IS NOT NULL \
         AND implemented_submission_id IS NULL AND id NOT IN \
         (SELECT idea_submission_id FROM idea_rewards WHERE task_id = $1) \
         ORDER BY created_at DESC, id DESC LIMIT $2"
    ))
    .bind(task_id.to_owned())
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// How many submissions of each task, from `oldest` on, there are in each status.
pub async fn counts_since(
    conn: &mut Conn,
    oldest: &TaskRow,
) -> ApiResult<Vec<(String, String, i64)>> {
    Ok(sqlx::query_as(
        "SELECT task_id, status, COUNT(*) FROM submissions WHERE task_id IN \
         (SELECT id FROM tasks WHERE (created_at, id) >= ($1, $2)) GROUP BY task_id, status",
    )
    .bind(oldest.created_at)
    .bind(oldest.id.clone())
    .fetch_all(conn)
    .await?)
}

/// How many submissions there are in each status.
pub async fn all_counts(conn: &mut Conn) -> ApiResult<Vec<(String, i64)>> {
    let sql = "SELECT status, COUNT(*) FROM submissions GROUP BY status ORDER BY status";
    Ok(sqlx::query_as(sql).fetch_all(conn).await?)
}

/// Since when the oldest undecided submission waits.
pub async fn oldest_pending(conn: &mut Conn) -> ApiResult<Option<Timestamp>> {
    let sql = "SELECT created_at FROM submissions WHERE status = 'pending_verification' \
               ORDER BY created_at LIMIT 1";
    Ok(sqlx::query_scalar(sql).fetch_optional(conn).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn equal_content_is_found_without_looking_at_the_tasks_other_submissions() {
        let place = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/store.db", place.path().display());
        let store = Store::open(&url).await.unwrap();
        let mut conn = store.read().await.unwrap();
        let sql = format!("EXPLAIN QUERY PLAN {FIRST_OF_OTHERS}");
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .fetch_all(&mut *conn)
            .await
            .unwrap();
        let steps: Vec<&str> = plan.iter().map(|step| step.3.as_str()).collect();
        let wanted =
            "SEARCH submissions USING INDEX submissions_by_content (task_id=? AND spec_digest=?)";
        assert_eq!(steps, [wanted]);
    }
}
