//! The stake gate: whether a hotkey has enough stake to use miner routes,
//! according to a metagraph that another process keeps up to date.
//!
//! It fails closed: without a fresh metagraph nobody passes, and the answer says so.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;

use crate::error::{ApiError, ApiResult};
use crate::settings::StakeGate;

/// How often the file is looked at.
const REREAD: Duration = Duration::from_secs(10);

/// The stakes of a metagraph file.
#[derive(Debug)]
pub struct Stakes {
    gate: StakeGate,
    read: Mutex<Option<Read>>,
}

#[derive(Debug)]
struct Read {
    at: Instant,
    written: SystemTime,
    by_hotkey: HashMap<String, f64>,
}

#[derive(Deserialize)]
struct Metagraph {
    neurons: Vec<Neuron>,
}

#[derive(Deserialize)]
struct Neuron {
    hotkey: String,
    stake: f64,
}

impl Stakes {
    /// The gate of these settings.
    pub fn new(gate: StakeGate) -> Self {
        Self {
            gate,
            read: Mutex::new(None),
        }
    }

    /// 403 for too little stake, 503 when it is not known.
    pub fn check(&self, hotkey: &str) -> ApiResult<()> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.as_ref().is_none_or(|read| read.at.elapsed() > REREAD) {
            *read = self.reread();
        }
        let known = read.as_ref().filter(|read| {
            read.written
                .elapsed()
                .is_ok_and(|age| age <= self.gate.max_age)
        });
        let Some(known) = known else {
            return Err(ApiError::unavailable(
                "stake_unknown",
                "the metagraph is missing, unreadable or stale, so stake cannot be checked",
            ));
        };
        let stake = known.by_hotkey.get(hotkey).copied().unwrap_or(0.0);
        // So that a number which compares with nothing lets nobody in.
        let is_enough = stake >= self.gate.minimum;
        if !is_enough {
            let detail = format!("stake {stake} is below {}", self.gate.minimum);
            return Err(ApiError::forbidden("stake_too_low", detail));
        }
        Ok(())
    }

    fn reread(&self) -> Option<Read> {
        let written = std::fs::metadata(&self.gate.metagraph)
            .ok()?
            .modified()
            .ok()?;
        let text = std::fs::read(&self.gate.metagraph).ok()?;
        let metagraph: Metagraph = serde_json::from_slice(&text)
            .inspect_err(|error| tracing::warn!(%error, "the metagraph file is unreadable"))
            .ok()?;
        let by_hotkey = metagraph
            .neurons
            .into_iter()
            .map(|n| (n.hotkey, n.stake))
            .collect();
        Some(Read {
            at: Instant::now(),
            written,
            by_hotkey,
        })
    }
}
