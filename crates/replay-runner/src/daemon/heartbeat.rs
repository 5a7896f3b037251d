//! Tells the coordinator that a job is being worked on, and hears when it is not
//! wanted any more.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::client::Beat;
use super::clock::{from_rfc3339, now_ms};
use super::shared::Shared;

/// Without a lease's end to go by.
const USUAL: Duration = Duration::from_secs(30);
const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_mins(1);

/// Beats until `ended`; returns the reason if the job is lost before.
pub(super) async fn keep(
    shared: &Arc<Shared>,
    job_id: &str,
    submission_id: &str,
    ended: &CancellationToken,
) -> Option<String> {
    let mut is_leased = true;
    loop {
        let period = match beat(shared, job_id, submission_id, &mut is_leased).await {
            Ok(period) => period,
            Err(reason) => return Some(reason),
        };
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            () = ended.cancelled() => return None,
        }
    }
}

/// One beat: how long until the next, or why the job is lost.
async fn beat(
    shared: &Shared,
    job_id: &str,
    submission_id: &str,
    is_leased: &mut bool,
) -> Result<Duration, String> {
    let client = shared.client();
    if *is_leased {
        match client.heartbeat(job_id).await {
            Ok(Beat::Wanted(until)) => return Ok(period(until.as_deref())),
            Ok(Beat::Lost(reason)) => return Err(reason),
            Ok(Beat::Unknown) => *is_leased = false,
            // A coordinator that is away loses no job: the result will be posted.
            Err(error) => {
                tracing::debug!(%error, job_id, "a heartbeat was not heard");
                return Ok(USUAL);
            }
        }
    }
    match client.is_pending(submission_id).await {
        Ok(false) => Err("the submission is decided or gone".to_owned()),
        Ok(true) => Ok(USUAL),
        Err(error) => {
            tracing::debug!(%error, job_id, "whether the job is wanted could not be asked");
            Ok(USUAL)
        }
    }
}

/// A third of what is left of the lease. The end is by the coordinator's clock
/// and word; neither makes this host beat without pause.
fn period(until: Option<&str>) -> Duration {
    let now = u64::try_from(now_ms() / 1000).unwrap_or(0);
    let Some(until) = until.and_then(from_rfc3339) else {
        return USUAL;
    };
    Duration::from_secs(until.saturating_sub(now) / 3).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_lease_makes_this_host_beat_without_pause_or_hardly_ever() {
        for (until, expected) in [
            (None, USUAL),
            (Some("soon"), USUAL),
            (Some("1999-01-01T00:00:00Z"), SHORTEST),
            (Some("2999-01-01T00:00:00Z"), LONGEST),
        ] {
            assert_eq!(period(until), expected, "{until:?}");
        }
    }
}
