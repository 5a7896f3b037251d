//! Circuit breakers: a repository or an artifact host that fails again and again
//! is left alone for a while, so that its jobs hold up nobody else's.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;

/// So many failures in a row open a breaker.
const FAILURES: u32 = 3;
const WAIT: Backoff = Backoff {
    base: Duration::from_secs(30),
    most: Duration::from_mins(10),
};
/// More places than this are not remembered: names come from strangers.
const MOST_PLACES: usize = 10_000;

#[derive(Debug)]
struct Record {
    failures: u32,
    open_until: Option<Instant>,
}

/// The places that failed lately.
#[derive(Debug, Default)]
pub(super) struct Breakers(HashMap<String, Record>);

impl Breakers {
    /// How long `place` is to be left alone; `None` if it may be tried. When the
    /// time is over, one try decides.
    pub(super) fn closed_for(&self, place: &str, now: Instant) -> Option<Duration> {
        let until = self.0.get(place)?.open_until?;
        (until > now).then(|| until - now)
    }

    /// Notes that `place` failed. True if it is left alone from now on.
    pub(super) fn failed(&mut self, place: &str, now: Instant) -> bool {
        if self.0.len() >= MOST_PLACES {
            self.0
                .retain(|_, record| record.open_until.is_some_and(|until| until > now));
        }
        if self.0.len() >= MOST_PLACES {
            return false;
        }
        let record = self.0.entry(place.to_owned()).or_insert(Record {
            failures: 0,
            open_until: None,
        });
        record.failures = record.failures.saturating_add(1);
        if record.failures < FAILURES {
            return false;
        }
        record.open_until = Some(now + WAIT.after(record.failures - FAILURES + 1));
        true
    }

    /// Notes that `place` works.
    pub(super) fn works(&mut self, place: &str) {
        self.0.remove(place);
    }

    /// How many places are left alone now.
    pub(super) fn open(&self, now: Instant) -> usize {
        let is_open = |record: &&Record| record.open_until.is_some_and(|until| until > now);
        self.0.values().filter(is_open).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_open_a_breaker_and_one_success_closes_it() {
        let mut breakers = Breakers::default();
        let now = Instant::now();
        assert!(!breakers.failed("a", now) && !breakers.failed("a", now));
        assert_eq!(breakers.closed_for("a", now), None);
        assert!(breakers.failed("a", now));
        let wait = breakers.closed_for("a", now).unwrap();
        assert!(wait >= Duration::from_secs(15) && wait <= Duration::from_secs(30));
        assert_eq!(breakers.closed_for("b", now), None);
        assert_eq!(breakers.open(now), 1);
        assert_eq!(breakers.closed_for("a", now + wait), None);
        breakers.works("a");
        assert!(!breakers.failed("a", now));
    }

    #[test]
    fn a_place_that_fails_again_after_its_wait_waits_longer() {
        let mut breakers = Breakers::default();
        let now = Instant::now();
        for _ in 0..8 {
            breakers.failed("a", now);
        }
        assert!(breakers.closed_for("a", now).unwrap() >= Duration::from_mins(5));
    }

    #[test]
    fn strangers_cannot_fill_the_memory_with_names() {
        let mut breakers = Breakers::default();
        let now = Instant::now();
        for name in 0..30_000 {
            breakers.failed(&name.to_string(), now);
        }
        assert!(breakers.0.len() <= MOST_PLACES);
    }
}
