//! The replay cache: a signature is accepted once, by whichever process sees it
//! first, and still after a restart.

use super::{Conn, Store};
use crate::error::ApiResult;
use crate::time::Timestamp;

/// Remembers a signature. False if it was used before.
pub async fn consume(store: &Store, signature: String, expires_at: Timestamp) -> ApiResult<bool> {
    store
        .write(move |conn| {
            Box::pin(async move {
                let done = sqlx::query(
                    "INSERT INTO used_signatures (signature, expires_at) VALUES ($1, $2) \
                     ON CONFLICT (signature) DO NOTHING",
                )
                .bind(signature)
                .bind(expires_at)
                .execute(conn)
                .await?;
                Ok(done.rows_affected() == 1)
            })
        })
        .await
}

/// Forgets the signatures whose timestamps would be refused by now.
pub async fn forget_stale(conn: &mut Conn, now: Timestamp) -> ApiResult<u64> {
    let done = sqlx::query("DELETE FROM used_signatures WHERE expires_at < $1")
        .bind(now)
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}
