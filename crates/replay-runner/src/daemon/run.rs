//! The main loop: from start to a clean end.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use protocol::hotkey::Keypair;

use crate::host::Host;
use crate::receipt::{ReceiptError, ReceiptKey};
use crate::state::State;

use super::client::{Client, ClientError};
use super::config::{self, Config, ConfigError};
use super::housekeeping;
use super::intake::{self, Intake};
use super::listen;
use super::lock::{DaemonLock, LockError};
use super::notify::ServiceManager;
use super::outbox;
use super::probe;
use super::running::Running;
use super::shared::Shared;
use super::spool::{Spool, SpoolError};

/// A loop that has nothing to do looks again after this.
const NAP: Duration = Duration::from_secs(1);
/// Before a task is looked up again.
const LOOK_UP: Duration = Duration::from_secs(5);
/// How long results may take to be posted when the daemon ends.
const LAST_POSTS: Duration = Duration::from_secs(10);

/// How often an engine is asked, once a [`NAP`], to remove the last containers.
const LAST_REMOVALS: u32 = 10;
/// How long it may take each time.
const REMOVAL: Duration = Duration::from_secs(5);

/// Why a daemon does not start, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// Another daemon runs.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The key that signs receipts cannot be used.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// There can be no client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The configuration names a certificate or task that is not there.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address for health and metrics cannot be had.
    #[error("listen: {address} cannot be listened on: {source}; write another address")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Signals cannot be heard.
    #[error("signals cannot be heard: {0}")]
    Signals(std::io::Error),
    /// The coordinator's catalog has no such task.
    #[error("task_slug: the coordinator has no task {0:?}; see its catalog")]
    NoSuchTask(String),
}

/// What a daemon starts with.
#[derive(Debug)]
pub struct Start {
    /// What the operator decided.
    pub config: Config,
    /// Where that can be read again, after SIGHUP.
    pub config_file: PathBuf,
    /// What the command line decides over the file: applied again after SIGHUP.
    pub overrides: Overrides,
    /// The key that signs.
    pub keypair: Keypair,
    /// Where it keeps everything.
    pub state: State,
}

/// What the command line decides over the file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides {
    /// End after one round.
    pub once: bool,
    /// Replay, but lease and post nothing.
    pub dry_run: bool,
}

impl Overrides {
    /// The configuration with these decisions.
    #[must_use]
    pub fn apply(self, mut config: Config) -> Config {
        if self.once {
            config.cycles = Some(1);
        }
        config.dry_run |= self.dry_run;
        config
    }
}

/// How a daemon ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Results that are in the spool and not posted yet; the next start posts them.
    pub unposted: usize,
    /// Why it has not done the rounds that it was told to do.
    pub shortfall: Option<Shortfall>,
}

/// Why a daemon has not done the rounds that it was told to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Shortfall {
    /// This host takes no work, and a single round waits for nothing.
    #[error("no work is taken: {0}")]
    Paused(String),
    /// The coordinator gives no work, or does not let this validator in.
    #[error("the coordinator gave no usable answer: {0}")]
    Unanswered(String),
}

/// Runs a daemon to its end: a signal, or the last of its rounds.
///
/// # Errors
/// [`DaemonError`] when it cannot start; afterwards nothing but a spool that
/// cannot be read ends it.
pub async fn run(start: Start) -> Result<Ended, DaemonError> {
    let config = start.overrides.apply(start.config.clone());
    let client = Client::new(&config, start.keypair.clone())?;
    let hotkey = client.hotkey();
    let _lock = DaemonLock::take(&hotkey, start.state.root())?;
    let receipt_key = ReceiptKey::open(start.state.root())?.bound_by(&start.keypair)?;
    let spool = Spool::open(start.state.root())?;
    let recovered = spool.recover().await?;
    let signals = Signals::new()?;
    let listener = match config.listen {
        Some(address) => Some(
            TcpListener::bind(address)
                .await
                .map_err(|source| DaemonError::Listen { address, source })?,
        ),
        None => None,
    };
    let shared = Arc::new(Shared::new(
        config,
        client,
        start.state.clone(),
        spool,
        receipt_key,
    ));
    tracing::info!(hotkey, recovered, "the daemon starts");
    shared.set_phase("starting", "").await;
    let mut daemon = Daemon {
        manager: Arc::new(ServiceManager::from_env()),
        intake: Intake::new(),
        running: Running::default(),
        probing: None,
        shortfall: None,
        reopens: false,
        signals,
        start,
        shared,
    };
    daemon.run(listener).await
}

