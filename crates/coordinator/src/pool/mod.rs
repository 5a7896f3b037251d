//! What the pool says: its epochs, their roots, and what every miner can claim.
//!
//! This process has no chain connection. It asks the pool that the operator names,
//! patiently and within bounds, remembers the answer for a while, and says when
//! there is none. Nothing here decides anything.

mod answers;
mod balances;
mod fetch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, RwLock};
use url::Url;

pub use answers::{Claimed, EpochAnswer};
pub use balances::{Balances, Entry};
pub use fetch::FetchError;

use crate::time::{Clock, Timestamp};
use fetch::Fetcher;

/// How long an answer is shown before the pool is asked again, in seconds.
const FRESH: i64 = 30;
/// How long a failure is shown before the pool is asked again, in seconds.
const FRESH_FAILURE: i64 = 5;
/// How many epochs are asked for, the newest first.
const EPOCHS: usize = 20;

/// Everything that the pool said at one moment.
#[derive(Debug, Clone)]
pub struct Report {
    /// What it says of its processes and of the contract; passed on as it is.
    pub runtime: Option<serde_json::Value>,
    /// The epoch that it hands out when none is named.
    pub default_epoch: Option<u64>,
    /// How many epochs it has.
    pub epoch_count: usize,
    /// The newest of them, newest first.
    pub epochs: Vec<EpochAnswer>,
    /// The amounts of the default epoch, or why they are not shown.
    pub balances: Result<Balances, String>,
    /// What the contract had paid, where the pool reports that.
    pub claimed: Option<Claimed>,
    /// When it was asked.
    pub at: Timestamp,
}

/// What is known of the pool now.
#[derive(Debug, Clone)]
pub struct Known {
    /// What it said last.
    pub report: Option<Arc<Report>>,
    /// Why it said nothing since.
    pub problem: Option<String>,
    /// When it said that, or did not: an asking that takes long is not begun anew at
    /// its end.
    told_at: Timestamp,
}

impl Known {
    fn is_fresh(&self, now: Timestamp) -> bool {
        let fresh = if self.problem.is_some() {
            FRESH_FAILURE
        } else {
            FRESH
        };
        now.seconds() < self.told_at.seconds() + fresh
    }
}

/// A pool, by its address.
#[derive(Debug)]
pub struct Pool {
    fetcher: Fetcher,
    patience: Duration,
    known: RwLock<Option<Known>>,
    /// Held by the one who asks, so that a crowd asks once.
    turn: Mutex<()>,
}

impl Pool {
    /// The pool at `base`, which may take so long for everything together.
    ///
    /// # Errors
    /// [`FetchError::Client`] where there is no TLS.
    pub fn new(base: Url, patience: Duration) -> Result<Self, FetchError> {
        Ok(Self {
            fetcher: Fetcher::new(base)?,
            patience,
            known: RwLock::new(None),
            turn: Mutex::new(()),
        })
    }

    /// What is known now; asks first if that is nothing, and again in the background
    /// if it is old.
    pub async fn known(self: &Arc<Self>, clock: &Clock) -> Known {
        if let Some(known) = self.known.read().await.clone() {
            if !known.is_fresh(clock.now()) {
                let (pool, clock) = (Arc::clone(self), clock.clone());
                tokio::spawn(async move { pool.refresh(&clock).await });
            }
            return known;
        }
        let _turn = self.turn.lock().await;
        // Somebody else may have asked meanwhile.
        if let Some(known) = self.known.read().await.clone() {
            return known;
        }
        self.ask(clock).await
    }

    /// Asks again, unless somebody does or just did.
    async fn refresh(&self, clock: &Clock) {
        let Ok(_turn) = self.turn.try_lock() else {
            return;
        };
        // What this was begun for may be old: another's turn may have ended since.
        let known = self.known.read().await.clone();
        if known.is_none_or(|known| !known.is_fresh(clock.now())) {
            self.ask(clock).await;
        }
    }

    /// Asks, and remembers the answer; what was known stays known when there is none.
    async fn ask(&self, clock: &Clock) -> Known {
        let asked_at = clock.now();
        let asked = tokio::time::timeout(self.patience, self.report(asked_at)).await;
        let answer = asked.unwrap_or(Err(FetchError::Slow));
        let told_at = clock.now();
        let mut known = self.known.write().await;
        let new = match answer {
            Ok(report) => Known {
                report: Some(Arc::new(report)),
                problem: None,
                told_at,
            },
            Err(error) => {
                tracing::warn!(%error, "the pool gave no usable answer");
                Known {
                    report: known.take().and_then(|before| before.report),
                    problem: Some(error.to_string()),
                    told_at,
                }
            }
        };
        *known = Some(new.clone());
        new
    }

    async fn report(&self, at: Timestamp) -> Result<Report, FetchError> {
        let list = self.fetcher.epochs().await?;
        let mut numbers = list.epochs.clone();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        let mut epochs = Vec::new();
        for number in numbers.iter().take(EPOCHS) {
            epochs.push(self.fetcher.epoch(*number).await?);
        }
        let shown = match list.default_epoch {
            None => None,
            Some(number) => match epochs.iter().find(|one| one.epoch == number) {
                Some(known) => Some(known.clone()),
                None => Some(self.fetcher.epoch(number).await?),
            },
        };
        let balances = match &shown {
            None => Err("no epoch is built yet".to_owned()),
            Some(epoch) => self.balances(epoch).await,
        };
        Ok(Report {
            runtime: self.fetcher.runtime().await,
            claimed: self.fetcher.claimed().await?,
            default_epoch: list.default_epoch,
            epoch_count: numbers.len(),
            epochs,
            balances,
            at,
        })
    }

    /// The amounts of an epoch, from its file, whose digest the epoch names.
    async fn balances(&self, epoch: &EpochAnswer) -> Result<Balances, String> {
        let Some(digest) = epoch.file_sha256 else {
            return Err("the pool does not name the epoch's file".to_owned());
        };
        let file = self.fetcher.document(digest).await;
        let file = file.map_err(|error| format!("the epoch's file: {error}"))?;
        // A file of megabytes is too long for the reactor's own threads.
        let read = tokio::task::spawn_blocking(move || Balances::read(&file)).await;
        read.map_err(|_| "reading the epoch's file was cut off".to_owned())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_comes_when_another_has_just_asked_does_not_ask_again() {
        let nobody = "http://127.0.0.1:1".parse().unwrap();
        let (pool, clock) = (Pool::new(nobody, Duration::MAX).unwrap(), Clock::default());
        let told_at = pool.ask(&clock).await.told_at;
        for (later, asks) in [(0, false), (FRESH_FAILURE, true)] {
            clock.advance_seconds(later);
            pool.refresh(&clock).await;
            let known = pool.known.read().await.clone().unwrap();
            assert_eq!(known.told_at != told_at, asks, "{later} s later");
        }
    }
}
