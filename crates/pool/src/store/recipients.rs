//! Who is paid: mappings, signed by the miners, with their history.

use protocol::claims::RecipientUpdate;
use protocol::hotkey::Hotkey;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::epochs::frozen_epoch;
use super::{Store, StoreError, column, now, number, read};

/// A mapping, and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecipientRow {
    /// The mapping.
    pub update: RecipientUpdate,
    /// When it was received, in Unix seconds by this machine's clock.
    pub received_at: u64,
}

const OF_HOTKEY: &str =
    "SELECT * FROM recipients WHERE hotkey = $1 ORDER BY signed_at DESC LIMIT $2";
const CURRENT: &str = "SELECT r.* FROM recipients r JOIN (SELECT hotkey, MAX(signed_at) AS newest \
                       FROM recipients GROUP BY hotkey) n ON r.hotkey = n.hotkey AND r.signed_at = n.newest";

impl Store {
    /// Puts a mapping in force whose signature was checked. The same one again
    /// changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Frozen`], [`StoreError::NotNewer`], or the database's.
    pub async fn set_recipient(&self, update: RecipientUpdate) -> Result<RecipientRow, StoreError> {
        let mut turn = self.turn().await?;
        let hotkey = update.hotkey.to_string();
        if let Some(row) = newest(&mut turn, &hotkey, 1).await?.pop() {
            let in_force = row.update;
            if in_force.signed_at == update.signed_at
                && in_force.recipient_coldkey == update.recipient_coldkey
            {
                return Ok(row);
            }
            if in_force.signed_at >= update.signed_at {
                return Err(StoreError::NotNewer {
                    in_force: in_force.signed_at,
                    given: update.signed_at,
                });
            }
        }
        if let Some(epoch) = frozen_epoch(&mut turn).await? {
            return Err(StoreError::Frozen(epoch));
        }
        let received_at = now();
        sqlx::query(
            "INSERT INTO recipients (hotkey, signed_at, recipient_coldkey, signature, received_at) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(hotkey)
        .bind(column("signed_at", update.signed_at)?)
        .bind(update.recipient_coldkey.to_string())
        .bind(update.signature.to_string())
        .bind(column("received_at", received_at)?)
        .execute(&mut *turn)
        .await?;
        turn.commit().await?;
        Ok(RecipientRow {
            update,
            received_at,
        })
    }

    /// The mappings of a hotkey, newest first, at most `limit`.
    ///
    /// # Errors
    /// The database's.
    pub async fn recipients_of(
        &self,
        hotkey: &Hotkey,
        limit: u32,
    ) -> Result<Vec<RecipientRow>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        newest(&mut connection, &hotkey.to_string(), limit).await
    }
}

async fn newest(
    connection: &mut AnyConnection,
    hotkey: &str,
    limit: u32,
) -> Result<Vec<RecipientRow>, StoreError> {
    let rows = sqlx::query(OF_HOTKEY)
        .bind(hotkey.to_owned())
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.iter().map(of_row).collect()
}

/// The mappings in force, of all hotkeys.
pub(super) async fn current(
    connection: &mut AnyConnection,
) -> Result<Vec<RecipientUpdate>, StoreError> {
    let rows = sqlx::query(CURRENT).fetch_all(connection).await?;
    let update = |row| of_row(row).map(|row| row.update);
    rows.iter().map(update).collect()
}

fn of_row(row: &AnyRow) -> Result<RecipientRow, StoreError> {
    let text = |name| row.try_get::<String, _>(name);
    Ok(RecipientRow {
        update: RecipientUpdate {
            hotkey: read("hotkey", &text("hotkey")?)?,
            recipient_coldkey: read("recipient coldkey", &text("recipient_coldkey")?)?,
            signed_at: number("signed_at", row.try_get("signed_at")?)?,
            signature: read("signature", &text("signature")?)?,
        },
        received_at: number("received_at", row.try_get("received_at")?)?,
    })
}
