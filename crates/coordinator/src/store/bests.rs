//! Who was best when, and each miner's own best.

use super::Conn;
use super::rows::{JsonText, SubmissionRow, TaskRow, submission_columns};
use crate::error::ApiResult;
use crate::time::Timestamp;

/// One that was best for a while.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct BestRow {
    pub submission_id: String,
    pub entered_at: Timestamp,
    pub left_at: Option<Timestamp>,
}

/// A miner's standing in a task.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct StandingRow {
    pub miner_hotkey: String,
    pub submission_id: String,
    pub accepted_count: i64,
}

/// The current best of a task, or its frontier, oldest first.
pub async fn current(conn: &mut Conn, task_id: &str) -> ApiResult<Vec<SubmissionRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        submission_columns!(),
        " FROM submissions WHERE id IN (SELECT submission_id FROM bests \
         WHERE task_id = $1 AND left_at IS NULL) ORDER BY created_at, id"
    ))
    .bind(task_id.to_owned())
    .fetch_all(conn)
    .await?)
}

/// All that ever were best of a task, in the order they became it.
pub async fn history(conn: &mut Conn, task_id: &str) -> ApiResult<Vec<BestRow>> {
    Ok(sqlx::query_as(
        "SELECT submission_id, entered_at, left_at FROM bests WHERE task_id = $1 \
         ORDER BY entered_at, submission_id",
    )
    .bind(task_id.to_owned())
    .fetch_all(conn)
    .await?)
}

/// A submission becomes best, or joins the frontier; perhaps again.
pub async fn enter(conn: &mut Conn, task_id: &str, id: &str, at: Timestamp) -> ApiResult<()> {
    sqlx::query(
        "INSERT INTO bests (submission_id, task_id, entered_at) VALUES ($1, $2, $3) \
         ON CONFLICT (submission_id) DO UPDATE SET left_at = NULL",
    )
    .bind(id.to_owned())
    .bind(task_id.to_owned())
    .bind(at)
    .execute(conn)
    .await?;
    Ok(())
}

/// A submission is best no more. False if it was not.
pub async fn leave(conn: &mut Conn, id: &str, at: Timestamp) -> ApiResult<bool> {
    let done =
        sqlx::query("UPDATE bests SET left_at = $1 WHERE submission_id = $2 AND left_at IS NULL")
            .bind(at)
            .bind(id.to_owned())
            .execute(conn)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// A miner's best of a task, if it has an accepted one.
pub async fn standing(
    conn: &mut Conn,
    task_id: &str,
    hotkey: &str,
) -> ApiResult<Option<StandingRow>> {
    Ok(sqlx::query_as(
        "SELECT miner_hotkey, submission_id, accepted_count FROM standings \
         WHERE task_id = $1 AND miner_hotkey = $2",
    )
    .bind(task_id.to_owned())
    .bind(hotkey.to_owned())
    .fetch_optional(conn)
    .await?)
}

/// Counts an accepted submission, which is the miner's best from now on if
/// `is_best`.
pub async fn count_accepted(
    conn: &mut Conn,
    submission: &SubmissionRow,
    is_best: bool,
) -> ApiResult<()> {
    let sql = if is_best {
        "INSERT INTO standings (task_id, miner_hotkey, submission_id, accepted_count) \
         VALUES ($1, $2, $3, 1) ON CONFLICT (task_id, miner_hotkey) DO UPDATE \
         SET accepted_count = standings.accepted_count + 1, submission_id = excluded.submission_id"
    } else {
        "INSERT INTO standings (task_id, miner_hotkey, submission_id, accepted_count) \
         VALUES ($1, $2, $3, 1) ON CONFLICT (task_id, miner_hotkey) DO UPDATE \
         SET accepted_count = standings.accepted_count + 1"
    };
    sqlx::query(sql)
        .bind(submission.task_id.clone())
        .bind(submission.miner_hotkey.clone())
        .bind(submission.id.clone())
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes a copy's part out of its miner's standing; it is rebuilt from what is left.
pub async fn forget_standing(conn: &mut Conn, task_id: &str, hotkey: &str) -> ApiResult<()> {
    sqlx::query("DELETE FROM standings WHERE task_id = $1 AND miner_hotkey = $2")
        .bind(task_id.to_owned())
        .bind(hotkey.to_owned())
        .execute(conn)
        .await?;
    Ok(())
}

/// Of a submission that is no copy of an accepted one. What was marked when it arrived,
/// and its first one never counted, is paid as itself.
macro_rules! no_copy {
    () => {
        "NOT EXISTS (SELECT 1 FROM submissions first WHERE first.id = submissions.duplicate_of \
         AND first.status = 'accepted')"
    };
}

/// A miner's accepted submissions of a task that are nobody's copy, oldest first.
pub async fn originals_of(
    conn: &mut Conn,
    task_id: &str,
    hotkey: &str,
) -> ApiResult<Vec<SubmissionRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        submission_columns!(),
        " FROM submissions WHERE task_id = $1 AND miner_hotkey = $2 AND status = 'accepted' \
         AND ",
        no_copy!(),
        " ORDER BY created_at, id"
    ))
    .bind(task_id.to_owned())
    .bind(hotkey.to_owned())
    .fetch_all(conn)
    .await?)
}

