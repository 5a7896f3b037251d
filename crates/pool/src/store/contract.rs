//! What the publisher last saw of the contract, for its operators' monitors: the
//! service has no chain connection of its own.

use sqlx::Row as _;

use super::{Store, StoreError, column, now, number};
use crate::chain::Published;

/// The newest published epoch, as it was at a finalized block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractSeen {
    /// When it was read, in Unix seconds.
    pub seen_at: u64,
    /// The finalized block of that state.
    pub finalized_block: u64,
    /// Whether it is challenged, and claims are closed.
    pub is_disputed: bool,
    /// The block from which it can be claimed.
    pub claims_open_at: u64,
}

impl ContractSeen {
    /// Whether the epoch can be claimed.
    pub fn is_open(&self) -> bool {
        !self.is_disputed && self.finalized_block >= self.claims_open_at
    }
}

impl Store {
    /// Notes what was just seen of the newest published epoch.
    ///
    /// # Errors
    /// The database's.
    pub async fn saw_contract(
        &self,
        finalized_block: u64,
        newest: &Published,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO contract (id, seen_at, finalized_block, is_disputed, claims_open_at) \
             VALUES (1, $1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, \
             finalized_block = excluded.finalized_block, is_disputed = excluded.is_disputed, \
             claims_open_at = excluded.claims_open_at",
        )
        .bind(column("seen_at", now())?)
        .bind(column("block", finalized_block)?)
        .bind(i64::from(newest.is_disputed))
        .bind(column("block", newest.claims_open_at)?)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What was last seen, if anything was.
    ///
    /// # Errors
    /// The database's.
    pub async fn contract_seen(&self) -> Result<Option<ContractSeen>, StoreError> {
        let row = sqlx::query("SELECT * FROM contract")
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(ContractSeen {
            seen_at: number("seen_at", row.try_get("seen_at")?)?,
            finalized_block: number("block", row.try_get("finalized_block")?)?,
            is_disputed: row.try_get::<i64, _>("is_disputed")? != 0,
            claims_open_at: number("block", row.try_get("claims_open_at")?)?,
        }))
    }
}
