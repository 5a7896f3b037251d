//! The pool's database. One schema and one SQL text serve SQLite and PostgreSQL.

mod checks;
mod claimed;
mod contract;
mod deliveries;
mod epochs;
mod open;
mod processes;
mod recipients;

pub use checks::{Check, Verdict};
pub use claimed::{Claimed, ClaimedReading};
pub use contract::ContractSeen;
pub use deliveries::Delivery;
pub use epochs::{EpochRow, Frozen, State, standing};
pub use open::OpenError;
pub use processes::Process;
pub use recipients::RecipientRow;

use sqlx::{Any, AnyPool, Transaction};

/// An open database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    /// What a transaction that will write begins with.
    begin: &'static str,
}

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A row that this program would not have written.
    #[error("the database has an unreadable {what}: {value:?}")]
    Unreadable {
        /// What it should be.
        what: &'static str,
        /// What is there.
        value: String,
    },
    /// The mappings of an epoch are fixed, and it is not published yet.
    #[error("epoch {0} is frozen; recipients can be changed again when it is published")]
    Frozen(u64),
    /// A mapping that is older than the one in force, or as old.
    #[error(
        "a mapping signed at {in_force} is in force, and this one was signed at {given}; sign again with the time of now"
    )]
    NotNewer {
        /// When the one in force was signed, in Unix seconds.
        in_force: u64,
        /// When this one was signed, in Unix seconds.
        given: u64,
    },
    /// An epoch of that number, or a later one, is there.
    #[error("epoch {epoch} cannot begin: {why}")]
    Order {
        /// The one that should begin.
        epoch: u64,
        /// What is in the way.
        why: String,
    },
    /// The epoch's state does not allow it.
    #[error("epoch {epoch}: {why}")]
    State {
        /// Which epoch.
        epoch: u64,
        /// Why not.
        why: &'static str,
    },
    /// Another call by the same name is on its way or done.
    #[error("{name} was already begun with another content; nothing is sent")]
    OtherCall {
        /// Which delivery.
        name: String,
    },
}

type Write = Transaction<'static, Any>;

impl Store {
    /// A transaction in which nobody else changes anything.
    async fn turn(&self) -> Result<Write, StoreError> {
        let mut transaction = self.pool.begin_with(self.begin).await?;
        sqlx::query("UPDATE gate SET turns = turns + 1 WHERE id = 1")
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Closes every connection; running work ends first.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Reads a column's text as what it should be.
fn read<T: std::str::FromStr>(what: &'static str, value: &str) -> Result<T, StoreError> {
    value.parse().map_err(|_| StoreError::Unreadable {
        what,
        value: value.to_owned(),
    })
}

/// A number as the database has it: 63 bits.
fn column(what: &'static str, number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Unreadable {
        what,
        value: number.to_string(),
    })
}

/// A number that this program wrote.
fn number(what: &'static str, value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Unreadable {
        what,
        value: value.to_string(),
    })
}

/// Seconds since 1970, by this machine's clock.
pub fn now() -> u64 {
    let seconds = time::OffsetDateTime::now_utc().unix_timestamp();
    u64::try_from(seconds).unwrap_or_default()
}
