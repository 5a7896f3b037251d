//! Claims, and how they end.

use super::Conn;
use super::events::{self, Cause, Event};
use super::page::{Page, list};
use super::rows::ClaimRow;
use crate::error::{ApiError, ApiResult};
use crate::time::Timestamp;

macro_rules! columns {
    () => {
        "id, task_id, miner_hotkey, claim_description, base_submission_id, work_item_id, \
         status, expires_at, created_at, updated_at"
    };
}

/// How many a sweep ends in one transaction.
const SWEEP: i64 = 1000;

/// Stores a claim.
pub async fn insert(conn: &mut Conn, claim: &ClaimRow) -> ApiResult<()> {
    sqlx::query(
        "INSERT INTO claims (id, task_id, miner_hotkey, claim_description, base_submission_id, \
         work_item_id, status, expires_at, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
    )
    .bind(claim.id.clone())
    .bind(claim.task_id.clone())
    .bind(claim.miner_hotkey.clone())
    .bind(claim.claim_description.clone())
    .bind(claim.base_submission_id.clone())
    .bind(claim.work_item_id.clone())
    .bind(claim.status.as_str())
    .bind(claim.expires_at)
    .bind(claim.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// One claim; 404 if there is none.
pub async fn get(conn: &mut Conn, id: &str) -> ApiResult<ClaimRow> {
    sqlx::query_as(concat!("SELECT ", columns!(), " FROM claims WHERE id = $1"))
        .bind(id.to_owned())
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| ApiError::not_found("claim_not_found", format!("no claim {id}")))
}

/// One page of claims, newest first. Sweep first, or `active` may lie.
pub async fn list(
    conn: &mut Conn,
    task_id: Option<&str>,
    status: Option<&str>,
    page: &Page,
) -> ApiResult<Vec<ClaimRow>> {
    Ok(list!(
        conn,
        ClaimRow,
        columns!(),
        "claims",
        "task_id" = task_id,
        "status" = status,
        page
    )?)
}

/// How many live claims a miner holds on a task.
pub async fn held(conn: &mut Conn, task_id: &str, hotkey: &str, now: Timestamp) -> ApiResult<i64> {
    Ok(sqlx::query_scalar(
        "SELECT COUNT(*) FROM claims WHERE task_id = $1 AND miner_hotkey = $2 \
         AND status = 'active' AND expires_at > $3",
    )
    .bind(task_id.to_owned())
    .bind(hotkey.to_owned())
    .bind(now)
    .fetch_one(conn)
    .await?)
}

/// Ends a live claim. False if it is not live, or was ended by another request
/// at the same moment.
pub async fn end(
    conn: &mut Conn,
    id: &str,
    status: &'static str,
    now: Timestamp,
) -> ApiResult<bool> {
    let done = sqlx::query(
        "UPDATE claims SET status = $1, updated_at = $2 \
         WHERE id = $3 AND status = 'active' AND expires_at > $2",
    )
    .bind(status)
    .bind(now)
    .bind(id.to_owned())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether a claim is still called active and is not.
pub async fn any_due(conn: &mut Conn, now: Timestamp) -> ApiResult<bool> {
    let due: Option<i64> = sqlx::query_scalar(
        "SELECT expires_at FROM claims WHERE status = 'active' AND expires_at <= $1 LIMIT 1",
    )
    .bind(now)
    .fetch_optional(conn)
    .await?;
    Ok(due.is_some())
}

/// Ends the claims that lived out their time, and frees their work items.
/// Returns how many; call again while it is as many as one sweep takes.
pub async fn expire(conn: &mut Conn, now: Timestamp) -> ApiResult<usize> {
    let ended: Vec<(String, String)> = sqlx::query_as(
        "UPDATE claims SET status = 'expired', updated_at = expires_at WHERE status = 'active' \
         AND id IN (SELECT id FROM claims WHERE status = 'active' AND expires_at <= $1 \
         ORDER BY expires_at LIMIT $2) RETURNING id, task_id",
    )
    .bind(now)
    .bind(SWEEP)
    .fetch_all(&mut *conn)
    .await?;
    let cause = Cause::system(now);
    for (id, task_id) in &ended {
        super::work_items::release(conn, id, now).await?;
        let event = Event {
            action: "claim.expired",
            subject: id,
            task_id: Some(task_id),
        };
        events::record(conn, &cause, event, &serde_json::json!({})).await?;
    }
    Ok(ended.len())
}
