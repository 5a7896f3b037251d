//! Takes work: asks for it, leases it, and gives jobs whose turn has come to the
//! slots that are free.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::task::Redactor;
use tokio::time::Instant;

use crate::host::Host;

use super::attempt::{self, Attempt};
use super::backlog::Backlog;
use super::backoff::Backoff;
use super::budget::Budget;
use super::client::{ClientError, Trouble, WireJob, Work};
use super::job::Job;
use super::result::ResultBody;
use super::running::Running;
use super::shared::Shared;
use super::spool::{Admitted, Pending, SpoolError};

const TROUBLE: Backoff = Backoff {
    base: Duration::from_secs(1),
    most: Duration::from_mins(5),
};
/// The phase of a daemon that the coordinator does not let in.
pub(super) const BARRED: &str = "barred";
/// A job that waits this long for room is overtaken by no other: milliseconds.
const PATIENCE: i64 = 5 * 60 * 1000;

/// Asking for work.
#[derive(Debug)]
pub(super) struct Intake {
    backlog: Backlog,
    /// Not before then.
    ask_at: Instant,
    failures: u32,
    /// How often it has asked.
    pub(super) rounds: u64,
    /// Why there is no work, since the coordinator's last usable answer.
    trouble: Option<NoWork>,
    has_leases: bool,
    /// Whether the answer to a request that leases may have been lost.
    has_lost_answer: bool,
}

/// Why a coordinator gives no work.
#[derive(Debug)]
struct NoWork {
    reason: String,
    /// It does not let this validator in, which waiting alone does not mend.
    is_barred: bool,
}

impl Intake {
    pub(super) fn new() -> Self {
        Self {
            backlog: Backlog::default(),
            ask_at: Instant::now(),
            failures: 0,
            rounds: 0,
            trouble: None,
            has_leases: true,
            has_lost_answer: false,
        }
    }

    /// When there is something to ask or to take, at the latest.
    pub(super) fn next_turn(&self) -> Instant {
        self.ask_at
    }

    /// Whether everything that was offered has been taken or passed over.
    pub(super) fn is_empty(&self) -> bool {
        self.backlog.is_empty()
    }

    /// Why there is no work, unless the coordinator's last answer was usable.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| trouble.reason.as_str())
    }

    /// The phase of a daemon that takes work, and the reason for it.
    pub(super) fn phase(&self) -> (&'static str, &str) {
        match &self.trouble {
            None => ("working", ""),
            Some(trouble) if trouble.is_barred => (BARRED, &trouble.reason),
            Some(trouble) => ("working", &trouble.reason),
        }
    }

    /// Asks for work if it is time, and takes as many jobs as `free`.
    pub(super) async fn take(&mut self, shared: &Shared, free: usize) -> Result<(), SpoolError> {
        if free == 0 {
            return Ok(());
        }
        let asked = self.backlog.is_empty() && Instant::now() >= self.ask_at;
        let mut taken = 0;
        if asked {
            taken += self.ask(shared).await?;
        }
        while taken < free && !shared.stop.is_cancelled() {
            let Some(job) = self.backlog.next() else {
                break;
            };
            shared.turn();
            taken += self.take_one(shared, job).await?;
        }
        if self.backlog.is_empty() && taken > 0 && self.failures == 0 {
            // There may be more where this came from.
            self.ask_at = Instant::now();
        }
        shared.backlog.store(self.backlog.len(), Ordering::Relaxed);
        let oldest = self.backlog.oldest().unwrap_or(0);
        shared.oldest_offered.store(oldest, Ordering::Relaxed);
        Ok(())
    }

    /// Fills the backlog; returns how many jobs were taken at once.
    async fn ask(&mut self, shared: &Shared) -> Result<usize, SpoolError> {
        let config = shared.config();
        self.rounds += 1;
        if self.has_lost_answer {
            let taken = self.take_up(shared).await?;
            if taken > 0 || self.has_lost_answer {
                return Ok(taken);
            }
        }
        match shared.client().work().await {
            Ok(work) => {
                self.ask_at = Instant::now() + config.interval;
                self.coordinator_answers(shared).await?;
                match work {
                    Work::One(job) => return admit(shared, *job).await,
                    Work::List(jobs) => self.backlog.replace(jobs),
                }
                Ok(0)
            }
            Err(error) => {
                self.has_lost_answer = shared.client().leases_by_asking()
                    && !config.dry_run
                    && error.trouble() == Trouble::Passing;
                self.note_trouble(shared, &error);
                Ok(0)
            }
        }
    }

    /// Takes up what was leased by an answer that was lost, before anything else is
    /// asked for: otherwise nobody would replay it until the lease ends.
    async fn take_up(&mut self, shared: &Shared) -> Result<usize, SpoolError> {
        let client = shared.client();
        let held = match client.held().await {
            Ok(held) => held,
            Err(error) if error.trouble() == Trouble::Passing => {
                self.note_trouble(shared, &error);
                return Ok(0);
            }
            // This coordinator does not tell.
            Err(_) => Vec::new(),
        };
        self.has_lost_answer = false;
        self.coordinator_answers(shared).await?;
        let mut taken = 0;
        for (job_id, submission_id) in held {
            if !shared.spool.wants(&job_id).await? {
                continue;
            }
            match client.lease(&submission_id).await {
                Ok(Some(job)) => taken += admit(shared, job).await?,
                Ok(None) => {}
                Err(error) => {
                    self.has_lost_answer = error.trouble() == Trouble::Passing;
                    self.note_trouble(shared, &error);
                    return Ok(taken);
                }
            }
        }
        Ok(taken)
    }

    /// Takes one job of the backlog, leasing it first where that is possible.
    async fn take_one(&mut self, shared: &Shared, job: WireJob) -> Result<usize, SpoolError> {
        if !shared.spool.wants(&job.job_id).await? {
            return Ok(0);
        }
        if shared.config().dry_run || !self.has_leases {
            return admit(shared, job).await;
        }
        match shared.client().lease(&job.submission_id).await {
            Ok(Some(leased)) => admit(shared, leased).await,
            // Another validator was first.
            Ok(None) => Ok(0),
            Err(ClientError::Refused {
                status: 404 | 405 | 501,
                ..
            }) => {
                tracing::info!("this coordinator has no leases; jobs are worked off its worklist");
                self.has_leases = false;
                admit(shared, job).await
            }
            Err(error) => {
                self.note_trouble(shared, &error);
                self.backlog.replace(Vec::new());
                Ok(0)
            }
        }
    }

    async fn coordinator_answers(&mut self, shared: &Shared) -> Result<(), SpoolError> {
        shared.coordinator_up.store(true, Ordering::Relaxed);
        self.trouble = None;
        if self.failures > 0 {
            self.failures = 0;
            tracing::info!("the coordinator answers again");
            // Results may have been waiting for an hour.
            shared.spool.post_now().await?;
            shared.to_post.notify_one();
        }
        Ok(())
    }

    fn note_trouble(&mut self, shared: &Shared, error: &ClientError) {
        self.failures = self.failures.saturating_add(1);
        let interval = shared.config().interval;
        let wait = TROUBLE
            .after(self.failures)
            .max(error.retry_after().unwrap_or_default())
            .max(interval.min(Duration::from_secs(1)));
        self.ask_at = Instant::now() + wait;
        let up = error.status().is_some_and(|status| status < 500);
        shared.coordinator_up.store(up, Ordering::Relaxed);
        let mend = error.mend().unwrap_or("it is asked again later");
        tracing::warn!(%error, mend, wait_seconds = wait.as_secs(), "there is no work to be had");
        self.trouble = Some(NoWork {
            reason: error.told(),
            is_barred: error.is_barred(),
        });
    }
}

