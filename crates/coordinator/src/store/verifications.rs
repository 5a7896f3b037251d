//! Jobs and what validators said: one row per submission and validator.

use super::page::{Page, list};
use super::rows::{
    JsonText, SubmissionRow, VerificationRow, submission_columns, verification_columns,
};
use super::{Conn, Dialect};
use crate::error::ApiResult;
use crate::time::Timestamp;

/// What a validator has not decided: pending and recent submissions of tasks that
/// validators decide, on which it has not said its word. After an error of its own
/// a submission stays away for a while.
macro_rules! undecided {
    () => {
        " FROM submissions s WHERE s.status = 'pending_verification' AND s.created_at >= $2 \
         AND EXISTS (SELECT 1 FROM tasks t WHERE t.id = s.task_id \
             AND t.competition_mode <> 'peer_evaluation' AND ($6 = '' OR t.slug = $6)) \
         AND NOT EXISTS (SELECT 1 FROM verifications v WHERE v.submission_id = s.id \
             AND v.validator_hotkey = $1 \
             AND (v.status IN ('accepted', 'rejected') OR v.retry_at > $3)) \
         AND ($4 = '' OR s.task_id = $4) AND ($5 = '' OR s.id = $5) "
    };
}

/// Of these, the ones with fewer live leases of others than replays are missing.
macro_rules! with_a_place {
    () => {
        "AND (SELECT CASE WHEN s.consensus = 'disagreement' THEN 1 ELSE t.quorum - \
             (SELECT COUNT(*) FROM verifications d WHERE d.submission_id = s.id \
              AND d.status IN ('accepted', 'rejected')) END FROM tasks t WHERE t.id = s.task_id) > \
             (SELECT COUNT(*) FROM verifications l WHERE l.submission_id = s.id \
              AND l.status = 'leased' AND l.lease_expires_at > $3 \
              AND l.validator_hotkey <> $1) "
    };
}

/// What a validator asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The validator.
    pub hotkey: String,
    /// Only submissions since then.
    pub since: Timestamp,
    /// Now.
    pub now: Timestamp,
    /// Only this task, if not empty.
    pub task_id: String,
    /// Only this submission, if not empty.
    pub submission_id: String,
    /// Only the task of this slug, if not empty.
    pub task_slug: String,
}

/// The worklist, oldest first: everything that the validator has not decided,
/// whoever is at it meanwhile. Reads only; nothing is held.
pub async fn worklist(
    conn: &mut Conn,
    wanted: &Wanted,
    limit: i64,
) -> ApiResult<Vec<SubmissionRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        submission_columns!(),
        undecided!(),
        "ORDER BY s.created_at, s.id LIMIT $7"
    ))
    .bind(wanted.hotkey.clone())
    .bind(wanted.since)
    .bind(wanted.now)
    .bind(wanted.task_id.clone())
    .bind(wanted.submission_id.clone())
    .bind(wanted.task_slug.clone())
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// Whether a submission still has a place for the validator.
pub async fn has_place(conn: &mut Conn, wanted: &Wanted, submission_id: &str) -> ApiResult<bool> {
    let found: Option<String> =
        sqlx::query_scalar(concat!("SELECT s.id", undecided!(), with_a_place!()))
            .bind(wanted.hotkey.clone())
            .bind(wanted.since)
            .bind(wanted.now)
            .bind(wanted.task_id.clone())
            .bind(submission_id.to_owned())
            .bind(wanted.task_slug.clone())
            .fetch_optional(conn)
            .await?;
    Ok(found.is_some())
}

/// The oldest wanted submission that the validator does not hold yet, locked for
/// the rest of the transaction.
///
/// PostgreSQL skips the rows that another process is leasing at this moment, so
/// that racing validators spread out and do not queue. Under SQLite the
/// transaction is the only writer.
pub async fn next(
    conn: &mut Conn,
    dialect: Dialect,
    wanted: &Wanted,
) -> ApiResult<Option<SubmissionRow>> {
    macro_rules! next {
        ($lock:literal) => {
            concat!(
                "SELECT ",
                submission_columns!(),
                undecided!(),
                with_a_place!(),
                "AND NOT EXISTS (SELECT 1 FROM verifications m WHERE m.submission_id = s.id \
                 AND m.validator_hotkey = $1 AND m.status = 'leased' \
                 AND m.lease_expires_at > $3 AND $5 = '') \
                 ORDER BY s.created_at, s.id LIMIT 1",
                $lock
            )
        };
    }
    let sql = match dialect {
        Dialect::Postgres => next!(" FOR UPDATE OF s SKIP LOCKED"),
        Dialect::Sqlite => next!(""),
    };
    Ok(sqlx::query_as(sql)
        .bind(wanted.hotkey.clone())
        .bind(wanted.since)
        .bind(wanted.now)
        .bind(wanted.task_id.clone())
        .bind(wanted.submission_id.clone())
        .bind(wanted.task_slug.clone())
        .fetch_optional(conn)
        .await?)
}