struct Daemon {
    shared: Arc<Shared>,
    manager: Arc<ServiceManager>,
    intake: Intake,
    running: Running,
    probing: Option<JoinHandle<()>>,
    /// Why it ends before its single round is done.
    shortfall: Option<Shortfall>,
    /// Whether slots or access have changed, which counts once no replay runs.
    reopens: bool,
    signals: Signals,
    start: Start,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, DaemonError> {
        let hear = |kind| signal(kind).map_err(DaemonError::Signals);
        Ok(Self {
            terminate: hear(SignalKind::terminate())?,
            interrupt: hear(SignalKind::interrupt())?,
            hang_up: hear(SignalKind::hangup())?,
        })
    }
}

/// What the main loop waited for.
enum Turn {
    Stop,
    Reload,
    Go,
}

impl Daemon {
    async fn run(&mut self, listener: Option<TcpListener>) -> Result<Ended, DaemonError> {
        let shared = Arc::clone(&self.shared);
        let mut aside = JoinSet::new();
        if let Some(listener) = listener {
            if let Ok(address) = listener.local_addr() {
                tracing::info!(%address, "health and metrics are served");
            }
            let stop = shared.abort.clone();
            aside.spawn(listen::serve(listener, Arc::clone(&shared), stop));
        }
        aside.spawn(outbox::run(Arc::clone(&shared)));
        aside.spawn(housekeeping::clean(Arc::clone(&shared)));
        aside.spawn(housekeeping::keep_alive(
            Arc::clone(&shared),
            Arc::clone(&self.manager),
        ));
        self.manager.ready();
        let ended = self.work().await;
        self.manager.stopping();
        let result = match ended {
            Ok(()) => self.end().await,
            Err(error) => Err(error),
        };
        shared.stop.cancel();
        shared.abort.cancel();
        aside.shutdown().await;
        result
    }

    /// Works until it is told to stop, or its rounds are over.
    async fn work(&mut self) -> Result<(), DaemonError> {
        if !self.name_task().await? {
            return Ok(());
        }
        loop {
            self.shared.turn();
            self.running.note_ended();
            self.running.release(&self.shared.spool).await;
            match self.one_turn().await {
                // A disk that is full now will have room again.
                Err(error) if error.is_full() && !self.shared.config().is_once() => {
                    tracing::error!(%error, "the spool cannot be written");
                    tokio::time::sleep(NAP).await;
                }
                result => result?,
            }
            if self.is_over().await? {
                return Ok(());
            }
            self.shortfall = self.waits_in_vain();
            if self.shortfall.is_some() {
                return Ok(());
            }
            match self.wait().await {
                Turn::Stop => return Ok(()),
                Turn::Reload => self.reload(),
                Turn::Go => {}
            }
        }
    }

    async fn one_turn(&mut self) -> Result<(), SpoolError> {
        let shared = Arc::clone(&self.shared);
        if self.reopens {
            if !self.running.is_empty() {
                return Ok(());
            }
            self.reopens = false;
            shared.set_engine(None);
        }
        let Some(engine) = shared.engine() else {
            if self.probing.as_ref().is_none_or(JoinHandle::is_finished) {
                let shared = Arc::clone(&shared);
                self.probing = Some(tokio::spawn(async move {
                    probe::wait_for_engine(&shared).await;
                    shared.wake.notify_one();
                }));
            }
            return Ok(());
        };
        if shared.wellness().paused().is_some() {
            if self.probing.as_ref().is_none_or(JoinHandle::is_finished) {
                self.probing = Some(tokio::spawn(probe::wait_until_well(Arc::clone(&shared))));
            }
            return Ok(());
        }
        if !housekeeping::has_room(&shared, 0).await {
            let reason = "the disk of the state directory is nearly full (min_free_disk)";
            shared.set_phase("paused", reason).await;
            return Ok(());
        }
        if self.running.is_empty() {
            remove_leftovers(&engine.0).await;
        }
        let waiting = shared.spool.due().await?.len();
        let free = engine.1.free_slots().saturating_sub(waiting);
        if !self.rounds_are_over() {
            self.intake.take(&shared, free).await?;
        }
        let (phase, reason) = self.intake.phase();
        shared.set_phase(phase, reason).await;
        intake::start_due(&shared, &engine, &mut self.running).await?;
        Ok(())
    }

