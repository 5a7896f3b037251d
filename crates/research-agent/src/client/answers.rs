//! What a coordinator answers, as far as it is looked at. Unknown fields are
//! passed over: another coordinator may have more of them.

use std::collections::BTreeMap;

use protocol::hotkey::Hotkey;
use protocol::{Decimal, Sha256Digest};
use serde::{Deserialize, Serialize};

use super::Id;

/// Metrics by name.
pub(crate) type Metrics = BTreeMap<String, Decimal>;

/// An announcement that a submission will come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) id: Id,
    pub(crate) task_id: Id,
    pub(crate) miner_hotkey: Hotkey,
    #[serde(default, rename = "claim_description")]
    pub(crate) description: String,
    pub(crate) status: String,
    pub(crate) expires_at: String,
    #[serde(default)]
    pub(crate) participation_disclaimer: Option<Disclaimer>,
}

/// What whoever claims must be shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Disclaimer {
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) summary: String,
    #[serde(default)]
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) must_display: bool,
}

/// A submission.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Submission {
    pub(crate) id: Id,
    pub(crate) task_id: Id,
    #[serde(default)]
    pub(crate) claim_id: Option<Id>,
    pub(crate) miner_hotkey: Hotkey,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) summary: String,
    #[serde(default)]
    pub(crate) outcome_code: Option<String>,
    #[serde(default)]
    pub(crate) observed_metrics: Option<Metrics>,
    #[serde(default)]
    pub(crate) patch: Option<String>,
    #[serde(default)]
    pub(crate) patch_sha256: Option<Sha256Digest>,
    #[serde(default)]
    pub(crate) artifact_uri: Option<String>,
    #[serde(default)]
    pub(crate) artifact_sha256: Option<Sha256Digest>,
    #[serde(default)]
    pub(crate) artifact_size_bytes: Option<u64>,
}

impl Submission {
    /// Whether it waits for validators or peers.
    pub(crate) fn is_pending(&self) -> bool {
        self.status == "pending_verification"
    }
}

/// A submission with what validators said of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    pub(crate) submission: Submission,
    #[serde(default)]
    pub(crate) verifications: Vec<Verification>,
}

/// What one validator holds or said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Verification {
    pub(crate) id: Id,
    pub(crate) validator_hotkey: Hotkey,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) outcome_code: Option<String>,
    #[serde(default)]
    pub(crate) observed_metrics: Option<Metrics>,
}

/// Who is best.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Best {
    #[serde(default)]
    pub(crate) best: Option<Submission>,
    #[serde(default)]
    pub(crate) frontier: Vec<Submission>,
}

/// What a peer said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PeerEvaluation {
    pub(crate) submission_id: Id,
    pub(crate) evaluator_hotkey: Hotkey,
}
