//! How often and how long to wait for a coordinator that cannot answer now.

use std::time::Duration;

/// The longest wait between two attempts, whatever the coordinator asks for.
const LONGEST: Duration = Duration::from_mins(1);

/// How often a request is sent, and how long to wait in between.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retry {
    /// Attempts in all.
    pub(crate) attempts: u32,
    /// The first wait; doubled each time.
    pub(crate) first: Duration,
}

impl Retry {
    /// How long to wait after `attempt`, counted from 1: what `Retry-After` asked
    /// for, or twice as long as the last time, shortened by a random part so that
    /// many clients do not come back at once.
    pub(super) fn pause(self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        if let Some(asked) = retry_after {
            return asked.min(LONGEST);
        }
        let doubled = 1u32 << attempt.saturating_sub(1).min(16);
        let full = self.first.saturating_mul(doubled).min(LONGEST);
        full.mul_f64(0.5 + 0.5 * random_share())
    }
}

/// Whether asking again later can help.
pub(super) fn is_temporary(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// The seconds of a `Retry-After` header. Its other form, a date, is taken for
/// none: it needs both clocks to agree.
pub(super) fn retry_after(value: Option<&str>) -> Option<Duration> {
    value?.trim().parse().ok().map(Duration::from_secs)
}

/// Between 0 and 1; a machine without random numbers waits for the whole time.
fn random_share() -> f64 {
    getrandom::u32().map_or(1.0, |bits| f64::from(bits) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry {
        attempts: 5,
        first: Duration::from_millis(500),
    };

    #[test]
    fn what_the_coordinator_asks_for_is_kept_up_to_a_minute() {
        assert_eq!(retry_after(Some(" 7 ")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(Some("Wed, 21 Oct 2026 07:28:00 GMT")), None);
        assert_eq!(retry_after(None), None);
        assert_eq!(
            RETRY.pause(1, retry_after(Some("7"))),
            Duration::from_secs(7)
        );
        assert_eq!(RETRY.pause(1, retry_after(Some("99999"))), LONGEST);
    }

    #[test]
    fn waits_double_with_a_random_part_and_end_at_a_minute() {
        for (attempt, full) in [(1, 500), (2, 1000), (3, 2000), (40, 60_000)] {
            let pause = RETRY.pause(attempt, None);
            let full = Duration::from_millis(full);
            assert!(pause >= full / 2 && pause <= full, "{attempt}: {pause:?}");
        }
    }
}
