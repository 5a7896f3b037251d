//! The spool's file: its tables, and how it survives.

use std::fs::{self, File};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::SpoolError;
use crate::daemon::clock::now_ms;

/// The version of the tables below.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE jobs (
    job_id        TEXT PRIMARY KEY,
    submission_id TEXT NOT NULL,
    task_id       TEXT NOT NULL,
    state         TEXT NOT NULL,
    -- The job as it came; emptied once it is settled.
    document      TEXT NOT NULL,
    attempts      INTEGER NOT NULL DEFAULT 0,
    -- When it may be tried, or its result posted, again: milliseconds since 1970.
    next_at       INTEGER NOT NULL,
    stage         TEXT NOT NULL DEFAULT '',
    content_key   TEXT,
    status        TEXT,
    code          TEXT,
    message       TEXT NOT NULL DEFAULT '',
    -- The body to post.
    result        TEXT,
    posts         INTEGER NOT NULL DEFAULT 0,
    taken_at      INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_by_turn ON jobs (state, next_at);
CREATE INDEX jobs_by_content ON jobs (content_key) WHERE content_key IS NOT NULL;
CREATE INDEX jobs_by_change ON jobs (changed_at);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
";

/// Opens the database at `path` for writing.
pub(super) fn open(path: &Path) -> Result<Connection, SpoolError> {
    private_file(path)?;
    match prepared(path) {
        Err(SpoolError::Database(error)) if is_damage(&error) => {
            let aside = path.with_extension(format!("damaged-{}", now_ms()));
            tracing::error!(%error, ?aside, "the spool is damaged and is moved aside; its jobs will be leased again");
            set_aside(path, &aside)?;
            private_file(path)?;
            prepared(path)
        }
        result => result,
    }
}

/// Opens the database at `path` for looking at it.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, SpoolError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Jobs name private inputs: nobody else reads them.
fn private_file(path: &Path) -> Result<(), SpoolError> {
    let failed = |source| SpoolError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))
        .map_err(failed)
}

fn prepared(path: &Path) -> Result<Connection, SpoolError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A result that was written is there after a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is settled keeps no private words, in free pages neither.
    connection.pragma_update(None, "secure_delete", true)?;
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(damaged(check).into());
    }
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        0 => {
            let transaction = connection.transaction()?;
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
        }
        VERSION => {}
        _ => {
            return Err(SpoolError::TooNew {
                found,
                known: VERSION,
            });
        }
    }
    Ok(connection)
}

fn damaged(check: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
        Some(check),
    )
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Moves the database away with its journals, which belong to it.
fn set_aside(path: &Path, aside: &Path) -> Result<(), SpoolError> {
    let failed = |source| SpoolError::Io {
        path: path.to_owned(),
        source,
    };
    fs::rename(path, aside).map_err(failed)?;
    for journal in ["-wal", "-shm"] {
        let name = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(journal);
            name
        };
        match fs::rename(name(path), name(aside)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => {}
        }
    }
    Ok(())
}