/// Gives a validator the lease of a submission until `until`.
pub async fn lease(
    conn: &mut Conn,
    job_id: &str,
    submission: &SubmissionRow,
    hotkey: &str,
    now: Timestamp,
    until: Timestamp,
) -> ApiResult<()> {
    sqlx::query(
        "INSERT INTO verifications (id, submission_id, task_id, validator_hotkey, status, \
         lease_expires_at, retry_at, attempts, submission_faults, observed_metrics, spec_digest, \
         created_at, updated_at, notes, replay_log) \
         VALUES ($1, $2, $3, $4, 'leased', $5, $6, 0, 0, '{}', $7, $6, $6, '', '') \
         ON CONFLICT (id) DO UPDATE SET status = 'leased', \
         lease_expires_at = excluded.lease_expires_at, updated_at = excluded.updated_at",
    )
    .bind(job_id.to_owned())
    .bind(submission.id.clone())
    .bind(submission.task_id.clone())
    .bind(hotkey.to_owned())
    .bind(until)
    .bind(now)
    .bind(submission.spec_digest.clone())
    .execute(conn)
    .await?;
    Ok(())
}

/// One job, if there is one.
pub async fn find(conn: &mut Conn, job_id: &str) -> ApiResult<Option<VerificationRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        verification_columns!(),
        " FROM verifications WHERE id = $1"
    ))
    .bind(job_id.to_owned())
    .fetch_optional(conn)
    .await?)
}

/// Everything that validators hold or said of a submission, in the order they began.
pub async fn of(conn: &mut Conn, submission_id: &str) -> ApiResult<Vec<VerificationRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        verification_columns!(),
        " FROM verifications WHERE submission_id = $1 ORDER BY created_at, id"
    ))
    .bind(submission_id.to_owned())
    .fetch_all(conn)
    .await?)
}

/// One page of verifications, newest first.
pub async fn list(
    conn: &mut Conn,
    submission_id: Option<&str>,
    status: Option<&str>,
    page: &Page,
) -> ApiResult<Vec<VerificationRow>> {
    Ok(list!(
        conn,
        VerificationRow,
        verification_columns!(),
        "verifications",
        "submission_id" = submission_id,
        "status" = status,
        page
    )?)
}

/// What a posted result writes.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct Posted {
    pub status: &'static str,
    pub outcome_code: Option<String>,
    pub fault: Option<String>,
    pub observed_metrics: JsonText,
    pub patched_tree: Option<String>,
    pub notes: String,
    pub replay_log: String,
    pub receipt: Option<JsonText>,
    pub result_digest: String,
    pub retry_at: Timestamp,
    pub is_submission_fault: bool,
}

/// Writes a result into its job's row, which [`lease`] made.
pub async fn post(conn: &mut Conn, job_id: &str, posted: &Posted, at: Timestamp) -> ApiResult<()> {
    sqlx::query(
        "UPDATE verifications SET status = $1, outcome_code = $2, fault = $3, \
         observed_metrics = $4, patched_tree = $5, notes = $6, replay_log = $7, receipt = $8, \
         result_digest = $9, retry_at = $10, attempts = attempts + 1, \
         submission_faults = submission_faults + $11, updated_at = $12 WHERE id = $13",
    )
    .bind(posted.status)
    .bind(posted.outcome_code.clone())
    .bind(posted.fault.clone())
    .bind(posted.observed_metrics.clone())
    .bind(posted.patched_tree.clone())
    .bind(posted.notes.clone())
    .bind(posted.replay_log.clone())
    .bind(posted.receipt.clone())
    .bind(posted.result_digest.clone())
    .bind(posted.retry_at)
    .bind(i64::from(posted.is_submission_fault))
    .bind(at)
    .bind(job_id.to_owned())
    .execute(conn)
    .await?;
    Ok(())
}

/// Moves the end of a live lease. False if the job is not leased any more.
pub async fn renew(
    conn: &mut Conn,
    job_id: &str,
    now: Timestamp,
    until: Timestamp,
) -> ApiResult<bool> {
    let done = sqlx::query(
        "UPDATE verifications SET lease_expires_at = $1, updated_at = $2 \
         WHERE id = $3 AND status = 'leased'",
    )
    .bind(until)
    .bind(now)
    .bind(job_id.to_owned())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The replay log that a validator posted last for a submission.
pub async fn latest_log(conn: &mut Conn, submission_id: &str) -> ApiResult<Option<String>> {
    Ok(sqlx::query_scalar(
        "SELECT replay_log FROM verifications WHERE submission_id = $1 AND attempts > 0 \
         ORDER BY updated_at DESC, id LIMIT 1",
    )
    .bind(submission_id.to_owned())
    .fetch_optional(conn)
    .await?)
}

/// How many jobs there are in each status.
pub async fn counts(conn: &mut Conn) -> ApiResult<Vec<(String, i64)>> {
    let sql = "SELECT status, COUNT(*) FROM verifications GROUP BY status ORDER BY status";
    Ok(sqlx::query_as(sql).fetch_all(conn).await?)
}
