//! Idea rewards of centerless tasks.

use super::Conn;
use super::rows::IdeaRewardRow;
use crate::error::ApiResult;
use crate::time::Timestamp;

macro_rules! columns {
    () => {
        "idea_submission_id, implementing_submission_id, task_id, proposer_hotkey, \
         implementer_hotkey, improved_best, created_at"
    };
}

/// Records that an idea was implemented with success; once per implementation.
pub async fn insert(conn: &mut Conn, reward: &IdeaRewardRow) -> ApiResult<()> {
    sqlx::query(
        "INSERT INTO idea_rewards (idea_submission_id, implementing_submission_id, task_id, \
         proposer_hotkey, implementer_hotkey, improved_best, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (implementing_submission_id) DO NOTHING",
    )
    .bind(reward.idea_submission_id.clone())
    .bind(reward.implementing_submission_id.clone())
    .bind(reward.task_id.clone())
    .bind(reward.proposer_hotkey.clone())
    .bind(reward.implementer_hotkey.clone())
    .bind(i64::from(reward.improved_best.0))
    .bind(reward.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes back the reward that an implementation earned its idea, as when it turns
/// out to be a copy. False if there was none.
pub async fn revoke(conn: &mut Conn, implementing_submission_id: &str) -> ApiResult<bool> {
    let done = sqlx::query("DELETE FROM idea_rewards WHERE implementing_submission_id = $1")
        .bind(implementing_submission_id.to_owned())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The idea rewards of all tasks, by implementing submission.
pub async fn all(conn: &mut Conn) -> ApiResult<Vec<IdeaRewardRow>> {
    let mut rows: Vec<IdeaRewardRow> =
        sqlx::query_as(concat!("SELECT ", columns!(), " FROM idea_rewards"))
            .fetch_all(conn)
            .await?;
    // Databases sort text each in their own way.
    rows.sort_by(|a, b| {
        a.implementing_submission_id
            .cmp(&b.implementing_submission_id)
    });
    Ok(rows)
}

/// The newest idea rewards before a moment.
pub async fn newest(
    conn: &mut Conn,
    before: Timestamp,
    limit: i64,
) -> ApiResult<Vec<IdeaRewardRow>> {
    Ok(sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM idea_rewards WHERE created_at < $1 \
         ORDER BY created_at DESC, implementing_submission_id LIMIT $2"
    ))
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}
