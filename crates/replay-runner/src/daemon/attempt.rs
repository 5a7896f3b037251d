//! One attempt at one job: from its turn to a result in the spool.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use protocol::{Code, CommitId, Fault, Report};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::host::Host;
use crate::progress::{Event, Progress};
use crate::replay::{Replayed, replay};
use crate::spec::DEFAULT_IMAGE;

use super::backoff::Backoff;
use super::budget::Share;
use super::caches::touch_trees;
use super::clock::after_ms;
use super::heartbeat;
use super::job::Job;
use super::result::ResultBody;
use super::shared::Shared;
use super::spool::{Pending, SpoolError};
use super::wellness::Sign;

/// How long a cancelled replay may take to kill and remove its container. A fetch
/// by libgit2 cannot be interrupted; no container runs then.
const CANCEL_PATIENCE: Duration = Duration::from_secs(10);
/// No retry of a replay waits for longer.
const LONGEST_RETRY: Duration = Duration::from_mins(5);
/// A job whose content is being replayed for another looks again after this.
const SAME_CONTENT: Duration = Duration::from_secs(2);

/// A job with all that its attempt needs.
pub(super) struct Attempt {
    pub(super) shared: Arc<Shared>,
    pub(super) host: Arc<Host>,
    pub(super) pending: Pending,
    pub(super) job: Job,
    /// Given back when the attempt is over.
    pub(super) share: Share,
}

/// How a replay ended for the daemon.
enum End {
    Replayed(Box<Replayed>),
    /// The coordinator does not want it any more.
    Lost(String),
    /// The daemon is ending.
    Aborted,
}

impl Attempt {
    /// Makes the attempt. What becomes of it is in the spool.
    pub(super) async fn run(self) {
        let job_id = self.pending.job_id.clone();
        if let Err(error) = self.make().await {
            // The job is still there as running: the next start takes it up, and
            // so does the main loop when the disk has room again.
            tracing::error!(job_id, %error, "what became of a job could not be written");
        }
        drop(self.share);
        self.shared.wake.notify_one();
    }

    async fn make(&self) -> Result<(), SpoolError> {
        let (shared, job_id) = (&self.shared, &self.pending.job_id);
        if self.is_aside().await? {
            return Ok(());
        }
        let image = self.image().await;
        let key = image
            .as_deref()
            .and_then(|image| self.job.content_key(image));
        if let Some(key) = &key {
            if shared.config().reuse_results && self.reuse(key).await? {
                return Ok(());
            }
            let Some(_only) = ContentGuard::take(shared, key) else {
                let why = "the same content is being replayed".to_owned();
                return shared
                    .spool
                    .put_off(job_id, after_ms(SAME_CONTENT), why)
                    .await;
            };
            return self.replay(Some(key.clone())).await;
        }
        self.replay(None).await
    }

    /// Puts a job off whose repository or artifact host is left alone for now.
    async fn is_aside(&self) -> Result<bool, SpoolError> {
        let now = Instant::now();
        let places = [Some(&self.job.repository), self.job.artifact_host.as_ref()];
        let closed = places.into_iter().flatten().find_map(|place| {
            let wait = self.shared.breakers().closed_for(place, now)?;
            Some((place.clone(), wait))
        });
        let Some((place, wait)) = closed else {
            return Ok(false);
        };
        let why = format!("{place} failed again and again and is left alone for now");
        let why = self.job.redactor.clean(&why);
        let spool = &self.shared.spool;
        spool
            .put_off(&self.pending.job_id, after_ms(wait), why)
            .await?;
        Ok(true)
    }

    /// The id of the job's image on this host.
    async fn image(&self) -> Option<String> {
        let name = self
            .job
            .request
            .task
            .image
            .as_deref()
            .unwrap_or(DEFAULT_IMAGE);
        let silent = |_: u64, _: u64| {};
        // A pull may take half an hour, which nobody waits for at the end.
        let found = tokio::select! {
            found = self.host.engine.image(name, &silent) => found,
            () = self.shared.abort.cancelled() => return None,
        };
        // Without one, the replay will say why.
        found.ok().map(|image| image.id)
    }

    /// Answers the job with the result of an earlier replay of the same content.
    async fn reuse(&self, key: &str) -> Result<bool, SpoolError> {
        let Some(earlier) = self.shared.spool.earlier(key).await? else {
            return Ok(false);
        };
        let Ok(mut body) = serde_json::from_str::<ResultBody>(&earlier.result) else {
            return Ok(false);
        };
        if earlier.submission_id == self.pending.submission_id {
            // Offered again: whoever asks again wants another look.
            return Ok(false);
        }
        body.submission_id.clone_from(&self.pending.submission_id);
        body.notes = format!(
            "the same content as submission {}, replayed by this validator before\n{}",
            earlier.submission_id, body.notes
        );
        self.shared.meters.reused();
        self.store(&body, Some(key.to_owned())).await?;
        Ok(true)
    }

