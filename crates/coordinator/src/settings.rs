//! What an operator decides, with defaults that are safe to start with.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::pool::Pool;
use crate::rules::places::Places;

/// How long a claim lives.
pub const CLAIM_SECONDS: i64 = 45 * 60;

/// The settings of one process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What admin routes ask for.
    pub admin_token: AdminToken,
    /// Hotkeys that may fetch work and post results.
    pub validators: BTreeSet<String>,
    /// How far a request's timestamp may be from now.
    pub freshness_seconds: u64,
    /// How long a validator holds a job without a heartbeat.
    pub lease_seconds: i64,
    /// How old a submission may be to be given out.
    pub worklist_days: i64,
    /// How many claims a hotkey may hold on one task.
    pub claims_per_task: i64,
    /// Requests per second of one hotkey; bursts may be ten times that.
    pub requests_per_hotkey: f64,
    /// Requests per second of one address; bursts may be ten times that.
    pub requests_per_address: f64,
    /// Read the client's address from `X-Forwarded-For`: only behind a proxy
    /// that sets it.
    pub trust_forwarded_for: bool,
    /// Where repositories, private inputs and artifacts may be.
    pub places: Places,
    /// Whether `POST /api/v1/submissions/{id}/verify` is served.
    pub direct_verification: bool,
    /// The stake gate of miner routes, if it is on.
    pub stake_gate: Option<StakeGate>,
    /// How long a client may take to send its headers, and again its body.
    pub patience: Duration,
    /// The pool that is asked for epochs and balances, if there is one.
    pub pool: Option<Arc<Pool>>,
    /// The most connections at once.
    pub connections: usize,
    /// The most of them from one address. Behind a proxy every client has the
    /// proxy's, so with `trust_forwarded_for` this does not count.
    pub connections_of_one_address: usize,
}

/// Who may use miner routes.
#[derive(Debug, Clone)]
pub struct StakeGate {
    /// The least stake.
    pub minimum: f64,
    /// A metagraph as JSON, kept up to date by another process.
    pub metagraph: PathBuf,
    /// Older than this, the file says nothing.
    pub max_age: Duration,
}

impl Settings {
    /// The defaults, with this admin token.
    pub fn new(admin_token: AdminToken) -> Self {
        Self {
            admin_token,
            validators: BTreeSet::new(),
            freshness_seconds: protocol::auth::DEFAULT_WINDOW_SECONDS,
            lease_seconds: 600,
            worklist_days: 14,
            claims_per_task: 3,
            requests_per_hotkey: 20.0,
            requests_per_address: 200.0,
            trust_forwarded_for: false,
            places: Places::RemoteOnly,
            direct_verification: false,
            stake_gate: None,
            patience: Duration::from_secs(15),
            pool: None,
            connections: 4096,
            connections_of_one_address: 512,
        }
    }
}

/// The admin token, as a digest: the token itself is in nobody's memory dump.
#[derive(Clone)]
pub struct AdminToken([u8; 32]);

impl AdminToken {
    /// The least length of a token that cannot be guessed.
    pub const MIN_LENGTH: usize = 16;

    /// `None` for a token that is too short.
    pub fn new(token: &str) -> Option<Self> {
        let token = token.trim();
        (token.len() >= Self::MIN_LENGTH).then(|| Self(Sha256::digest(token).into()))
    }

    /// Whether `given` is the token, in a time that tells nothing.
    pub fn is(&self, given: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(given).into();
        self.0.ct_eq(&digest).into()
    }
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_compared_whole_and_never_printed() {
        let token = AdminToken::new("0123456789abcdef\n").unwrap();
        assert!(token.is(b"0123456789abcdef"));
        assert!(!token.is(b"0123456789abcdeF"));
        assert!(!token.is(b"0123456789abcde"));
        assert!(!token.is(b""));
        assert!(AdminToken::new("short").is_none());
        assert_eq!(format!("{token:?}"), "AdminToken(…)");
    }
}
