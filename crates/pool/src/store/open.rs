//! Opening either database.

use std::str::FromStr as _;
use std::time::Duration;

use protocol::text::without_credentials;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyConnection, AnyPool, ConnectOptions as _, Connection as _};

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
    #[error("cannot open the database {place}: {source}")]
    Connect {
        /// Which one.
        place: String,
        /// Why not.
        source: sqlx::Error,
    },
    /// Its schema could not be brought up to date.
    #[error("cannot migrate the database {place}; is it this program's? {source}")]
    Migrate {
        /// Which one.
        place: String,
        /// Why not.
        source: MigrateError,
    },
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
        let connect = |source| OpenError::Connect {
            place: without_credentials(&url),
            source,
        };
        let options = AnyConnectOptions::from_str(&url)
            .map_err(connect)?
            .log_statements(tracing::log::LevelFilter::Trace);
        let mut pool = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(15));
        if scheme == "sqlite" {
            look_at_file(&options).await.map_err(connect)?;
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
        let pool = match pool.connect_with(options.clone()).await {
            Ok(pool) => pool,
            Err(error) => return Err(connect(cause(&options, error).await)),
        };
        migrate(&pool).await.map_err(|source| OpenError::Migrate {
            place: without_credentials(&url),
            source,
        })?;
        Ok(Self { pool, begin })
    }
}

/// Why nothing came of a pool's attempts, which it tells of no further than that they
/// took too long.
async fn cause(options: &AnyConnectOptions, error: sqlx::Error) -> sqlx::Error {
    match error {
        sqlx::Error::PoolTimedOut => match AnyConnection::connect_with(options).await {
            Err(cause) => cause,
            Ok(_) => sqlx::Error::PoolTimedOut,
        },
        error => error,
    }
}

/// Whether a file is a database, before a pool tries that again and again.
async fn look_at_file(options: &AnyConnectOptions) -> Result<(), sqlx::Error> {
    let mut connection = AnyConnection::connect_with(options).await?;
    sqlx::query("SELECT COUNT(*) FROM sqlite_master")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await
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

    #[tokio::test]
    async fn a_file_that_is_no_database_is_named_with_what_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pool.db");
        std::fs::write(
            &file,
            "certainly no database, and long enough to be read as one".repeat(50),
        )
        .unwrap();
        let refused = Store::open(&format!("sqlite://{}", file.display())).await;
        let told = refused.unwrap_err().to_string();
        assert!(
            told.contains(&file.display().to_string()) && told.contains("not a database"),
            "{told}"
        );
        let nowhere = Store::open("sqlite:///nowhere/pool.db?mode=rwc").await;
        let told = nowhere.unwrap_err().to_string();
        assert!(told.contains("sqlite:///nowhere/pool.db"), "{told}");
    }

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