async fn admit(shared: &Shared, job: WireJob) -> Result<usize, SpoolError> {
    let (job_id, submission_id) = (job.job_id.clone(), job.submission_id.clone());
    match shared.spool.admit(job).await? {
        Admitted::New => {
            tracing::info!(job_id, submission_id, "a job is taken");
            Ok(1)
        }
        Admitted::Again => {
            tracing::info!(job_id, "the coordinator lost a result; it is posted again");
            shared.to_post.notify_one();
            Ok(0)
        }
        Admitted::Known => Ok(0),
    }
}

/// Starts attempts at the jobs whose turn has come, as far as there is room.
pub(super) async fn start_due(
    shared: &Arc<Shared>,
    (host, budget): &(Arc<Host>, Arc<Budget>),
    running: &mut Running,
) -> Result<(), SpoolError> {
    for pending in shared.spool.due().await? {
        if budget.free_slots() == 0 || shared.stop.is_cancelled() {
            break;
        }
        let has_waited = super::clock::now_ms() - pending.taken_at;
        let Some(job) = read(shared, &pending).await? else {
            continue;
        };
        let Some(share) = budget.take(job.needs) else {
            if has_waited > PATIENCE {
                break;
            }
            continue;
        };
        // From here on nobody else starts it.
        shared.spool.reserved(&pending.job_id).await?;
        let job_id = pending.job_id.clone();
        let attempt = Attempt {
            shared: Arc::clone(shared),
            host: Arc::clone(host),
            pending,
            job,
            share,
        };
        running.start(job_id, attempt.run());
    }
    Ok(())
}

/// The job, or `None` if there is nothing to replay and the result says so.
async fn read(shared: &Shared, pending: &Pending) -> Result<Option<Job>, SpoolError> {
    let config = shared.config();
    let failure = if pending.attempts >= config.attempts {
        // It ended the daemon each time.
        crate::failure::Failure::new(
            protocol::Code::Internal,
            "every attempt at this replay ended with the validator itself",
        )
    } else {
        match Job::read(&pending.document, &config) {
            Ok(job) => return Ok(Some(job)),
            Err(failure) => failure,
        }
    };
    let body = ResultBody::unreplayed(&failure, &pending.submission_id, &Redactor::default());
    let outcome = protocol::Outcome::of(failure.code, failure.control);
    shared
        .meters
        .replayed(&outcome.status.to_string(), outcome.code.as_str(), &[]);
    tracing::warn!(job_id = pending.job_id, code = %failure.code, why = failure.message, "a job cannot be replayed");
    attempt::store(shared, &pending.job_id, &body, None).await?;
    Ok(None)
}
