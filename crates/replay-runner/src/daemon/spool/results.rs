//! Results: written before they are posted, and kept until the coordinator has them.

use rusqlite::{OptionalExtension as _, params};

use super::{JobState, Spool, SpoolError};
use crate::daemon::clock::now_ms;
use crate::daemon::result::ResultBody;

/// A result that waits to be posted.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Under which it is posted.
    pub job_id: String,
    /// What it is about.
    pub submission_id: String,
    /// The body, as JSON.
    pub result: String,
    /// How often posting it was tried.
    pub posts: u32,
}

/// A result of the same content that was observed here before.
#[derive(Debug, Clone)]
pub struct Earlier {
    /// The body, as JSON.
    pub result: String,
    /// The submission that was replayed.
    pub submission_id: String,
}

impl Spool {
    /// Stores the result of a job. In a dry run it goes nowhere else.
    pub async fn finish(
        &self,
        job_id: &str,
        body: &ResultBody,
        content_key: Option<String>,
        dry_run: bool,
    ) -> Result<(), SpoolError> {
        let job_id = job_id.to_owned();
        let state = if dry_run {
            JobState::Kept
        } else {
            JobState::Ready
        };
        let result = body.json().map_err(|error| {
            SpoolError::Database(rusqlite::Error::ToSqlConversionFailure(error.into()))
        })?;
        let (status, message) = (body.status.to_string(), body.notes.clone());
        let code = body.outcome_code.map(|code| code.to_string());
        self.with(move |db| {
            db.execute(
                "UPDATE jobs SET state = ?2, status = ?3, code = ?4, message = ?5, result = ?6, \
                 content_key = ?7, next_at = ?8, changed_at = ?8, posts = 0, stage = '' WHERE job_id = ?1",
                params![job_id, state.as_str(), status, code, message, result, content_key, now_ms()],
            )?;
            Ok(())
        })
        .await
    }

    /// The results whose turn to be posted has come, oldest first.
    pub async fn outgoing(&self) -> Result<Vec<Outgoing>, SpoolError> {
        self.with(|db| {
            let mut statement = db.prepare(
                "SELECT job_id, submission_id, result, posts FROM jobs \
                 WHERE state = 'ready' AND next_at <= ?1 AND result IS NOT NULL \
                 ORDER BY next_at, job_id LIMIT 16",
            )?;
            let rows = statement.query_map([now_ms()], |row| {
                Ok(Outgoing {
                    job_id: row.get(0)?,
                    submission_id: row.get(1)?,
                    result: row.get(2)?,
                    posts: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// How many results wait to be posted, and when the next one's turn comes.
    pub async fn unposted(&self) -> Result<(usize, Option<i64>), SpoolError> {
        self.with(|db| {
            let sql = "SELECT COUNT(*), MIN(next_at) FROM jobs WHERE state = 'ready'";
            Ok(db.query_row(sql, [], |row| {
                Ok((row.get::<_, u32>(0)? as usize, row.get(1)?))
            })?)
        })
        .await
    }

    /// The coordinator has the result.
    pub async fn posted(&self, job_id: &str) -> Result<(), SpoolError> {
        self.settle(job_id, JobState::Posted, String::new()).await
    }

    /// The coordinator will never take it.
    pub async fn refused(&self, job_id: &str, reason: String) -> Result<(), SpoolError> {
        self.settle(job_id, JobState::Refused, reason).await
    }

    /// Posting failed; it is tried again at `next_at`, with another body if one is given.
    pub async fn post_again(
        &self,
        job_id: &str,
        next_at: i64,
        body: Option<String>,
    ) -> Result<(), SpoolError> {
        let job_id = job_id.to_owned();
        self.with(move |db| {
            db.execute(
                "UPDATE jobs SET posts = posts + 1, next_at = ?2, result = COALESCE(?3, result) \
                 WHERE job_id = ?1 AND state = 'ready'",
                params![job_id, next_at, body],
            )?;
            Ok(())
        })
        .await
    }

    /// Brings every unposted result's turn forward: the coordinator is back.
    pub async fn post_now(&self) -> Result<(), SpoolError> {
        self.with(|db| {
            db.execute(
                "UPDATE jobs SET next_at = ?1 WHERE state = 'ready'",
                [now_ms()],
            )?;
            Ok(())
        })
        .await
    }

    /// The result of an earlier replay of the same content, if it decided something.
    pub async fn earlier(&self, content_key: &str) -> Result<Option<Earlier>, SpoolError> {
        let key = content_key.to_owned();
        self.with(move |db| {
            let sql = "SELECT result, submission_id FROM jobs WHERE content_key = ?1 \
                 AND status IN ('accepted', 'rejected') AND result IS NOT NULL \
                 ORDER BY changed_at LIMIT 1";
            Ok(db
                .query_row(sql, [key], |row| {
                    Ok(Earlier {
                        result: row.get(0)?,
                        submission_id: row.get(1)?,
                    })
                })
                .optional()?)
        })
        .await
    }
}
