//! What the spool tells a person or a monitor.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::{JobState, Spool, SpoolError, schema};
use crate::daemon::clock::now_ms;

/// What the daemon as a whole is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// `starting`, `working`, `barred` (by the coordinator), `paused`, `draining` or
    /// `ended`.
    pub name: String,
    /// Why, where that is not plain.
    pub reason: String,
    /// Whose results it posts.
    pub hotkey: String,
    /// To whom.
    pub coordinator: String,
    /// Its process.
    pub pid: u32,
    /// Since when: milliseconds since 1970.
    pub since: i64,
}

/// One job for a person.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the columns of the spool, told there")]
pub struct JobLine {
    pub job_id: String,
    pub submission_id: String,
    pub task_id: String,
    pub state: String,
    pub stage: String,
    pub status: Option<String>,
    pub code: Option<String>,
    pub message: String,
    pub attempts: u32,
    pub posts: u32,
    pub next_at: i64,
    pub taken_at: i64,
    pub changed_at: i64,
}

/// Jobs by state, and settled ones by code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// How many jobs are in each state.
    pub states: BTreeMap<String, u64>,
    /// How many have each outcome code.
    pub codes: BTreeMap<String, u64>,
    /// When the oldest job without a posted result was taken.
    pub oldest_unposted: Option<i64>,
}

/// Everything that `replay-runner status` shows.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    /// What the daemon does; `None` if there never was one.
    pub phase: Option<Phase>,
    /// Jobs by state and code.
    pub counts: Counts,
    /// Jobs that are not settled, oldest first.
    pub open: Vec<JobLine>,
    /// The last ones that are, newest first.
    pub last: Vec<JobLine>,
    /// By this host's clock: milliseconds since 1970.
    pub now: i64,
}

const COLUMNS: &str = "SELECT job_id, submission_id, task_id, state, stage, status, code, message, \
     attempts, posts, next_at, taken_at, changed_at FROM jobs ";

fn line(row: &Row<'_>) -> rusqlite::Result<JobLine> {
    Ok(JobLine {
        job_id: row.get(0)?,
        submission_id: row.get(1)?,
        task_id: row.get(2)?,
        state: row.get(3)?,
        stage: row.get(4)?,
        status: row.get(5)?,
        code: row.get(6)?,
        message: row.get(7)?,
        attempts: row.get(8)?,
        posts: row.get(9)?,
        next_at: row.get(10)?,
        taken_at: row.get(11)?,
        changed_at: row.get(12)?,
    })
}

/// What the spool of the state directory `state` tells now; `None` if there is none.
pub fn overview(state: &Path, last: u32) -> Result<Option<Overview>, SpoolError> {
    let path = Spool::path(state);
    if !path.exists() {
        return Ok(None);
    }
    let db = schema::open_for_reading(&path)?;
    let list = |rest: &str, limit: u32| -> Result<Vec<JobLine>, SpoolError> {
        let mut statement = db.prepare(&format!("{COLUMNS}{rest} LIMIT ?1"))?;
        let rows = statement.query_map([limit], line)?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    Ok(Some(Overview {
        phase: phase(&db)?,
        counts: counts(&db)?,
        open: list(
            "WHERE state IN ('waiting', 'running', 'ready') ORDER BY taken_at",
            100,
        )?,
        last: list(
            "WHERE state NOT IN ('waiting', 'running', 'ready') ORDER BY changed_at DESC",
            last,
        )?,
        now: now_ms(),
    }))
}

fn phase(db: &Connection) -> Result<Option<Phase>, SpoolError> {
    let sql = "SELECT value FROM facts WHERE name = 'phase'";
    let text: Option<String> = db.query_row(sql, [], |row| row.get(0)).optional()?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

fn counts(db: &Connection) -> Result<Counts, SpoolError> {
    let tally = |sql: &str| -> Result<BTreeMap<String, u64>, SpoolError> {
        let mut statement = db.prepare(sql)?;
        let rows =
            statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, u32>(1)?.into())))?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    let mut states = tally("SELECT state, COUNT(*) FROM jobs GROUP BY state")?;
    for state in JobState::ALL {
        states.entry(state.as_str().to_owned()).or_default();
    }
    let oldest = "SELECT MIN(taken_at) FROM jobs WHERE state IN ('waiting', 'running', 'ready')";
    Ok(Counts {
        states,
        codes: tally("SELECT code, COUNT(*) FROM jobs WHERE code IS NOT NULL GROUP BY code")?,
        oldest_unposted: db.query_row(oldest, [], |row| row.get(0))?,
    })
}

impl Spool {
    /// Jobs by state and code.
    pub async fn counts(&self) -> Result<Counts, SpoolError> {
        self.with(|db| counts(db)).await
    }

    /// Notes what the daemon does.
    pub async fn set_phase(&self, phase: &Phase) -> Result<(), SpoolError> {
        let text = serde_json::to_string(phase).unwrap_or_default();
        self.with(move |db| {
            db.execute(
                "INSERT INTO facts (name, value) VALUES ('phase', ?1) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                params![text],
            )?;
            Ok(())
        })
        .await
    }
}
