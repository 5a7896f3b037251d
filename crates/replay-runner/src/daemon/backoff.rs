//! How long to wait before something is tried again: twice as long each time,
//! up to a limit, and never the same for two hosts that failed together.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// A doubling wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    /// Before the second try.
    pub(super) base: Duration,
    /// No wait is longer.
    pub(super) most: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row, from half of the full wait to
    /// all of it.
    pub(super) fn after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let full = self.base.saturating_mul(1 << doublings).min(self.most);
        full.mul_f64(f64::midpoint(1.0, random_fraction()))
    }
}

/// From 0 to 1. Spreads hosts out; nothing secret depends on it.
fn random_fraction() -> f64 {
    // Every `RandomState` has keys of its own.
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_up_to_its_limit_and_is_at_least_half() {
        let backoff = Backoff {
            base: Duration::from_secs(1),
            most: Duration::from_mins(1),
        };
        for (failures, full) in [(0, 1), (1, 1), (2, 2), (5, 16), (7, 60), (u32::MAX, 60)] {
            let full = Duration::from_secs(full);
            for _ in 0..50 {
                let wait = backoff.after(failures);
                assert!(wait >= full / 2 && wait <= full, "{failures}: {wait:?}");
            }
        }
    }

    #[test]
    fn two_hosts_that_fail_together_do_not_come_back_together() {
        let backoff = Backoff {
            base: Duration::from_secs(1000),
            most: Duration::from_secs(1000),
        };
        let waits: std::collections::BTreeSet<_> = (0..20).map(|_| backoff.after(1)).collect();
        assert!(waits.len() > 15, "{waits:?}");
    }
}