/// All accepted submissions of a task that are nobody's copy, oldest first.
pub async fn originals(conn: &mut Conn, task_id: &str) -> ApiResult<Vec<SubmissionRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        submission_columns!(),
        " FROM submissions WHERE task_id = $1 AND status = 'accepted' \
         AND ",
        no_copy!(),
        " ORDER BY created_at, id"
    ))
    .bind(task_id.to_owned())
    .fetch_all(conn)
    .await?)
}

/// Each miner's best accepted submission of a task.
pub async fn leaders(conn: &mut Conn, task_id: &str) -> ApiResult<Vec<SubmissionRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        submission_columns!(),
        " FROM submissions WHERE id IN (SELECT submission_id FROM standings WHERE task_id = $1)"
    ))
    .bind(task_id.to_owned())
    .fetch_all(conn)
    .await?)
}

/// What a reward snapshot, and the front page, tell of a submission.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct OutcomeRow {
    pub id: String,
    pub task_id: String,
    pub miner_hotkey: String,
    pub observed_metrics: Option<JsonText>,
    pub patched_tree: Option<String>,
    pub spec_digest: String,
    pub decided_at: Option<Timestamp>,
}

macro_rules! outcome_columns {
    () => {
        "s.id, s.task_id, s.miner_hotkey, s.observed_metrics, s.patched_tree, s.spec_digest, \
         s.decided_at"
    };
}

/// The current bests and frontiers of all tasks, oldest first.
pub async fn all_current(conn: &mut Conn) -> ApiResult<Vec<OutcomeRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        outcome_columns!(),
        " FROM bests b JOIN submissions s ON s.id = b.submission_id WHERE b.left_at IS NULL \
         ORDER BY s.created_at, s.id"
    ))
    .fetch_all(conn)
    .await?)
}

/// The current bests and frontiers of the tasks from `oldest` on, oldest first.
pub async fn current_since(conn: &mut Conn, oldest: &TaskRow) -> ApiResult<Vec<OutcomeRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        outcome_columns!(),
        " FROM bests b JOIN submissions s ON s.id = b.submission_id WHERE b.left_at IS NULL \
         AND b.task_id IN (SELECT id FROM tasks WHERE (created_at, id) >= ($1, $2)) \
         ORDER BY s.created_at, s.id"
    ))
    .bind(oldest.created_at)
    .bind(oldest.id.clone())
    .fetch_all(conn)
    .await?)
}

/// Each miner's best accepted submission of each task, in no order.
pub async fn all_leaders(conn: &mut Conn) -> ApiResult<Vec<OutcomeRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        outcome_columns!(),
        " FROM standings t JOIN submissions s ON s.id = t.submission_id"
    ))
    .fetch_all(conn)
    .await?)
}

/// How many accepted submissions each task has, copies left out; a task without any
/// is not there.
pub async fn all_accepted_counts(conn: &mut Conn) -> ApiResult<Vec<(String, i64)>> {
    Ok(sqlx::query_as(
        "SELECT task_id, CAST(SUM(accepted_count) AS BIGINT) FROM standings GROUP BY task_id",
    )
    .fetch_all(conn)
    .await?)
}

/// Submissions of a task that were accepted, in the order they were decided;
/// the newest `limit` of them.
pub async fn accepted(conn: &mut Conn, task_id: &str, limit: i64) -> ApiResult<Vec<SubmissionRow>> {
    let mut rows: Vec<SubmissionRow> = sqlx::query_as(concat!(
        "SELECT ",
        submission_columns!(),
        " FROM submissions WHERE task_id = $1 AND status = 'accepted' \
         ORDER BY created_at DESC, id DESC LIMIT $2"
    ))
    .bind(task_id.to_owned())
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.reverse();
    Ok(rows)
}
