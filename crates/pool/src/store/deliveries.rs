//! Calls to the contract that are on their way. A signed transaction is kept
//! before it is sent, so that after a crash the same bytes are sent again, and
//! never a second transaction while the first may still be included.

use sqlx::Row as _;

use super::{Store, StoreError, column, number};
use crate::chain::{Call, SignedCall};

/// A call on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// How often it was signed.
    pub attempt: u64,
    /// The transaction of the last attempt.
    pub signed: Option<SignedCall>,
    /// The finalized block at which the chain was seen to have it.
    pub done_at_block: Option<u64>,
}

/// A call as the database has it.
fn json_of(call: &Call) -> Result<String, StoreError> {
    serde_json::to_string(call).map_err(|error| StoreError::Unreadable {
        what: "delivery",
        value: error.to_string(),
    })
}

impl Store {
    /// The delivery called `name`, begun now if it was not. An epoch's publication
    /// begins only while the epoch is there with the file that the call names.
    ///
    /// # Errors
    /// [`StoreError::OtherCall`] if it was begun with another call,
    /// [`StoreError::State`] if the epoch was taken back, or the database's.
    pub async fn delivery(&self, name: &str, call: &Call) -> Result<Delivery, StoreError> {
        let json = json_of(call)?;
        let mut turn = self.turn().await?;
        if let Call::PublishEpoch { epoch, uri, .. } = call {
            let there = sqlx::query("SELECT file_sha256 FROM epochs WHERE epoch = $1")
                .bind(column("epoch", *epoch)?)
                .fetch_optional(&mut *turn)
                .await?;
            let file: Option<String> = match there {
                Some(row) => row.try_get("file_sha256")?,
                None => None,
            };
            if !file.is_some_and(|file| uri.ends_with(&file)) {
                let why = "was taken back, or built anew, meanwhile";
                return Err(StoreError::State { epoch: *epoch, why });
            }
        }
        sqlx::query(
            "INSERT INTO deliveries (name, call_json, attempt) VALUES ($1, $2, 0) \
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(name.to_owned())
        .bind(json.clone())
        .execute(&mut *turn)
        .await?;
        let row = sqlx::query("SELECT * FROM deliveries WHERE name = $1")
            .bind(name.to_owned())
            .fetch_one(&mut *turn)
            .await?;
        turn.commit().await?;
        let begun: String = row.try_get("call_json")?;
        if begun != json {
            let name = name.to_owned();
            return Err(StoreError::OtherCall { name });
        }
        let block = |column: &str| -> Result<Option<u64>, StoreError> {
            let value: Option<i64> = row.try_get(column)?;
            value.map(|value| number("block", value)).transpose()
        };
        let hex: Option<String> = row.try_get("signed_hex")?;
        let signed = hex.zip(block("valid_until_block")?);
        Ok(Delivery {
            attempt: number("attempt", row.try_get("attempt")?)?,
            signed: signed.map(|(hex, valid_until_block)| SignedCall {
                hex,
                valid_until_block,
            }),
            done_at_block: block("done_at_block")?,
        })
    }

    /// Keeps the transaction of the attempt after `attempt` to bring `call` in. False
    /// if another process was first, whose transaction is the one to send, or if the
    /// delivery is of another call by now: its epoch was taken back and built anew.
    ///
    /// # Errors
    /// The database's.
    pub async fn keep_signed(
        &self,
        name: &str,
        call: &Call,
        attempt: u64,
        signed: &SignedCall,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE deliveries SET attempt = attempt + 1, signed_hex = $3, valid_until_block = $4 \
             WHERE name = $1 AND attempt = $2 AND done_at_block IS NULL AND call_json = $5",
        )
        .bind(name.to_owned())
        .bind(column("attempt", attempt)?)
        .bind(signed.hex.clone())
        .bind(column("block", signed.valid_until_block)?)
        .bind(json_of(call)?)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes that the chain has it for good.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_delivered(&self, name: &str, block: u64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE deliveries SET done_at_block = $2 WHERE name = $1 AND done_at_block IS NULL",
        )
        .bind(name.to_owned())
        .bind(column("block", block)?)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
