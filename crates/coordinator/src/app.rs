//! What every route shares.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::git::References;
use crate::http::crowd::Crowd;
use crate::http::rate::RateLimit;
use crate::http::stake::Stakes;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::store::Store;
use crate::time::Clock;

/// How many bodies over a megabyte are read at once, and of one address.
const LARGE_BODIES: usize = 8;
const LARGE_BODIES_OF_ONE: usize = 2;

/// The shared state of the service; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] holds.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// What the operator decided.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// Requests per hotkey.
    pub hotkeys: RateLimit,
    /// Requests per address.
    pub addresses: RateLimit,
    /// The stake gate, if it is on.
    pub stakes: Option<Stakes>,
    /// Resolves a task's `base_ref`.
    pub references: References,
    /// Places for bodies over a megabyte: what they may hold of memory together.
    pub large_bodies: Semaphore,
    /// The same places by address.
    pub large_bodies_of_one: Crowd<String>,
    /// What the metrics listener shows.
    pub metrics: Metrics,
}

impl App {
    /// The state over an open database.
    pub fn new(store: Store, settings: Settings, clock: Clock) -> Self {
        Self(Arc::new(Parts {
            hotkeys: RateLimit::new(settings.requests_per_hotkey),
            addresses: RateLimit::new(settings.requests_per_address),
            stakes: settings.stake_gate.clone().map(Stakes::new),
            references: References::default(),
            large_bodies: Semaphore::new(LARGE_BODIES),
            large_bodies_of_one: Crowd::new(LARGE_BODIES_OF_ONE),
            metrics: Metrics::default(),
            store,
            settings,
            clock,
        }))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
