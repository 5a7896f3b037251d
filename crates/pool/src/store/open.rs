//! Opening either database.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::AnyPool;
use sqlx::ConnectOptions as _;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migrator};

use super::Store;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Neither of the two databases. The rest of a URL may hold a password.
    #[error("{0:?} begins no database; write sqlite://FILE or postgres://…")]
    UnknownScheme(String),
    /// It could not be reached.
    #[error("cannot open the database: {0}")]
    Connect(#[from] sqlx::Error),
    /// Its schema could not be brought up to date.
    #[error("cannot migrate the database: {0}")]
    Migrate(#[from] MigrateError),
}

impl Store {
    /// Opens `sqlite://FILE`, which is made if it is not there, or
    /// `postgres://…`, and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let scheme = url.split(':').next().unwrap_or_default();
        let (url, begin, connections) = match scheme {
            "sqlite" if url.contains("mode=") => (url.to_owned(), "BEGIN IMMEDIATE", 1),
            "sqlite" => (with_mode(url), "BEGIN IMMEDIATE", 1),
            "postgres" | "postgresql" => (url.to_owned(), "BEGIN", 16),
            other => return Err(OpenError::UnknownScheme(other.to_owned())),
        };
        let options =
            AnyConnectOptions::from_str(&url)?.log_statements(tracing::log::LevelFilter::Trace);
        let mut pool = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(15));
        if scheme == "sqlite" {
            pool = pool.after_connect(|connection, _| {
                Box::pin(async move {
                    // FULL: an answered change survives a power cut.
                    let pragmas = "PRAGMA busy_timeout = 15000; PRAGMA journal_mode = WAL; \
                                   PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON";
                    sqlx::raw_sql(pragmas).execute(connection).await?;
                    Ok(())
                })
            });
        }
        let pool = pool.connect_with(options).await?;
        migrate(&pool).await?;
        Ok(Self { pool, begin })
    }
}

/// Brings the schema up to date. SQLite's migrations take no lock: of two processes that
/// open a new file together one finds made what it was about to make, and looks again.
async fn migrate(pool: &AnyPool) -> Result<(), MigrateError> {
    for _ in MIGRATIONS.iter() {
        if MIGRATIONS.run(pool).await.is_ok() {
            return Ok(());
        }
    }
    MIGRATIONS.run(pool).await
}

fn with_mode(url: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}mode=rwc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn those_who_open_a_new_file_together_all_get_it() {
        for _ in 0..10 {
            let directory = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}/pool.db", directory.path().display());
            let opened = (0..4).map(|_| {
                let url = url.clone();
                tokio::spawn(async move { Store::open(&url).await.map(|_| ()) })
            });
            for opened in opened.collect::<Vec<_>>() {
                opened.await.unwrap().unwrap();
            }
        }
    }
}
