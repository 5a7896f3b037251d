//! The database. One SQL text serves SQLite and PostgreSQL; the two places
//! where they differ are the migrations and the lease query.
//!
//! Reads take any connection. Every change goes through [`Store::write`], which
//! runs it in one transaction with the event that names its cause.

pub mod backup;
pub mod bests;
pub mod claims;
pub mod events;
pub mod ideas;
pub mod page;
pub mod peers;
pub mod policies;
pub mod rows;
pub mod signatures;
pub mod states;
pub mod submissions;
pub mod tasks;
pub mod verifications;
pub mod work_items;
mod writer;

use std::str::FromStr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use protocol::text::without_credentials;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection as _};

use crate::error::{ApiError, ApiResult};
use writer::Writer;

/// A connection of either database, inside or outside a transaction.
pub type Conn = AnyConnection;

/// The future of one transaction's work.
pub type Work<'c, T> = BoxFuture<'c, ApiResult<T>>;

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a request waits for a connection before it is told to come back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);

/// Which database a URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A file, one writer at a time.
    Sqlite,
    /// A server, any number of coordinator processes.
    Postgres,
}

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Neither of the two databases.
    #[error("{0:?} is no database; write sqlite://FILE or postgres://…")]
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
        source: sqlx::migrate::MigrateError,
    },
}

/// The same, before it is known of which database.
enum Trouble {
    Connect(sqlx::Error),
    Migrate(sqlx::migrate::MigrateError),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Connect(error)
    }
}

impl From<sqlx::migrate::MigrateError> for Trouble {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migrate(error)
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

/// An open database.
#[derive(Debug, Clone)]
pub struct Store {
    reads: AnyPool,
    writes: Writes,
    dialect: Dialect,
}

#[derive(Debug, Clone)]
enum Writes {
    /// One connection; concurrent changes share a commit.
    Grouped(Writer),
    /// The server groups commits itself.
    Pooled(AnyPool),
}

impl Store {
    /// Opens `url`, and brings its schema up to date. A file that is not there
    /// is made.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        Self::open_with(url, "rwc").await
    }

    /// The same, for a database that must be there.
    pub async fn open_existing(url: &str) -> Result<Self, OpenError> {
        Self::open_with(url, "rw").await
    }

    async fn open_with(url: &str, file_mode: &str) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let dialect = dialect_of(url)?;
        let place = without_credentials(url);
        let options = AnyConnectOptions::from_str(&complete(url, dialect, file_mode))
            .map_err(|source| OpenError::Connect {
                place: place.clone(),
                source,
            })?
            .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(2))
            .log_statements(tracing::log::LevelFilter::Trace);
        let opened = match dialect {
            Dialect::Sqlite => Self::open_sqlite(options).await,
            Dialect::Postgres => Self::open_postgres(options).await,
        };
        opened.map_err(|trouble| match trouble {
            Trouble::Connect(source) => OpenError::Connect { place, source },
            Trouble::Migrate(source) => OpenError::Migrate { place, source },
        })
    }

    async fn open_sqlite(options: AnyConnectOptions) -> Result<Self, Trouble> {
        look_at_file(&options).await?;
        let writer = sqlite_pool(1).connect_with(options.clone()).await?;
        SQLITE_MIGRATIONS.run(&writer).await?;
        Ok(Self {
            reads: sqlite_pool(8).connect_with(options).await?,
            writes: Writes::Grouped(Writer::start(writer)),
            dialect: Dialect::Sqlite,
        })
    }

    async fn open_postgres(options: AnyConnectOptions) -> Result<Self, Trouble> {
        let opened = AnyPoolOptions::new()
            .max_connections(16)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone())
            .await;
        let pool = match opened {
            Ok(pool) => pool,
            Err(error) => return Err(cause(&options, error).await.into()),
        };
        // The migrator holds an advisory lock, so that processes which start
        // together do not both create the tables.
        POSTGRES_MIGRATIONS.run(&pool).await?;
        Ok(Self {
            reads: pool.clone(),
            writes: Writes::Pooled(pool),
            dialect: Dialect::Postgres,
        })
    }

    /// The database behind this store.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Where reads go.
    pub fn reads(&self) -> &AnyPool {
        &self.reads
    }

    /// A connection for several reads.
    pub async fn read(&self) -> ApiResult<sqlx::pool::PoolConnection<sqlx::Any>> {
        Ok(self.reads.acquire().await?)
    }

    /// A transaction whose reads all see the state of one moment. Roll it back.
    pub async fn snapshot(&self) -> ApiResult<sqlx::Transaction<'static, sqlx::Any>> {
        Ok(match self.dialect {
            // SQLite's snapshot begins with the first read.
            Dialect::Sqlite => self.reads.begin().await?,
            Dialect::Postgres => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                self.reads.begin_with(begin).await?
            }
        })
    }

    /// Runs `work` in one transaction: all of it is there afterwards, or none.
    ///
    /// The work goes on when the caller is dropped, as when a client hangs up:
    /// it is never cut in half.
    pub async fn write<T, F>(&self, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> Work<'c, T> + Send + 'static,
    {
        match &self.writes {
            Writes::Grouped(writer) => writer.run(work).await,
            Writes::Pooled(pool) => {
                let pool = pool.clone();
                let task = tokio::spawn(async move {
                    let mut transaction = pool.begin().await?;
                    let answer = work(&mut transaction).await?;
                    transaction.commit().await?;
                    Ok(answer)
                });
                task.await
                    .map_err(|error| ApiError::Internal(error.to_string()))?
            }
        }
    }

    /// Closes every connection; running work ends first.
    pub async fn close(&self) {
        match &self.writes {
            Writes::Grouped(writer) => writer.close().await,
            Writes::Pooled(pool) => pool.close().await,
        }
        self.reads.close().await;
    }
}

fn dialect_of(url: &str) -> Result<Dialect, OpenError> {
    match url.split(':').next() {
        Some("sqlite") => Ok(Dialect::Sqlite),
        Some("postgres" | "postgresql") => Ok(Dialect::Postgres),
        // The rest of a URL may hold a password.
        scheme => Err(OpenError::UnknownScheme(
            scheme.unwrap_or_default().to_owned(),
        )),
    }
}

/// The URL with the mode in which a file is opened, unless it says one itself.
fn complete(url: &str, dialect: Dialect, file_mode: &str) -> String {
    if dialect == Dialect::Sqlite && !url.contains("mode=") {
        let separator = if url.contains('?') { '&' } else { '?' };
        return format!("{url}{separator}mode={file_mode}");
    }
    url.to_owned()
}

fn sqlite_pool(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                // FULL: an answered write survives a power cut, not only a kill.
                let pragmas = "PRAGMA busy_timeout = 15000; PRAGMA journal_mode = WAL; \
                               PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                               PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY";
                sqlx::raw_sql(pragmas).execute(&mut *connection).await?;
                Ok(())
            })
        })
}
