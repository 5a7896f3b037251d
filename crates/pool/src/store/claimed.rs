//! What the contract had paid each hotkey, as the publisher last read it: the service
//! has no chain connection of its own.

use std::collections::BTreeMap;

use protocol::Sha256Digest;
use protocol::ss58::Address;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::{Store, StoreError, column, number, read};
use crate::Rao;
use crate::chain::{Books, BooksSeen, Paid};

/// Of which state of the contract the kept amounts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimedReading {
    /// The epoch file whose hotkeys were asked about.
    pub file_sha256: Sha256Digest,
    /// The contract's books, and the finalized block at which they stood so.
    pub seen: BooksSeen,
}

/// What the contract had paid in all, at one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The number of the finalized block.
    pub finalized_block: u64,
    /// By hotkey; one that is not there was paid nothing.
    pub amounts: BTreeMap<Address, Rao>,
}

// One statement, and so one reading: two would see what a publisher commits between.
const ALL: &str = "SELECT r.finalized_block, c.hotkey, c.amount_rao \
                   FROM claimed_reading r LEFT JOIN claimed c ON TRUE";

impl Store {
    /// Of which state of the contract the kept amounts are, if any are kept.
    ///
    /// # Errors
    /// The database's.
    pub async fn claimed_reading(&self) -> Result<Option<ClaimedReading>, StoreError> {
        let row = sqlx::query("SELECT * FROM claimed_reading")
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(of_row).transpose()
    }

    /// The kept amounts, if any are kept.
    ///
    /// # Errors
    /// The database's.
    pub async fn claimed(&self) -> Result<Option<Claimed>, StoreError> {
        let rows = sqlx::query(ALL).fetch_all(&self.pool).await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let finalized_block = number("block", first.try_get("finalized_block")?)?;
        let mut amounts = BTreeMap::new();
        for row in &rows {
            // A reading of which nobody was paid has one row without a hotkey.
            if let Some(hotkey) = row.try_get::<Option<String>, _>("hotkey")? {
                let amount: String = row.try_get("amount_rao")?;
                amounts.insert(read("hotkey", &hotkey)?, read("amount", &amount)?);
            }
        }
        Ok(Some(Claimed {
            finalized_block,
            amounts,
        }))
    }

    /// Replaces what is kept by a reading of the hotkeys of this epoch file: all of it,
    /// or on an error nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn keep_claimed(&self, file: Sha256Digest, paid: &Paid) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with(self.begin).await?;
        // This row first: whoever else keeps a reading waits here.
        keep_reading(&mut transaction, file, &paid.seen).await?;
        let kept = sqlx::query("SELECT hotkey, amount_rao FROM claimed")
            .fetch_all(&mut *transaction)
            .await?;
        let mut before = BTreeMap::new();
        for row in &kept {
            let (hotkey, amount): (String, String) =
                (row.try_get("hotkey")?, row.try_get("amount_rao")?);
            before.insert(hotkey, amount);
        }
        // Claims come one by one, so that most rows stay as they are.
        for (hotkey, amount) in paid.amounts.iter().filter(|(_, amount)| amount.0 > 0) {
            let (hotkey, amount) = (hotkey.to_string(), amount.to_string());
            if before.remove(&hotkey).as_ref() != Some(&amount) {
                set_amount(&mut transaction, hotkey, amount).await?;
            }
        }
        for hotkey in before.into_keys() {
            sqlx::query("DELETE FROM claimed WHERE hotkey = $1")
                .bind(hotkey)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Notes that a kept reading of this epoch file's hotkeys holds for a later block,
    /// too.
    ///
    /// # Errors
    /// The database's.
    pub async fn claimed_still_holds(
        &self,
        file: Sha256Digest,
        finalized_block: u64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE claimed_reading SET finalized_block = $1 \
             WHERE file_sha256 = $2 AND finalized_block < $1",
        )
        .bind(column("block", finalized_block)?)
        .bind(file.to_string())
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

async fn keep_reading(
    connection: &mut AnyConnection,
    file: Sha256Digest,
    seen: &BooksSeen,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO claimed_reading (id, finalized_block, file_sha256, latest_epoch, outstanding_rao) \
         VALUES (1, $1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET \
         finalized_block = excluded.finalized_block, file_sha256 = excluded.file_sha256, \
         latest_epoch = excluded.latest_epoch, outstanding_rao = excluded.outstanding_rao",
    )
    .bind(column("block", seen.finalized_block)?)
    .bind(file.to_string())
    .bind(seen.books.latest_epoch.map(|epoch| epoch.to_string()))
    .bind(seen.books.outstanding_rao.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

async fn set_amount(
    connection: &mut AnyConnection,
    hotkey: String,
    amount: String,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO claimed (hotkey, amount_rao) VALUES ($1, $2) \
         ON CONFLICT (hotkey) DO UPDATE SET amount_rao = excluded.amount_rao",
    )
    .bind(hotkey)
    .bind(amount)
    .execute(connection)
    .await?;
    Ok(())
}

fn of_row(row: &AnyRow) -> Result<ClaimedReading, StoreError> {
    let text = |name| row.try_get::<String, _>(name);
    let latest: Option<String> = row.try_get("latest_epoch")?;
    let latest = latest.map(|epoch| read("epoch", &epoch)).transpose()?;
    Ok(ClaimedReading {
        file_sha256: read("digest", &text("file_sha256")?)?,
        seen: BooksSeen {
            finalized_block: number("block", row.try_get("finalized_block")?)?,
            books: Books {
                latest_epoch: latest,
                outstanding_rao: read("amount", &text("outstanding_rao")?)?,
            },
        },
    })
}
