//! Reward policies, every version kept.

use super::Conn;
use crate::error::ApiResult;
use crate::time::Timestamp;

/// One version of the policy document.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct PolicyRow {
    /// 1 for the first that was put.
    pub version: i64,
    /// The document's JSON.
    pub document: String,
    /// When it was put.
    pub created_at: Timestamp,
}

/// The newest version, if any was put.
pub async fn current(conn: &mut Conn) -> ApiResult<Option<PolicyRow>> {
    Ok(sqlx::query_as(
        "SELECT version, document, created_at FROM reward_policies ORDER BY version DESC LIMIT 1",
    )
    .fetch_optional(conn)
    .await?)
}

/// Appends a version. `None` if another writer took the number in between.
pub async fn append(conn: &mut Conn, document: &str, at: Timestamp) -> ApiResult<Option<i64>> {
    let last: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM reward_policies")
        .fetch_one(&mut *conn)
        .await?;
    let done = sqlx::query(
        "INSERT INTO reward_policies (version, document, created_at) VALUES ($1, $2, $3) \
         ON CONFLICT (version) DO NOTHING",
    )
    .bind(last + 1)
    .bind(document.to_owned())
    .bind(at)
    .execute(conn)
    .await?;
    Ok((done.rows_affected() == 1).then_some(last + 1))
}