    async fn replay(&self, key: Option<String>) -> Result<(), SpoolError> {
        let (shared, job_id) = (&self.shared, &self.pending.job_id);
        shared.spool.started(job_id).await?;
        tracing::info!(
            job_id,
            attempt = self.pending.attempts + 1,
            "a replay begins"
        );
        let request = &self.job.request;
        let commit: Option<CommitId> = request
            .base_ref
            .as_deref()
            .and_then(|text| text.parse().ok());
        let guard = request
            .repository
            .as_ref()
            .map(|source| shared.in_use.hold(source, commit));
        let end = self.replay_and_beat().await;
        drop(guard);
        match end {
            End::Replayed(replayed) => self.ended(*replayed, key).await,
            End::Lost(reason) => {
                tracing::info!(job_id, reason, "the job is not wanted any more");
                shared.spool.drop_job(job_id, reason).await
            }
            End::Aborted => self.hand_back().await,
        }
    }

    /// Replays, until the end, or until the coordinator or the daemon's own end
    /// stops it.
    async fn replay_and_beat(&self) -> End {
        let shared = &self.shared;
        let (cancel, ended) = (CancellationToken::new(), CancellationToken::new());
        let stages = StageNotes::to(shared, &self.pending.job_id);
        let lost = OnceLock::new();
        let replaying = async {
            let replayed = replay(&self.host, &self.job.request, &stages, &cancel).await;
            ended.cancel();
            replayed
        };
        let stopped = async {
            let beats = async {
                if shared.config().dry_run {
                    ended.cancelled().await;
                    return None;
                }
                let (job_id, submission_id) = (&self.pending.job_id, &self.pending.submission_id);
                heartbeat::keep(shared, job_id, submission_id, &ended).await
            };
            let why = tokio::select! {
                reason = beats => match reason {
                    Some(reason) => End::Lost(lost.get_or_init(|| reason).clone()),
                    None => std::future::pending().await,
                },
                () = shared.abort.cancelled() => End::Aborted,
            };
            cancel.cancel();
            tokio::time::sleep(CANCEL_PATIENCE).await;
            why
        };
        tokio::pin!(replaying, stopped);
        let replayed = tokio::select! {
            replayed = &mut replaying => replayed,
            why = &mut stopped => {
                // Given up in the middle of a stage, whose container nobody removed.
                self.host.engine.note_doubt();
                return why;
            }
        };
        if replayed.report.code != Code::Cancelled {
            return End::Replayed(Box::new(replayed));
        }
        match lost.get() {
            Some(reason) => End::Lost(reason.clone()),
            None => End::Aborted,
        }
    }

    /// A replay that came to an end: tried again if this host is to blame.
    async fn ended(&self, replayed: Replayed, key: Option<String>) -> Result<(), SpoolError> {
        let shared = &self.shared;
        let report = &replayed.report;
        self.learn(report);
        shared.meters.replayed(
            &report.status.to_string(),
            report.code.as_str(),
            &report.stages,
        );
        let config = shared.config();
        let attempt = self.pending.attempts + 1;
        let message = self.job.redactor.clean(&report.message);
        tracing::info!(
            job_id = self.pending.job_id,
            attempt,
            status = %report.status,
            code = %report.code,
            message,
            "a replay ended"
        );
        if report.fault == Some(Fault::Validator)
            && report.code != Code::SandboxLimitsUnsatisfiable
            && attempt < config.attempts
        {
            let backoff = Backoff {
                base: config.retry_base,
                most: LONGEST_RETRY,
            };
            let next_at = after_ms(backoff.after(attempt));
            let why = format!("{}: {message}", report.code);
            return shared
                .spool
                .put_off(&self.pending.job_id, next_at, why)
                .await;
        }
        let body = self.body(&replayed);
        self.store(&body, key).await
    }

    /// What the end of a replay says of repository, artifact host and this host.
    fn learn(&self, report: &Report) {
        let shared = &self.shared;
        {
            let mut breakers = shared.breakers();
            let now = Instant::now();
            match (report.code, &self.job.artifact_host) {
                (Code::CheckoutFetchFailed, _) => drop(breakers.failed(&self.job.repository, now)),
                (Code::ArtifactUnavailable, Some(host)) => drop(breakers.failed(host, now)),
                (_, host) if !report.stages.is_empty() => {
                    breakers.works(&self.job.repository);
                    if let Some(host) = host {
                        breakers.works(host);
                    }
                }
                _ => {}
            }
        }
        if let Some(commit) = report.base_commit {
            touch_trees(&shared.state, commit);
        }
        let what = format!(
            "{}: {}",
            report.code,
            self.job.redactor.clean(&report.message)
        );
        let limit = shared.config().pause_after;
        if shared.wellness().note(Sign::of(report), limit, &what) {
            tracing::error!(
                what,
                "this host fails again and again: no new work until doctor finds it well"
            );
        }
    }

