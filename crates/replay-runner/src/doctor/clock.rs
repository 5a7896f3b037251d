//! A validator's requests carry the time, and a coordinator accepts five minutes.

use std::time::SystemTime;

use super::Finding;

/// 2026-01-01T00:00:00Z, in seconds since 1970: older than every release.
const OLDER_THAN_US: u64 = 1_767_225_600;

pub(super) fn examine() -> Finding {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    if now < OLDER_THAN_US {
        return Finding::failure(
            "clock",
            "the clock is before the year of this program's release",
            "set it, and run a time service such as chrony; signed requests need it within five minutes",
        );
    }
    Finding::ok(
        "clock",
        format!("{now} seconds since 1970; a time service should keep it within five minutes"),
    )
}
