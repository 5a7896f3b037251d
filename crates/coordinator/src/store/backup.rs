//! A copy of a running SQLite database. PostgreSQL has its own tools for that.

use std::path::Path;

use super::{Dialect, Store};

/// Why no backup was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file is there already; a backup never overwrites.
    #[error("{0} exists; a backup never overwrites a file")]
    Exists(String),
    /// Not SQLite.
    #[error("back PostgreSQL up with pg_dump; it is safe while the coordinator runs")]
    Postgres,
    /// The path is not text.
    #[error("the path is not UTF-8")]
    Path,
    /// The database failed.
    #[error("cannot write the backup: {0}")]
    Database(#[from] sqlx::Error),
}

/// Writes a consistent copy of the database to `file` while others write to it.
pub async fn backup(store: &Store, file: &Path) -> Result<(), BackupError> {
    if store.dialect() == Dialect::Postgres {
        return Err(BackupError::Postgres);
    }
    if file.exists() {
        return Err(BackupError::Exists(file.display().to_string()));
    }
    let name = file.to_str().ok_or(BackupError::Path)?.to_owned();
    // VACUUM INTO reads one snapshot and writes a compact copy of it.
    sqlx::query("VACUUM INTO $1")
        .bind(name)
        .execute(store.reads())
        .await?;
    Ok(())
}
