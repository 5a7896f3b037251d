//! Planned work items.

use super::Conn;
use super::page::{Page, list};
use super::rows::WorkItemRow;
use crate::error::{ApiError, ApiResult};
use crate::rules::planner::Planned;
use crate::time::Timestamp;

macro_rules! columns {
    () => {
        "id, task_id, kind, priority, title, description, base_submission_id, \
         idea_submission_id, status, claim_id, claimed_by, submission_id, created_at, updated_at"
    };
}

/// Stores a planned item unless it is there; an open one gets the new priority.
/// True if it is new.
pub async fn upsert(
    conn: &mut Conn,
    task_id: &str,
    item: &Planned,
    now: Timestamp,
) -> ApiResult<bool> {
    let id = uuid::Uuid::new_v4().to_string();
    let stored: String = sqlx::query_scalar(
        "INSERT INTO work_items (id, task_id, kind, source, priority, title, description, \
         base_submission_id, idea_submission_id, status, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', $10, $10) \
         ON CONFLICT (task_id, kind, source) DO UPDATE SET priority = excluded.priority \
         RETURNING id",
    )
    .bind(id.clone())
    .bind(task_id.to_owned())
    .bind(item.kind.as_str())
    .bind(item.source.clone())
    .bind(item.priority)
    .bind(item.title.clone())
    .bind(item.description.clone())
    .bind(item.base_submission_id.clone())
    .bind(item.idea_submission_id.clone())
    .bind(now)
    .fetch_one(conn)
    .await?;
    Ok(stored == id)
}

/// Retires the open items of a task that the plan does not have any more.
pub async fn retire_others(
    conn: &mut Conn,
    task_id: &str,
    plan: &[Planned],
    now: Timestamp,
) -> ApiResult<usize> {
    let open: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT id, kind, source FROM work_items WHERE task_id = $1 AND status = 'open'",
    )
    .bind(task_id.to_owned())
    .fetch_all(&mut *conn)
    .await?;
    let mut retired = 0;
    for (id, kind, source) in open {
        if plan
            .iter()
            .any(|item| item.kind.as_str() == kind && item.source == source)
        {
            continue;
        }
        sqlx::query(
            "UPDATE work_items SET status = 'obsolete', updated_at = $1 \
             WHERE id = $2 AND status = 'open'",
        )
        .bind(now)
        .bind(id)
        .execute(&mut *conn)
        .await?;
        retired += 1;
    }
    Ok(retired)
}

/// One work item; 404 if there is none.
pub async fn get(conn: &mut Conn, id: &str) -> ApiResult<WorkItemRow> {
    sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM work_items WHERE id = $1"
    ))
    .bind(id.to_owned())
    .fetch_optional(conn)
    .await?
    .ok_or_else(|| ApiError::not_found("work_item_not_found", format!("no work item {id}")))
}

/// One page of work items, newest first.
pub async fn list(
    conn: &mut Conn,
    task_id: Option<&str>,
    status: Option<&str>,
    page: &Page,
) -> ApiResult<Vec<WorkItemRow>> {
    Ok(list!(
        conn,
        WorkItemRow,
        columns!(),
        "work_items",
        "task_id" = task_id,
        "status" = status,
        page
    )?)
}

/// Links an open item to a claim. False if somebody else was faster.
pub async fn take(
    conn: &mut Conn,
    id: &str,
    claim_id: &str,
    hotkey: &str,
    now: Timestamp,
) -> ApiResult<bool> {
    let done = sqlx::query(
        "UPDATE work_items SET status = 'claimed', claim_id = $1, claimed_by = $2, \
         updated_at = $3 WHERE id = $4 AND status = 'open'",
    )
    .bind(claim_id.to_owned())
    .bind(hotkey.to_owned())
    .bind(now)
    .bind(id.to_owned())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Opens the item of a claim that ended without a submission.
pub async fn release(conn: &mut Conn, claim_id: &str, now: Timestamp) -> ApiResult<()> {
    sqlx::query(
        "UPDATE work_items SET status = 'open', claim_id = NULL, claimed_by = NULL, \
         updated_at = $1 WHERE claim_id = $2 AND status = 'claimed'",
    )
    .bind(now)
    .bind(claim_id.to_owned())
    .execute(conn)
    .await?;
    Ok(())
}

/// Completes the item of a claim that was submitted for.
pub async fn complete(
    conn: &mut Conn,
    claim_id: &str,
    submission_id: &str,
    now: Timestamp,
) -> ApiResult<()> {
    sqlx::query(
        "UPDATE work_items SET status = 'completed', submission_id = $1, updated_at = $2 \
         WHERE claim_id = $3 AND status = 'claimed'",
    )
    .bind(submission_id.to_owned())
    .bind(now)
    .bind(claim_id.to_owned())
    .execute(conn)
    .await?;
    Ok(())
}
