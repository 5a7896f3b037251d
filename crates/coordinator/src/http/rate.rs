//! Token buckets by name, in a map that an attacker cannot fill.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::error::{ApiError, ApiResult};

/// How many seconds' worth of requests a burst may have.
const BURST_SECONDS: f64 = 10.0;

/// The most names that are remembered.
const NAMES: usize = 100_000;

/// A limit for each of many names, within this process.
#[derive(Debug)]
pub struct RateLimit {
    per_second: f64,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl RateLimit {
    /// So many requests per second for each name, and bursts of ten times that.
    pub fn new(per_second: f64) -> Self {
        Self {
            per_second,
            buckets: Mutex::new(HashMap::new()),
        }
    }

    /// Takes one request off `name`'s bucket, or says how long to wait.
    pub fn take(&self, name: &str) -> ApiResult<()> {
        self.take_at(name, Instant::now())
    }

    fn take_at(&self, name: &str, now: Instant) -> ApiResult<()> {
        let full = self.per_second * BURST_SECONDS;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= NAMES && !buckets.contains_key(name) {
            forget_full(&mut buckets, now);
        }
        let fresh = Bucket {
            tokens: full,
            at: now,
        };
        let bucket = match buckets.get_mut(name) {
            Some(bucket) => bucket,
            None => buckets.entry(name.to_owned()).or_insert(fresh),
        };
        let waited = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + waited * self.per_second).min(full);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            let wait = (1.0 - bucket.tokens) / self.per_second.max(1e-3);
            return Err(ApiError::TooMany {
                retry_after_seconds: whole_seconds(wait),
            });
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

/// Drops whoever could burst again anyway; all of them when that is nobody, so
/// that the map stays bounded.
fn forget_full(buckets: &mut HashMap<String, Bucket>, now: Instant) {
    buckets
        .retain(|_, bucket| now.saturating_duration_since(bucket.at).as_secs_f64() < BURST_SECONDS);
    if buckets.len() >= NAMES {
        buckets.clear();
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 1..=3600 first"
)]
fn whole_seconds(seconds: f64) -> u64 {
    seconds.ceil().clamp(1.0, 3600.0) as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_ends_and_time_brings_more() {
        let limit = RateLimit::new(2.0);
        let start = Instant::now();
        for _ in 0..20 {
            limit.take_at("a", start).unwrap();
        }
        assert!(matches!(
            limit.take_at("a", start),
            Err(ApiError::TooMany {
                retry_after_seconds: 1
            })
        ));
        limit.take_at("b", start).unwrap();
        limit.take_at("a", start + Duration::from_secs(1)).unwrap();
    }

    #[test]
    fn the_map_stays_bounded() {
        let limit = RateLimit::new(1.0);
        let now = Instant::now();
        for name in 0..=NAMES {
            limit.take_at(&name.to_string(), now).unwrap();
        }
        assert!(limit.buckets.lock().unwrap().len() <= NAMES);
    }
}
