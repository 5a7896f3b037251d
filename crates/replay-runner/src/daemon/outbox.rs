//! Posts results for as long as it takes: the coordinator may be away for an hour,
//! answer nonsense, or have taken a result whose answer was lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::backoff::Backoff;
use super::client::{ClientError, JobStatus, RowView, Trouble};
use super::clock::{after_ms, until};
use super::result::ResultBody;
use super::shared::Shared;
use super::spool::{Outgoing, SpoolError};

const PASSING: Backoff = Backoff {
    base: Duration::from_secs(1),
    most: Duration::from_mins(5),
};
const ACCESS: Backoff = Backoff {
    base: Duration::from_secs(15),
    most: Duration::from_mins(5),
};
/// Nothing waits for longer without a look at the spool.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// What is to become of a result.
#[derive(Debug)]
enum Fate {
    Posted,
    /// Nobody wants it any more.
    Dropped(String),
    /// It will never be taken.
    Refused(String),
    /// Later, with another body if there is one.
    Again(Duration, Option<String>),
}

/// Posts whatever is ready, until `shared.abort`.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut failures = 0;
    loop {
        let nap = match post_due(&shared).await {
            Ok(()) => {
                failures = 0;
                nap(&shared).await
            }
            Err(error) => {
                failures += 1;
                tracing::error!(%error, "results could not be read from the spool");
                PASSING.after(failures)
            }
        };
        tokio::select! {
            () = shared.to_post.notified() => {}
            () = tokio::time::sleep(nap) => {}
            () = shared.abort.cancelled() => return,
        }
    }
}

/// Until the next result's turn comes.
async fn nap(shared: &Shared) -> Duration {
    match shared.spool.unposted().await {
        Ok((_, Some(next))) => until(next).max(Duration::from_millis(20)).min(LONGEST_NAP),
        _ => LONGEST_NAP,
    }
}

/// Posts every result whose turn has come, once.
pub(super) async fn post_due(shared: &Shared) -> Result<(), SpoolError> {
    let _turn = shared.posting.lock().await;
    loop {
        let due = shared.spool.outgoing().await?;
        if due.is_empty() {
            return Ok(());
        }
        for outgoing in due {
            let fate = fate(shared, &outgoing).await;
            settle(shared, &outgoing, fate).await?;
        }
    }
}

async fn settle(shared: &Shared, outgoing: &Outgoing, fate: Fate) -> Result<(), SpoolError> {
    let (job_id, spool) = (&outgoing.job_id, &shared.spool);
    match fate {
        Fate::Posted => {
            shared.meters.post("posted");
            tracing::info!(job_id, "the result is posted");
            spool.posted(job_id).await
        }
        Fate::Dropped(reason) => {
            shared.meters.post("dropped");
            tracing::info!(job_id, reason, "nobody wants the result any more");
            spool.drop_job(job_id, reason).await
        }
        Fate::Refused(reason) => {
            shared.meters.post("refused");
            tracing::error!(job_id, reason, "the coordinator will not take the result");
            spool.refused(job_id, reason).await
        }
        Fate::Again(wait, body) => {
            shared.meters.post("again");
            spool.post_again(job_id, after_ms(wait), body).await
        }
    }
}

async fn fate(shared: &Shared, outgoing: &Outgoing) -> Fate {
    let client = shared.client();
    let posted = client
        .post_result(&outgoing.job_id, outgoing.result.clone())
        .await;
    let error = match posted {
        Ok(row) if row.id == outgoing.job_id && row.status != JobStatus::Open => {
            shared.coordinator_up.store(true, Ordering::Relaxed);
            return Fate::Posted;
        }
        Ok(_) => {
            ClientError::Protocol("the row of another job, or one without a result".to_owned())
        }
        Err(error) => error,
    };
    shared.coordinator_up.store(
        error.status().is_some_and(|status| status < 500),
        Ordering::Relaxed,
    );
    tracing::warn!(
        job_id = outgoing.job_id,
        tries = outgoing.posts + 1,
        %error,
        mend = error.mend().unwrap_or_default(),
        "posting a result failed"
    );
    let wait = |backoff: Backoff| {
        let asked = error.retry_after().unwrap_or_default();
        backoff.after(outgoing.posts + 1).max(asked)
    };
    match error.trouble() {
        // Whether it was taken before the answer was lost, its row says.
        Trouble::Passing => match recorded(shared, outgoing).await {
            Recorded::Ours => Fate::Posted,
            Recorded::NotOurs | Recorded::Unknown => Fate::Again(wait(PASSING), None),
        },
        Trouble::Access => Fate::Again(wait(ACCESS), None),
        Trouble::Final => match refused(shared, outgoing, &error).await {
            Some(Fate::Again(Duration::ZERO, None)) => Fate::Again(wait(ACCESS), None),
            Some(fate) => fate,
            None => Fate::Refused(error.to_string()),
        },
    }
}

/// What the coordinator has of a job.
enum Recorded {
    /// This very result.
    Ours,
    /// Nothing, or something else.
    NotOurs,
    /// It could not be asked.
    Unknown,
}

async fn recorded(shared: &Shared, outgoing: &Outgoing) -> Recorded {
    let client = shared.client();
    let found = client.row(&outgoing.job_id, &outgoing.submission_id).await;
    let body = serde_json::from_str::<ResultBody>(&outgoing.result);
    match (found, body) {
        (Ok(Some(row)), Ok(body)) if is_ours(&row, &body) => Recorded::Ours,
        (Ok(_), _) => Recorded::NotOurs,
        (Err(_), _) => Recorded::Unknown,
    }
}

fn is_ours(row: &RowView, body: &ResultBody) -> bool {
    let status = match body.status {
        protocol::Status::Accepted => JobStatus::Accepted,
        protocol::Status::Rejected => JobStatus::Rejected,
        protocol::Status::Error => JobStatus::Error,
    };
    let metrics = serde_json::to_vec(&body.observed_metrics)
        .ok()
        .and_then(|json| protocol::canonical_json::canonicalize(&json).ok());
    row.status == status && (row.observed_metrics.is_none() || row.observed_metrics == metrics)
}

/// What to do about a result that was refused; `None` if nothing can be done.
async fn refused(shared: &Shared, outgoing: &Outgoing, error: &ClientError) -> Option<Fate> {
    let body: ResultBody = serde_json::from_str(&outgoing.result).ok()?;
    let again = |body: ResultBody| Some(Fate::Again(Duration::ZERO, Some(body.json().ok()?)));
    match error.status()? {
        413 => again(body.smaller().or_else(|| body.plainer())?),
        // A coordinator that is older than the fields beside those of the wire,
        // or that will not have the receipt: the result counts without.
        400 | 422 => again(body.plainer()?),
        409 if error.code() == Some("result_differs") => None,
        404 | 409 | 410 => Some(match recorded(shared, outgoing).await {
            Recorded::Ours => Fate::Posted,
            Recorded::NotOurs => Fate::Dropped(error.to_string()),
            // Whatever answers there is no coordinator: no reason to lose a result.
            Recorded::Unknown => Fate::Again(Duration::ZERO, None),
        }),
        _ => None,
    }
}
