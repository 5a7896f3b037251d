//! Is this machine fit to replay? Each finding says what was looked at, what was
//! found, and what to do about it. Limits are not believed: they are tried.

mod clock;
mod engine;
mod limits;
mod storage;
mod wallet;

use serde::Serialize;

use crate::engine::{Deadlines, Engine};
use crate::state::State;

pub use wallet::WalletFiles;

/// How a finding bears on replays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Replays run, but something should be better.
    Warning,
    /// Replays fail, or could not be trusted.
    Failure,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it bears on replays.
    pub severity: Severity,
    /// What was found.
    pub found: String,
    /// What to do about it; empty if nothing is to be done.
    pub mend: String,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            severity: Severity::Ok,
            found: found.into(),
            mend: String::new(),
        }
    }

    fn warning(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            check,
            severity: Severity::Warning,
            found: found.into(),
            mend: mend.into(),
        }
    }

    fn failure(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            check,
            severity: Severity::Failure,
            found: found.into(),
            mend: mend.into(),
        }
    }
}

/// What to look at.
#[derive(Debug)]
pub struct Examination<'a> {
    /// The state directory of the replays.
    pub state: &'a State,
    /// The image to try the limits in.
    pub image: &'a str,
    /// The wallet that a validator would sign with.
    pub wallet: WalletFiles,
}

/// Looks at everything, the engine last and in depth.
pub async fn examine(
    examination: &Examination<'_>,
    tell: &(dyn Fn(&Finding) + Sync),
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |finding: Finding| {
        tell(&finding);
        findings.push(finding);
    };
    add(clock::examine());
    add(wallet::examine(&examination.wallet));
    for finding in storage::examine(examination.state) {
        add(finding);
    }
    match Engine::connect(Deadlines::default()).await {
        Err(error) => add(Finding::failure(
            "engine",
            error.to_string(),
            "start the engine (`./bootstrap` does), and be in the group that may use its socket",
        )),
        Ok(engine) => {
            for finding in engine::examine(&engine).await {
                add(finding);
            }
            for finding in limits::examine(&engine, examination).await {
                add(finding);
            }
        }
    }
    findings
}
