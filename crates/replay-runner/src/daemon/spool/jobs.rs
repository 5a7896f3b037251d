//! Taking jobs, and what becomes of them until they have a result.

use rusqlite::{OptionalExtension as _, Row, params};

use super::{JobState, Spool, SpoolError};
use crate::daemon::client::WireJob;
use crate::daemon::clock::now_ms;

/// How long a job that is settled stays known: milliseconds.
const REMEMBERED: i64 = 30 * 24 * 3600 * 1000;
/// A settled job that is offered again sooner than this is an echo.
const ECHO: i64 = 60 * 1000;

/// What became of a job that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// It waits for its first attempt.
    New,
    /// It is being worked on, or was just now.
    Known,
    /// It was decided here before: its result is posted again.
    Again,
}

/// A job whose turn has come.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The job's id.
    pub job_id: String,
    /// Its submission's.
    pub submission_id: String,
    /// Its task's.
    pub task_id: String,
    /// The job as it came.
    pub document: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was taken: milliseconds since 1970.
    pub taken_at: i64,
}

impl Pending {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            job_id: row.get(0)?,
            submission_id: row.get(1)?,
            task_id: row.get(2)?,
            document: row.get(3)?,
            attempts: row.get(4)?,
            taken_at: row.get(5)?,
        })
    }
}

impl Spool {
    /// Whether a job that is offered would be taken, so that it is worth leasing.
    pub async fn wants(&self, job_id: &str) -> Result<bool, SpoolError> {
        let job_id = job_id.to_owned();
        self.with(move |db| Ok(known(db, &job_id)?.is_none_or(|known| known.takes_again())))
            .await
    }

    /// Takes a job, unless it is known already.
    pub async fn admit(&self, job: WireJob) -> Result<Admitted, SpoolError> {
        self.with(move |db| {
            let transaction = db.transaction()?;
            let admitted = match known(&transaction, &job.job_id)? {
                Some(known) if !known.takes_again() => Admitted::Known,
                Some(known) if known.is_decided() => {
                    let now = now_ms();
                    transaction.execute(
                        "UPDATE jobs SET state = 'ready', next_at = ?2, posts = 0, changed_at = ?2 WHERE job_id = ?1",
                        params![job.job_id, now],
                    )?;
                    Admitted::Again
                }
                _ => {
                    insert(&transaction, &job)?;
                    Admitted::New
                }
            };
            transaction.commit()?;
            Ok(admitted)
        })
        .await
    }