    fn rounds_are_over(&self) -> bool {
        let cycles = self.shared.config().cycles;
        cycles.is_some_and(|cycles| self.intake.rounds >= cycles) && self.intake.is_empty()
    }

    /// Whether all rounds are done, and everything that they brought.
    async fn is_over(&self) -> Result<bool, DaemonError> {
        Ok(self.rounds_are_over()
            && self.running.is_empty()
            && self.shared.spool.unfinished().await? == 0)
    }

    /// Why a daemon that asks a single time ends without waiting until its host is
    /// fit again: whoever runs it so waits for its exit status.
    fn waits_in_vain(&self) -> Option<Shortfall> {
        if !self.shared.config().is_once() || !self.running.is_empty() {
            return None;
        }
        let (phase, reason) = self.shared.phase();
        (phase == "paused").then_some(Shortfall::Paused(reason))
    }

    /// Why it has not done its rounds, once it ends.
    async fn shortfall(&self) -> Result<Option<Shortfall>, DaemonError> {
        if self.shared.config().cycles.is_none() {
            return Ok(None);
        }
        if let Some(trouble) = self.intake.trouble() {
            return Ok(Some(Shortfall::Unanswered(trouble.to_owned())));
        }
        // What was left may have been posted since.
        if self.shortfall.is_some() && !self.is_over().await? {
            return Ok(self.shortfall.clone());
        }
        let is_up = self.shared.coordinator_up.load(Ordering::Relaxed);
        Ok((!is_up).then(|| Shortfall::Unanswered("see the log".to_owned())))
    }

    async fn wait(&mut self) -> Turn {
        let now = Instant::now();
        let engine = self.shared.engine();
        let may_take = engine.is_some_and(|(_, budget)| budget.free_slots() > 0);
        // A job that was put off may have its turn at any time.
        let nap = if may_take && !self.rounds_are_over() {
            let next = self.intake.next_turn();
            next.clamp(now + Duration::from_millis(50), now + NAP)
        } else {
            now + NAP
        };
        tokio::select! {
            _ = self.signals.terminate.recv() => Turn::Stop,
            _ = self.signals.interrupt.recv() => Turn::Stop,
            _ = self.signals.hang_up.recv() => Turn::Reload,
            () = self.shared.wake.notified() => Turn::Go,
            () = tokio::time::sleep_until(nap) => Turn::Go,
        }
    }

    /// Stops taking work, lets replays end within the grace time, hands back the
    /// others, and posts what there is.
    async fn end(&mut self) -> Result<Ended, DaemonError> {
        let shared = &self.shared;
        shared.stop.cancel();
        shared.set_phase("draining", "").await;
        let grace = tokio::time::sleep(shared.config().grace);
        tokio::pin!(grace);
        while !self.running.is_empty() {
            shared.turn();
            tokio::select! {
                _ = self.running.wait_for_one() => {}
                () = &mut grace => break,
                _ = self.signals.terminate.recv() => break,
                _ = self.signals.interrupt.recv() => break,
            }
        }
        if !self.running.is_empty() {
            tracing::warn!("the grace time is over; replays are handed back");
        }
        shared.abort.cancel();
        while self.running.wait_for_one().await {
            shared.turn();
        }
        self.running.release(&shared.spool).await;
        let unposted = self.post_the_rest().await?;
        if let Some((host, _)) = shared.engine() {
            for _ in 0..LAST_REMOVALS {
                if remove_leftovers(&host).await {
                    break;
                }
                tokio::time::sleep(NAP).await;
            }
            // What a neighbour that was killed left when the engine was away.
            if let Err(failure) = host.reap_others().await {
                tracing::warn!(message = failure.message, "what dead runners left stays");
            }
        }
        // Tasks in the background may outlive this; what the host has mounted must not.
        shared.set_engine(None);
        shared.set_phase("ended", "").await;
        Ok(Ended {
            unposted,
            shortfall: self.shortfall().await?,
        })
    }

