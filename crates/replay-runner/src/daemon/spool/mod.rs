//! The durable record of every job that this validator took: what it is, how far
//! it is, and what there is to post. Written before anything is posted; a power
//! cut at any moment leaves a state from which the next start goes on.

mod jobs;
mod read;
mod results;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

pub use jobs::{Admitted, Pending};
pub use read::{Counts, JobLine, Overview, Phase, overview};
pub use results::{Earlier, Outgoing};

/// The name of the file in the state directory.
const FILE: &str = "spool.db";

/// Why the spool could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// The database refused.
    #[error("the spool: {0}")]
    Database(#[from] rusqlite::Error),
    /// A file could not be used.
    #[error("the spool {path:?}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Made by a newer program.
    #[error("the spool has version {found}, and this program knows {known}; use the newer program")]
    TooNew {
        /// Of the file.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// Its thread panicked.
    #[error("the spool's worker panicked; see the log")]
    Panicked,
}

impl SpoolError {
    /// Whether the disk has no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Database(rusqlite::Error::SqliteFailure(error, _))
            if error.code == rusqlite::ErrorCode::DiskFull)
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobState {
    /// Taken, and waiting for its (next) attempt.
    Waiting,
    /// Being replayed.
    Running,
    /// Replayed; its result waits to be posted.
    Ready,
    /// The coordinator has the result.
    Posted,
    /// Not wanted any more: decided elsewhere, or the lease was lost.
    Dropped,
    /// The coordinator will never take the result.
    Refused,
    /// A dry run: kept here.
    Kept,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Running,
        Self::Ready,
        Self::Posted,
        Self::Dropped,
        Self::Refused,
        Self::Kept,
    ];

    /// Its word in the database and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Posted => "posted",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
            Self::Kept => "kept",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// An open spool. Cheap to clone; clones share the connection.
#[derive(Debug, Clone)]
pub struct Spool(Arc<Mutex<Connection>>);

impl Spool {
    /// Where the spool of a state directory is.
    pub fn path(state: &Path) -> PathBuf {
        state.join(FILE)
    }

    /// Opens the spool in the directory `state`, making it if there is none. One
    /// that is damaged beyond reading is moved aside: its jobs are leased again.
    pub fn open(state: &Path) -> Result<Self, SpoolError> {
        let connection = schema::open(&Self::path(state))?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Runs `work` on the database, away from the reactor.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let shared = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            // A panic between statements leaves no transaction open: rolling back
            // is what dropping one does.
            let mut connection = shared.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut connection)
        })
        .await
        .map_err(|_| SpoolError::Panicked)?
    }
}
