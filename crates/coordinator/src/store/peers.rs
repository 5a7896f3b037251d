//! Peer evaluations.

use super::Conn;
use super::page::{Page, list};
use super::rows::PeerEvaluationRow;
use crate::error::{ApiError, ApiResult};

macro_rules! columns {
    () => {
        "id, submission_id, task_id, evaluator_hotkey, status, observed_metrics, notes, created_at"
    };
}

/// Stores an evaluation; 409 if this hotkey evaluated the submission before.
pub async fn insert(conn: &mut Conn, row: &PeerEvaluationRow) -> ApiResult<()> {
    let done = sqlx::query(
        "INSERT INTO peer_evaluations (id, submission_id, task_id, evaluator_hotkey, status, \
         observed_metrics, notes, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (submission_id, evaluator_hotkey) DO NOTHING",
    )
    .bind(row.id.clone())
    .bind(row.submission_id.clone())
    .bind(row.task_id.clone())
    .bind(row.evaluator_hotkey.clone())
    .bind(row.status.clone())
    .bind(row.observed_metrics.clone())
    .bind(row.notes.clone())
    .bind(row.created_at)
    .execute(conn)
    .await?;
    if done.rows_affected() == 0 {
        return Err(ApiError::conflict(
            "already_evaluated",
            "this hotkey has evaluated the submission",
        ));
    }
    Ok(())
}

/// The evaluations of one submission, in the order they came.
pub async fn of(conn: &mut Conn, submission_id: &str) -> ApiResult<Vec<PeerEvaluationRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM peer_evaluations WHERE submission_id = $1 ORDER BY created_at, id"
    ))
    .bind(submission_id.to_owned())
    .fetch_all(conn)
    .await?)
}

/// One page of evaluations, newest first.
pub async fn list(
    conn: &mut Conn,
    submission_id: Option<&str>,
    task_id: Option<&str>,
    page: &Page,
) -> ApiResult<Vec<PeerEvaluationRow>> {
    Ok(list!(
        conn,
        PeerEvaluationRow,
        columns!(),
        "peer_evaluations",
        "submission_id" = submission_id,
        "task_id" = task_id,
        page
    )?)
}
