//! What a daemon does beside its work: keeps caches within their bounds, forgets
//! old jobs, and tells the service manager that it lives.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::caches;
use super::notify::ServiceManager;
use super::shared::Shared;

const PERIOD: Duration = Duration::from_mins(10);

/// Cleans now and then, until the daemon ends.
pub(super) async fn clean(shared: Arc<Shared>) {
    loop {
        clean_once(&shared, false).await;
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = shared.stop.cancelled() => return,
        }
    }
}

/// Brings the caches within their bounds; in a `hurry` as far down as it goes.
pub(super) async fn clean_once(shared: &Arc<Shared>, hurry: bool) {
    let bounds = shared.config().caches.clone();
    let most = |bytes: protocol::limits::Bytes| if hurry { 0 } else { bytes.get() };
    if let Some((host, _)) = shared.engine() {
        for (cache, max) in [
            (&host.artifacts, bounds.artifacts),
            (&host.private_inputs, bounds.private_inputs),
        ] {
            if let Err(error) = cache.evict(most(max)).await {
                tracing::warn!(%error, "a cache could not be brought within its bound");
            }
        }
    }
    if let Some((host, _)) = shared.engine()
        && let Err(failure) = host.reap_others().await
    {
        tracing::warn!(message = failure.message, "what dead runners left stays");
    }
    if let Err(error) = shared.spool.prune().await {
        tracing::warn!(%error, "old jobs could not be forgotten");
    }
    let (state, in_use) = (shared.state.clone(), Arc::clone(&shared.in_use));
    let max = most(bounds.checkouts);
    let sizes = tokio::task::spawn_blocking(move || {
        let checkouts = caches::evict_checkouts(&state, &in_use, max, hurry)
            .inspect_err(|error| tracing::warn!(%error, "checkouts could not be evicted"))
            .unwrap_or(0);
        let size = |name: &str| caches::size_of(&state.root().join(name));
        vec![
            ("artifacts", size("artifacts")),
            ("private_inputs", size("private")),
            ("checkouts", checkouts),
        ]
    });
    if let Ok(sizes) = sizes.await {
        *shared
            .cache_bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = sizes;
    }
}

/// Whether there is room to take more work; makes some if there is not.
pub(super) async fn has_room(shared: &Arc<Shared>, wanted: u64) -> bool {
    let least = shared.config().caches.min_free.get().saturating_add(wanted);
    let free = || caches::free_bytes(shared.state.root()).unwrap_or(u64::MAX);
    if free() >= least {
        return true;
    }
    clean_once(shared, true).await;
    free() >= least
}

/// Tells the service manager that the daemon lives for as long as its main loop
/// turns, and what it does.
pub(super) async fn keep_alive(shared: Arc<Shared>, manager: Arc<ServiceManager>) {
    let period = manager.watchdog().unwrap_or(Duration::from_secs(15));
    loop {
        if shared.is_alive() {
            manager.alive();
        } else {
            tracing::error!("the main loop does not turn");
        }
        manager.status(&shared.status_line());
        tokio::time::sleep(period).await;
    }
}