    /// What is posted about a replay, with its receipt where the coordinator
    /// froze the very spec that was replayed.
    fn body(&self, replayed: &Replayed) -> ResultBody {
        let config = self.shared.config();
        let report = &replayed.report;
        let submission_id = &self.pending.submission_id;
        let mut body = ResultBody::of(
            report,
            submission_id,
            &self.job.redactor,
            config.max_log_chars,
        );
        let (Some(frozen), Some(spec)) = (&self.job.frozen, &replayed.spec) else {
            return body;
        };
        let resolved = protocol::ReplaySpec {
            image: spec.image.clone(),
            ..frozen.clone()
        };
        if resolved.digest() != spec.digest() {
            if config.benchmark_env.is_empty() {
                tracing::warn!(
                    submission_id,
                    "what was replayed is not the coordinator's spec"
                );
            }
            return body;
        }
        body.spec_digest = Some(spec.digest());
        body.image = Some(spec.image.clone());
        match self
            .shared
            .receipt_key
            .sign(spec, report, self.host.receipt_facts())
        {
            Ok(receipt) => body.receipt = Some(receipt),
            Err(error) => tracing::warn!(%error, "there is no receipt"),
        }
        body
    }

    /// The daemon ends: the coordinator learns at once that the job is free, if it
    /// understands whose fault that is.
    async fn hand_back(&self) -> Result<(), SpoolError> {
        let why = "the validator is shutting down";
        if self.job.frozen.is_none() || self.shared.config().dry_run {
            let spool = &self.shared.spool;
            return spool
                .put_off(
                    &self.pending.job_id,
                    after_ms(Duration::ZERO),
                    why.to_owned(),
                )
                .await;
        }
        let failure = Failure::new(Code::Cancelled, why);
        let body =
            ResultBody::unreplayed(&failure, &self.pending.submission_id, &self.job.redactor);
        self.store(&body, None).await
    }

    /// Writes a result into the spool and has it posted.
    async fn store(&self, body: &ResultBody, key: Option<String>) -> Result<(), SpoolError> {
        let shared = &self.shared;
        store(shared, &self.pending.job_id, body, key).await
    }
}

/// Writes a result into the spool, waiting for room if the disk has none: what
/// was observed is worth more than a slot.
pub(super) async fn store(
    shared: &Shared,
    job_id: &str,
    body: &ResultBody,
    key: Option<String>,
) -> Result<(), SpoolError> {
    let backoff = Backoff {
        base: Duration::from_secs(1),
        most: Duration::from_mins(1),
    };
    let dry_run = shared.config().dry_run;
    let mut failures = 0;
    loop {
        match shared
            .spool
            .finish(job_id, body, key.clone(), dry_run)
            .await
        {
            Err(error) if error.is_full() && !shared.abort.is_cancelled() => {
                failures += 1;
                tracing::error!(job_id, %error, "a result waits for room on the disk");
                tokio::time::sleep(backoff.after(failures)).await;
            }
            done => {
                shared.to_post.notify_one();
                return done;
            }
        }
    }
}

/// One content is replayed once at a time.
struct ContentGuard<'a> {
    shared: &'a Shared,
    key: String,
}

impl<'a> ContentGuard<'a> {
    /// `None` if it is being replayed already.
    fn take(shared: &'a Shared, key: &str) -> Option<Self> {
        shared.contents().insert(key.to_owned()).then(|| Self {
            shared,
            key: key.to_owned(),
        })
    }
}

impl Drop for ContentGuard<'_> {
    fn drop(&mut self) {
        self.shared.contents().remove(&self.key);
    }
}

/// Writes into the spool how far a replay is.
struct StageNotes(tokio::sync::mpsc::UnboundedSender<String>);

impl StageNotes {
    fn to(shared: &Arc<Shared>, job_id: &str) -> Self {
        let (sender, mut notes) = tokio::sync::mpsc::unbounded_channel::<String>();
        let (spool, job_id) = (shared.spool.clone(), job_id.to_owned());
        tokio::spawn(async move {
            while let Some(mut stage) = notes.recv().await {
                // The last word counts.
                while let Ok(later) = notes.try_recv() {
                    stage = later;
                }
                if let Err(error) = spool.at_stage(&job_id, stage).await {
                    tracing::debug!(%error, "how far a replay is could not be noted");
                }
            }
        });
        Self(sender)
    }
}

impl Progress for StageNotes {
    fn event(&self, event: Event<'_>) {
        let stage = match event {
            Event::Step(step) => step.to_owned(),
            Event::StageStarted { name, pass, .. } if pass > 1 => format!("{name} {pass}"),
            Event::StageStarted { name, .. } => name.to_owned(),
            _ => return,
        };
        // Nobody reads any more: then nobody needs to know.
        let _ = self.0.send(stage);
    }
}
