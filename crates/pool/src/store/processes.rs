//! Which of the pool's processes run, for its operators' monitors.

use sqlx::Row as _;

use super::{Store, StoreError, column, now, number};

/// A process that said that it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its name.
    pub name: String,
    /// The account that it signs with, as an address.
    pub account: Option<String>,
    /// When it last said so, in Unix seconds.
    pub seen_at: u64,
}

impl Store {
    /// Notes that a process runs.
    ///
    /// # Errors
    /// The database's.
    pub async fn seen(&self, name: &str, account: Option<&str>) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO processes (name, account, seen_at) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET account = excluded.account, seen_at = excluded.seen_at",
        )
        .bind(name.to_owned())
        .bind(account.map(str::to_owned))
        .bind(column("seen_at", now())?)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// All processes that ever said that they run, by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn processes(&self) -> Result<Vec<Process>, StoreError> {
        let rows = sqlx::query("SELECT * FROM processes ORDER BY name")
            .fetch_all(&self.pool)
            .await?;
        let mut processes = Vec::with_capacity(rows.len());
        for row in &rows {
            processes.push(Process {
                name: row.try_get("name")?,
                account: row.try_get("account")?,
                seen_at: number("seen_at", row.try_get("seen_at")?)?,
            });
        }
        Ok(processes)
    }
}
