//! What the parts of a running daemon share.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::host::Host;
use crate::receipt::ReceiptKey;
use crate::state::State;

use super::breaker::Breakers;
use super::budget::Budget;
use super::caches::{self, InUse};
use super::client::Client;
use super::clock::now_ms;
use super::config::Config;
use super::intake::BARRED;
use super::meters::{Gauges, Meters};
use super::spool::{Counts, Phase, Spool};
use super::wellness::Wellness;

/// The main loop turns at least this often, or something hangs: milliseconds.
const LONGEST_TURN: i64 = 3 * 60 * 1000;

/// Everything that more than one part of the daemon needs.
#[derive(Debug)]
pub(super) struct Shared {
    config: RwLock<Arc<Config>>,
    client: RwLock<Arc<Client>>,
    pub(super) hotkey: String,
    pub(super) state: State,
    pub(super) spool: Spool,
    pub(super) receipt_key: ReceiptKey,
    pub(super) meters: Meters,
    pub(super) in_use: Arc<InUse>,
    breakers: Mutex<Breakers>,
    wellness: Mutex<Wellness>,
    /// Contents being replayed now.
    contents: Mutex<HashSet<String>>,
    engine: Mutex<Option<(Arc<Host>, Arc<Budget>)>>,
    phase: Mutex<(String, String)>,
    /// No new work.
    pub(super) stop: CancellationToken,
    /// Running replays end now.
    pub(super) abort: CancellationToken,
    /// One posts at a time: the outbox, or the end of the daemon.
    pub(super) posting: tokio::sync::Mutex<()>,
    /// There is a result to post.
    pub(super) to_post: Notify,
    /// Something changed that the main loop should look at.
    pub(super) wake: Notify,
    turned_at: AtomicI64,
    pub(super) coordinator_up: AtomicBool,
    pub(super) backlog: AtomicUsize,
    pub(super) oldest_offered: AtomicU64,
    pub(super) cache_bytes: Mutex<Vec<(&'static str, u64)>>,
}

impl Shared {
    pub(super) fn new(
        config: Config,
        client: Client,
        state: State,
        spool: Spool,
        receipt_key: ReceiptKey,
    ) -> Self {
        Self {
            hotkey: client.hotkey(),
            config: RwLock::new(Arc::new(config)),
            client: RwLock::new(Arc::new(client)),
            state,
            spool,
            receipt_key,
            meters: Meters::default(),
            in_use: Arc::default(),
            breakers: Mutex::default(),
            wellness: Mutex::default(),
            contents: Mutex::default(),
            engine: Mutex::default(),
            phase: Mutex::default(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            posting: tokio::sync::Mutex::default(),
            to_post: Notify::new(),
            wake: Notify::new(),
            turned_at: AtomicI64::new(now_ms()),
            coordinator_up: AtomicBool::new(false),
            backlog: AtomicUsize::new(0),
            oldest_offered: AtomicU64::new(0),
            cache_bytes: Mutex::default(),
        }
    }

    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_config(&self, config: Config) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    pub(super) fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_client(&self, client: Client) {
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(client);
    }

    pub(super) fn breakers(&self) -> MutexGuard<'_, Breakers> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wellness(&self) -> MutexGuard<'_, Wellness> {
        self.wellness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn contents(&self) -> MutexGuard<'_, HashSet<String>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host that replays, once the engine has answered.
    pub(super) fn engine(&self) -> Option<(Arc<Host>, Arc<Budget>)> {
        self.engine
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set_engine(&self, engine: Option<(Arc<Host>, Arc<Budget>)>) {
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = engine;
    }

    /// The main loop turns.
    pub(super) fn turn(&self) {
        self.turned_at.store(now_ms(), Ordering::Relaxed);
    }

    /// Whether it has done so lately.
    pub(super) fn is_alive(&self) -> bool {
        now_ms() - self.turned_at.load(Ordering::Relaxed) < LONGEST_TURN
    }

    /// Why no work is taken at the moment, if none is.
    pub(super) fn why_not_ready(&self) -> Option<String> {
        if self.stop.is_cancelled() {
            return Some("ending".to_owned());
        }
        if self.engine().is_none() {
            return Some("the container engine has not answered yet".to_owned());
        }
        if let Some(reason) = self.wellness().paused() {
            return Some(reason.to_owned());
        }
        let phase = self.phase();
        matches!(phase.0.as_str(), "paused" | BARRED).then_some(phase.1)
    }

    /// Notes, tells and remembers what the daemon does, if that is new.
    pub(super) async fn set_phase(&self, name: &str, reason: &str) {
        {
            let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
            if phase.0 == name && phase.1 == reason {
                return;
            }
            *phase = (name.to_owned(), reason.to_owned());
        }
        tracing::info!(phase = name, reason, "the daemon");
        let phase = Phase {
            name: name.to_owned(),
            reason: reason.to_owned(),
            hotkey: self.hotkey.clone(),
            coordinator: self.config().coordinator.to_string(),
            pid: std::process::id(),
            since: now_ms(),
        };
        if let Err(error) = self.spool.set_phase(&phase).await {
            tracing::warn!(%error, "what the daemon does could not be noted");
        }
    }

    /// What the daemon told last that it does, and why.
    pub(super) fn phase(&self) -> (String, String) {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        phase.clone()
    }

    /// The line that the service manager shows.
    pub(super) fn status_line(&self) -> String {
        let phase = self.phase();
        let busy = self.engine().map_or(0, |(_, budget)| budget.busy());
        match phase.1.as_str() {
            "" => format!("{}, {busy} replays run", phase.0),
            reason => format!("{}: {reason}; {busy} replays run", phase.0),
        }
    }

    /// Everything that a monitor reads now.
    pub(super) async fn gauges(&self) -> Gauges {
        let counts = match self.spool.counts().await {
            Ok(counts) => counts,
            Err(error) => {
                tracing::warn!(%error, "jobs could not be counted");
                Counts::default()
            }
        };
        let now = now_ms();
        let age = |since: i64| u64::try_from((now - since) / 1000).unwrap_or(0);
        let offered = self.oldest_offered.load(Ordering::Relaxed);
        let capacity = self
            .engine()
            .map(|(_, budget)| (budget.capacity(), budget.busy()));
        Gauges {
            unposted_seconds: counts.oldest_unposted.map_or(0, age),
            counts,
            slots: capacity.map_or(0, |(capacity, _)| capacity.slots),
            busy: capacity.map_or(0, |(_, busy)| busy),
            backlog: self.backlog.load(Ordering::Relaxed),
            queue_seconds: match offered {
                0 => 0,
                at => (age(0)).saturating_sub(at),
            },
            paused: self.wellness().paused().is_some(),
            coordinator_up: self.coordinator_up.load(Ordering::Relaxed),
            open_breakers: self.breakers().open(Instant::now()),
            caches: self
                .cache_bytes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            free_disk_bytes: caches::free_bytes(self.state.root()).unwrap_or(0),
        }
    }
}