    async fn post_the_rest(&self) -> Result<usize, DaemonError> {
        let shared = &self.shared;
        shared.spool.post_now().await?;
        match tokio::time::timeout(LAST_POSTS, outbox::post_due(shared)).await {
            Ok(posted) => posted?,
            Err(_) => {
                tracing::warn!("the coordinator does not answer; the next start posts the rest");
            }
        }
        Ok(shared.spool.unposted().await?.0)
    }

    /// Turns a task's slug into its id, which is what the coordinator filters by.
    /// False if the daemon is told to stop meanwhile, or waits for nothing.
    async fn name_task(&mut self) -> Result<bool, DaemonError> {
        let config = self.shared.config();
        let (Some(slug), None) = (&config.task_slug, &config.task_id) else {
            return Ok(true);
        };
        loop {
            self.shared.turn();
            let client = Client::new(&config, self.start.keypair.clone())?;
            match client.task_by_slug(slug).await {
                Ok(Some(id)) => {
                    self.shared.set_client(client.for_task(id));
                    return Ok(true);
                }
                Ok(None) => return Err(DaemonError::NoSuchTask(slug.clone())),
                Err(error) => {
                    tracing::warn!(%error, "the task cannot be looked up yet");
                    let reason = error.told();
                    if config.is_once() {
                        self.shortfall = Some(Shortfall::Unanswered(reason));
                        return Ok(false);
                    }
                    let phase = if error.is_barred() {
                        intake::BARRED
                    } else {
                        "starting"
                    };
                    self.shared.set_phase(phase, &reason).await;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_UP) => {}
                _ = self.signals.terminate.recv() => return Ok(false),
                _ = self.signals.interrupt.recv() => return Ok(false),
            }
        }
    }

    /// Reads the configuration again. What is wrong leaves the old one in place;
    /// what cannot change while running is told.
    fn reload(&mut self) {
        self.manager.reloading();
        match config::load(&self.start.config_file) {
            Err(error) => tracing::error!(%error, "the configuration stays as it was"),
            Ok(loaded) => {
                for warning in loaded.warnings {
                    tracing::warn!(warning, "configuration");
                }
                self.adopt(self.start.overrides.apply(loaded.config));
            }
        }
        self.manager.ready();
    }

    fn adopt(&mut self, new: Config) {
        // What the file said meanwhile was never in use.
        let runs = &self.start.config;
        let fixed = [
            ("the wallet", runs.wallet != new.wallet),
            ("the state directory", runs.state_dir != new.state_dir),
            ("listen", runs.listen != new.listen),
            ("task_slug", runs.task_slug != new.task_slug),
        ];
        for (what, _) in fixed.iter().filter(|(_, changed)| *changed) {
            tracing::warn!(what, "changes only when the daemon starts anew");
        }
        if let Err(error) = new.access.read_root_certificate() {
            return tracing::error!(%error, "the configuration stays as it was");
        }
        match Client::new(&new, self.start.keypair.clone()) {
            Ok(client) if runs.task_slug.is_none() => self.shared.set_client(client),
            Ok(_) => {}
            Err(error) => return tracing::error!(%error, "the configuration stays as it was"),
        }
        let reopens = new.wants_another_host_than(&self.shared.config());
        self.shared.set_config(new);
        self.reopens |= reopens;
        if reopens && !self.running.is_empty() {
            tracing::info!(
                "slots and access change when the running replays have ended; none is begun before"
            );
        }
        tracing::info!("the configuration was read again");
    }
}

/// Removes containers that an engine kept when it went away in the middle of a
/// stage; false if it is not done yet. No attempt may be running.
async fn remove_leftovers(host: &Host) -> bool {
    match tokio::time::timeout(REMOVAL, host.remove_leftovers()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "containers that are left cannot be removed yet");
            false
        }
        Err(_) => {
            tracing::warn!("the engine does not say which containers are left");
            false
        }
    }
}
