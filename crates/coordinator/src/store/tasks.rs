//! Tasks.

use super::Conn;
use super::page::{Page, list};
use super::rows::{TaskRow, TaskState};
use crate::error::{ApiError, ApiResult};
use crate::time::Timestamp;

macro_rules! columns {
    () => {
        "id, slug, state, quorum, base_commit, document, created_at, updated_at"
    };
}

/// A task that is about to be stored.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct NewTask {
    pub id: String,
    pub slug: String,
    pub competition_mode: String,
    pub quorum: i64,
    pub base_commit: String,
    pub document: String,
}

/// Stores a live task; 409 if its slug is taken.
pub async fn insert(conn: &mut Conn, task: &NewTask, at: Timestamp) -> ApiResult<()> {
    let done = sqlx::query(
        "INSERT INTO tasks (id, slug, state, competition_mode, quorum, base_commit, \
         document, created_at, updated_at) VALUES ($1, $2, 'live', $3, $4, $5, $6, $7, $7) \
         ON CONFLICT (slug) DO NOTHING",
    )
    .bind(task.id.clone())
    .bind(task.slug.clone())
    .bind(task.competition_mode.clone())
    .bind(task.quorum)
    .bind(task.base_commit.clone())
    .bind(task.document.clone())
    .bind(at)
    .execute(conn)
    .await?;
    if done.rows_affected() == 0 {
        let detail = format!("a task with slug {:?} exists", task.slug);
        return Err(ApiError::conflict("slug_taken", detail));
    }
    Ok(())
}

/// One task; 404 if there is none.
pub async fn get(conn: &mut Conn, id: &str) -> ApiResult<TaskRow> {
    sqlx::query_as(concat!("SELECT ", columns!(), " FROM tasks WHERE id = $1"))
        .bind(id.to_owned())
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| ApiError::not_found("task_not_found", format!("no task {id}")))
}

/// One page of tasks, newest first.
pub async fn list(conn: &mut Conn, state: Option<&str>, page: &Page) -> ApiResult<Vec<TaskRow>> {
    Ok(list!(
        conn,
        TaskRow,
        columns!(),
        "tasks",
        "state" = state,
        "slug" = None,
        page
    )?)
}

/// Every task, oldest first: what the snapshot and the metrics are made of.
pub async fn all(conn: &mut Conn) -> ApiResult<Vec<TaskRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM tasks ORDER BY created_at, id"
    ))
    .fetch_all(conn)
    .await?)
}

/// Moves a task to `to` if it is in `from`. False if it is not.
pub async fn change_state(
    conn: &mut Conn,
    id: &str,
    from: &[TaskState],
    to: TaskState,
    at: Timestamp,
) -> ApiResult<bool> {
    for state in from {
        let done = sqlx::query(
            "UPDATE tasks SET state = $1, updated_at = $2 WHERE id = $3 AND state = $4",
        )
        .bind(to.as_str())
        .bind(at)
        .bind(id.to_owned())
        .bind(state.as_str())
        .execute(&mut *conn)
        .await?;
        if done.rows_affected() == 1 {
            return Ok(true);
        }
    }
    Ok(false)
}