    /// The jobs whose turn has come, those that waited longest first.
    pub async fn due(&self) -> Result<Vec<Pending>, SpoolError> {
        self.with(|db| {
            let mut statement = db.prepare(
                "SELECT job_id, submission_id, task_id, document, attempts, taken_at FROM jobs \
                 WHERE state = 'waiting' AND next_at <= ?1 ORDER BY taken_at, job_id LIMIT 200",
            )?;
            let rows = statement.query_map([now_ms()], Pending::from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// How many jobs are taken and have no result yet.
    pub async fn unfinished(&self) -> Result<usize, SpoolError> {
        self.with(|db| {
            let sql = "SELECT COUNT(*) FROM jobs WHERE state IN ('waiting', 'running')";
            Ok(db.query_row(sql, [], |row| row.get::<_, u32>(0))? as usize)
        })
        .await
    }

    /// Gives a job to a slot.
    pub async fn reserved(&self, job_id: &str) -> Result<(), SpoolError> {
        self.change(
            job_id,
            "UPDATE jobs SET state = 'running', stage = '', changed_at = ?2 WHERE job_id = ?1",
        )
        .await
    }

    /// Notes that an attempt begins. It counts from here, so that a job that ends
    /// the daemon itself is not tried for ever.
    pub async fn started(&self, job_id: &str) -> Result<(), SpoolError> {
        self.change(
            job_id,
            "UPDATE jobs SET attempts = attempts + 1, changed_at = ?2 WHERE job_id = ?1",
        )
        .await
    }

    /// Notes how far a replay is.
    pub async fn at_stage(&self, job_id: &str, stage: String) -> Result<(), SpoolError> {
        let job_id = job_id.to_owned();
        self.with(move |db| {
            let sql = "UPDATE jobs SET stage = ?2 WHERE job_id = ?1 AND state = 'running'";
            db.execute(sql, params![job_id, stage])?;
            Ok(())
        })
        .await
    }

    /// Puts a job off until `next_at`; `message` says why.
    pub async fn put_off(
        &self,
        job_id: &str,
        next_at: i64,
        message: String,
    ) -> Result<(), SpoolError> {
        let job_id = job_id.to_owned();
        self.with(move |db| {
            db.execute(
                "UPDATE jobs SET state = 'waiting', stage = '', next_at = ?2, message = ?3, changed_at = ?4 WHERE job_id = ?1",
                params![job_id, next_at, message, now_ms()],
            )?;
            Ok(())
        })
        .await
    }

    /// Gives a job up: nobody wants its result.
    pub async fn drop_job(&self, job_id: &str, reason: String) -> Result<(), SpoolError> {
        self.settle(job_id, JobState::Dropped, reason).await
    }

    /// An attempt is over: if nothing says what became of it, there is another.
    pub async fn release(&self, job_id: &str) -> Result<(), SpoolError> {
        self.change(
            job_id,
            "UPDATE jobs SET state = 'waiting', stage = '', next_at = ?2 + 5000, \
             message = 'the attempt ended without a word' WHERE job_id = ?1 AND state = 'running'",
        )
        .await
    }

    /// After a crash: what was running waits for its next attempt.
    pub async fn recover(&self) -> Result<usize, SpoolError> {
        self.with(|db| {
            Ok(db.execute(
                "UPDATE jobs SET state = 'waiting', stage = '', next_at = ?1, \
                 message = 'the daemon ended while it was replayed' WHERE state = 'running'",
                [now_ms()],
            )?)
        })
        .await
    }

    /// Forgets what was settled long ago.
    pub async fn prune(&self) -> Result<usize, SpoolError> {
        self.with(|db| {
            Ok(db.execute(
                "DELETE FROM jobs WHERE state IN ('posted', 'dropped', 'refused', 'kept') AND changed_at < ?1",
                [now_ms() - REMEMBERED],
            )?)
        })
        .await
    }

    /// Ends a job's way through the spool.
    pub(super) async fn settle(
        &self,
        job_id: &str,
        state: JobState,
        message: String,
    ) -> Result<(), SpoolError> {
        let job_id = job_id.to_owned();
        self.with(move |db| {
            db.execute(
                "UPDATE jobs SET state = ?2, stage = '', document = '', changed_at = ?4, \
                 message = CASE WHEN ?3 = '' THEN message ELSE ?3 END WHERE job_id = ?1",
                params![job_id, state.as_str(), message, now_ms()],
            )?;
            Ok(())
        })
        .await
    }

    async fn change(&self, job_id: &str, sql: &'static str) -> Result<(), SpoolError> {
        let job_id = job_id.to_owned();
        self.with(move |db| {
            db.execute(sql, params![job_id, now_ms()])?;
            Ok(())
        })
        .await
    }
}

/// What the spool knows of a job that is offered.
struct Known {
    state: JobState,
    status: Option<String>,
    changed_at: i64,
}

impl Known {
    /// A coordinator offers only what it has no answer to. If it offers what was
    /// settled here a while ago, it has lost the answer, or wants another after
    /// an error.
    fn takes_again(&self) -> bool {
        let is_settled = matches!(
            self.state,
            JobState::Posted | JobState::Dropped | JobState::Refused
        );
        let age = now_ms() - self.changed_at;
        let is_old = match (self.state, self.status.as_deref()) {
            (JobState::Posted, Some("error")) | (JobState::Dropped, _) => true,
            (JobState::Refused, _) => age > 60 * ECHO,
            _ => age > ECHO,
        };
        is_settled && is_old
    }

    fn is_decided(&self) -> bool {
        self.state == JobState::Posted && self.status.as_deref() != Some("error")
    }
}

fn known(db: &rusqlite::Connection, job_id: &str) -> Result<Option<Known>, SpoolError> {
    let sql = "SELECT state, status, changed_at FROM jobs WHERE job_id = ?1";
    let read = |row: &Row<'_>| -> rusqlite::Result<Known> {
        Ok(Known {
            state: JobState::parse(&row.get::<_, String>(0)?).unwrap_or(JobState::Waiting),
            status: row.get(1)?,
            changed_at: row.get(2)?,
        })
    };
    Ok(db.query_row(sql, [job_id], read).optional()?)
}

fn insert(db: &rusqlite::Connection, job: &WireJob) -> Result<(), SpoolError> {
    db.execute(
        "INSERT OR REPLACE INTO jobs (job_id, submission_id, task_id, state, document, next_at, taken_at, changed_at) \
         VALUES (?1, ?2, ?3, 'waiting', ?4, ?5, ?5, ?5)",
        params![job.job_id, job.submission_id, job.task_id, job.document, now_ms()],
    )?;
    Ok(())
}
