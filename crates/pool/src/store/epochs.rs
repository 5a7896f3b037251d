//! Epochs, from the moment their inputs are fixed until they are on the chain.

use std::collections::BTreeSet;

use protocol::Sha256Digest;
use protocol::claims::RecipientUpdate;
use protocol::ss58::Address;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::{Store, StoreError, column, now, number, read};
use crate::Rao;

/// How far an epoch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its inputs are fixed.
    Frozen,
    /// Its file is kept.
    Built,
    /// The chain has its root for good.
    Published,
    /// Its number was struck down on the chain: nobody can ever claim from it.
    Void,
}

impl State {
    /// Whether claim packages of it are handed out.
    pub fn is_served(self) -> bool {
        matches!(self, Self::Built | Self::Published)
    }
}

/// An epoch as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochRow {
    /// Its number.
    pub epoch: u64,
    /// How far it is.
    pub state: State,
    /// What it is computed from.
    pub frozen: Frozen,
    /// The mappings when it froze.
    pub recipients_sha256: Sha256Digest,
    /// When it froze, in Unix seconds.
    pub frozen_at: u64,
    /// The epoch file, once it is built.
    pub file_sha256: Option<Sha256Digest>,
}

/// The inputs that are chosen when an epoch freezes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frozen {
    /// The contract that pays it.
    pub contract: Address,
    /// What is divided.
    pub budget_rao: Rao,
    /// The reward snapshot.
    pub snapshot_sha256: Sha256Digest,
    /// The epoch file before.
    pub previous_sha256: Option<Sha256Digest>,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::Built => "built",
            Self::Published => "published",
            Self::Void => "void",
        }
    }
}

impl std::str::FromStr for State {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [Self::Frozen, Self::Built, Self::Published, Self::Void];
        all.into_iter().find(|one| one.name() == text).ok_or(())
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// The newest of `rows` that was not struck down: the next epoch stands on it.
pub fn standing(rows: &[EpochRow]) -> Option<&EpochRow> {
    rows.iter().rev().find(|row| row.state != State::Void)
}

const ALL: &str = "SELECT * FROM epochs ORDER BY epoch";

impl Store {
    /// All epochs, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn epochs(&self) -> Result<Vec<EpochRow>, StoreError> {
        let rows = sqlx::query(ALL).fetch_all(&self.pool).await?;
        rows.iter().map(of_row).collect()
    }

    /// One epoch.
    ///
    /// # Errors
    /// The database's.
    pub async fn epoch(&self, epoch: u64) -> Result<Option<EpochRow>, StoreError> {
        let Ok(epoch) = i64::try_from(epoch) else {
            return Ok(None);
        };
        let row = sqlx::query("SELECT * FROM epochs WHERE epoch = $1")
            .bind(epoch)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(of_row).transpose()
    }

    /// Fixes an epoch's inputs. `keep` keeps the mappings in force of the hotkeys
    /// that have earned something, and says their document's digest; from then on
    /// no mapping changes until the epoch is published.
    ///
    /// # Errors
    /// [`StoreError::Order`], what `keep` says, or the database's.
    pub async fn freeze<E: From<StoreError>>(
        &self,
        epoch: u64,
        frozen: Frozen,
        earned: &BTreeSet<Address>,
        keep: impl FnOnce(Vec<RecipientUpdate>) -> Result<Sha256Digest, E>,
    ) -> Result<EpochRow, E> {
        let mut turn = self.turn().await?;
        check_order(&mut turn, epoch, &frozen).await?;
        let mut mappings = super::recipients::current(&mut turn).await?;
        mappings.retain(|one| earned.contains(&one.hotkey.address()));
        let row = EpochRow {
            epoch,
            state: State::Frozen,
            frozen,
            recipients_sha256: keep(mappings)?,
            frozen_at: now(),
            file_sha256: None,
        };
        insert(&mut turn, &row).await?;
        turn.commit().await.map_err(StoreError::from)?;
        Ok(row)
    }

