//! Moments, as the spool and the wire have them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970 by this host's clock.
pub fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `delay` from now, in milliseconds since 1970.
pub fn after_ms(delay: Duration) -> i64 {
    now_ms().saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
}

/// Unix seconds of an RFC 3339 moment after 1970.
pub fn from_rfc3339(text: &str) -> Option<u64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(moment.unix_timestamp()).ok()
}

/// How long until `moment` in milliseconds since 1970; zero if it is over.
pub fn until(moment: i64) -> Duration {
    let left = moment.saturating_sub(now_ms()).max(0);
    Duration::from_millis(u64::try_from(left).unwrap_or(0))
}
