//! The audit trail: who did what when, in the same transaction as the deed.

use serde::Serialize;

use super::Conn;
use super::rows::{EventRow, JsonText};
use crate::error::ApiResult;
use crate::time::Timestamp;

/// Who asked for a change, and with which request.
#[derive(Debug, Clone)]
pub struct Cause {
    /// A hotkey, `admin` or `system`.
    pub actor: String,
    /// SHA-256 of the request's canonical body.
    pub request_digest: Option<String>,
    /// When the service decided it.
    pub at: Timestamp,
}

impl Cause {
    /// The passage of time, or a rule that follows from another change.
    pub fn system(at: Timestamp) -> Self {
        Self {
            actor: "system".to_owned(),
            request_digest: None,
            at,
        }
    }
}

/// What happened to what.
#[derive(Debug)]
pub struct Event<'a> {
    /// A stable dotted verb: `claim.created`.
    pub action: &'static str,
    /// The id of what changed.
    pub subject: &'a str,
    /// Its task, if it has one.
    pub task_id: Option<&'a str>,
}

/// Appends one event. `detail` never holds private inputs, logs or patches.
pub async fn record(
    conn: &mut Conn,
    cause: &Cause,
    event: Event<'_>,
    detail: &(impl Serialize + Sync),
) -> ApiResult<()> {
    sqlx::query(
        "INSERT INTO events (at, actor, action, subject, task_id, request_digest, detail) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(cause.at)
    .bind(cause.actor.clone())
    .bind(event.action)
    .bind(event.subject.to_owned())
    .bind(event.task_id.map(str::to_owned))
    .bind(cause.request_digest.clone())
    .bind(JsonText::of(detail))
    .execute(conn)
    .await?;
    Ok(())
}

/// The events after `seq`, oldest first.
pub async fn after(conn: &mut Conn, seq: i64, limit: i64) -> ApiResult<Vec<EventRow>> {
    Ok(sqlx::query_as(
        "SELECT seq, at, actor, action, subject, task_id, request_digest, detail \
         FROM events WHERE seq > $1 ORDER BY seq LIMIT $2",
    )
    .bind(seq)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// Everything that happened to one thing, oldest first.
pub async fn of(conn: &mut Conn, subject: &str) -> ApiResult<Vec<EventRow>> {
    Ok(sqlx::query_as(
        "SELECT seq, at, actor, action, subject, task_id, request_digest, detail \
         FROM events WHERE subject = $1 ORDER BY seq LIMIT 500",
    )
    .bind(subject.to_owned())
    .fetch_all(conn)
    .await?)
}