    /// Notes the epoch's file.
    ///
    /// # Errors
    /// [`StoreError::State`] if the epoch was taken back meanwhile, or the
    /// database's.
    pub async fn set_built(&self, epoch: u64, file: Sha256Digest) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE epochs SET state = 'built', file_sha256 = $2 WHERE epoch = $1 AND state = 'frozen'",
        )
        .bind(column("epoch", epoch)?)
        .bind(file.to_string())
        .execute(&self.pool)
        .await?;
        let why = "is not frozen any more";
        expect_one(done.rows_affected(), epoch, why)
    }

    /// Notes that the chain has the epoch for good: mappings may change again.
    ///
    /// # Errors
    /// [`StoreError::State`] if it is not built, or the database's.
    pub async fn set_published(&self, epoch: u64) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE epochs SET state = 'published' WHERE epoch = $1 AND state IN ('built', 'published')",
        )
        .bind(column("epoch", epoch)?)
        .execute(&self.pool)
        .await?;
        expect_one(done.rows_affected(), epoch, "is not built")
    }

    /// Notes that the epoch's number was struck down on the chain: the next epoch
    /// stands on the one before it, and mappings may change again.
    ///
    /// # Errors
    /// [`StoreError::State`] if it is not built, or the database's.
    pub async fn set_void(&self, epoch: u64) -> Result<(), StoreError> {
        let done =
            sqlx::query("UPDATE epochs SET state = 'void' WHERE epoch = $1 AND state <> 'frozen'")
                .bind(column("epoch", epoch)?)
                .execute(&self.pool)
                .await?;
        expect_one(done.rows_affected(), epoch, "is not built")
    }

    /// Takes back an epoch that is on no way to the chain: nothing was signed for it.
    /// What was only tried, and refused by the dry run, is forgotten with it.
    ///
    /// # Errors
    /// [`StoreError::State`], or the database's.
    pub async fn thaw(&self, epoch: u64) -> Result<(), StoreError> {
        let mut turn = self.turn().await?;
        let name = crate::delivery::publish_name(epoch);
        let signed = sqlx::query(
            "SELECT name FROM deliveries WHERE name = $1 \
             AND (signed_hex IS NOT NULL OR done_at_block IS NOT NULL)",
        )
        .bind(name.clone())
        .fetch_optional(&mut *turn)
        .await?;
        if signed.is_some() {
            let why = "its publication was signed, so it cannot be taken back";
            return Err(StoreError::State { epoch, why });
        }
        // A publisher that is about to sign finds its row gone, and keeps nothing.
        sqlx::query("DELETE FROM deliveries WHERE name = $1")
            .bind(name)
            .execute(&mut *turn)
            .await?;
        let done = sqlx::query(
            "DELETE FROM epochs WHERE epoch = $1 AND state IN ('frozen', 'built') \
             AND epoch = (SELECT MAX(epoch) FROM epochs)",
        )
        .bind(column("epoch", epoch)?)
        .execute(&mut *turn)
        .await?;
        let why = "is not the newest epoch, or is published";
        expect_one(done.rows_affected(), epoch, why)?;
        turn.commit().await?;
        Ok(())
    }
}

fn expect_one(rows: u64, epoch: u64, why: &'static str) -> Result<(), StoreError> {
    match rows {
        1 => Ok(()),
        _ => Err(StoreError::State { epoch, why }),
    }
}

/// The epoch whose mappings are fixed while it is not on the chain, if any.
pub(super) async fn frozen_epoch(
    connection: &mut AnyConnection,
) -> Result<Option<u64>, StoreError> {
    let row =
        sqlx::query("SELECT MIN(epoch) AS epoch FROM epochs WHERE state IN ('frozen', 'built')")
            .fetch_one(connection)
            .await?;
    let epoch: Option<i64> = row.try_get("epoch")?;
    epoch.map(|epoch| number("epoch", epoch)).transpose()
}

async fn check_order(
    connection: &mut AnyConnection,
    epoch: u64,
    frozen: &Frozen,
) -> Result<(), StoreError> {
    let rows = sqlx::query(ALL).fetch_all(connection).await?;
    let rows: Vec<EpochRow> = rows.iter().map(of_row).collect::<Result<_, _>>()?;
    let refuse = |why| Err(StoreError::Order { epoch, why });
    match rows.last() {
        Some(row) if row.epoch >= epoch => refuse(format!("epoch {} is there", row.epoch)),
        Some(row) if row.state == State::Frozen => {
            refuse(format!("epoch {} is frozen, and not built", row.epoch))
        }
        _ if standing(&rows).and_then(|row| row.file_sha256) != frozen.previous_sha256 => {
            refuse("another epoch was begun at the same moment".to_owned())
        }
        _ => Ok(()),
    }
}

async fn insert(connection: &mut AnyConnection, row: &EpochRow) -> Result<(), StoreError> {
    let text = |digest: Option<Sha256Digest>| digest.map(|digest| digest.to_string());
    sqlx::query(
        "INSERT INTO epochs (epoch, state, contract, budget_rao, snapshot_sha256, \
         recipients_sha256, previous_sha256, frozen_at) \
         VALUES ($1, 'frozen', $2, $3, $4, $5, $6, $7)",
    )
    .bind(column("epoch", row.epoch)?)
    .bind(row.frozen.contract.to_string())
    .bind(row.frozen.budget_rao.to_string())
    .bind(row.frozen.snapshot_sha256.to_string())
    .bind(row.recipients_sha256.to_string())
    .bind(text(row.frozen.previous_sha256))
    .bind(column("frozen_at", row.frozen_at)?)
    .execute(connection)
    .await?;
    Ok(())
}

fn of_row(row: &AnyRow) -> Result<EpochRow, StoreError> {
    let text = |name| row.try_get::<String, _>(name);
    let digest = |name| -> Result<Option<Sha256Digest>, StoreError> {
        let value: Option<String> = row.try_get(name)?;
        value.map(|value| read("digest", &value)).transpose()
    };
    Ok(EpochRow {
        epoch: number("epoch", row.try_get("epoch")?)?,
        state: read("state", &text("state")?)?,
        frozen: Frozen {
            contract: read("contract", &text("contract")?)?,
            budget_rao: read("budget", &text("budget_rao")?)?,
            snapshot_sha256: read("digest", &text("snapshot_sha256")?)?,
            previous_sha256: digest("previous_sha256")?,
        },
        recipients_sha256: read("digest", &text("recipients_sha256")?)?,
        frozen_at: number("frozen_at", row.try_get("frozen_at")?)?,
        file_sha256: digest("file_sha256")?,
    })
}
