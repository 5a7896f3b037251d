//! The in-toto statement that a receipt signs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Envelope, KeyBinding, PAYLOAD_TYPE, PublicKey, SigningKey, Text};
use crate::{Code, CommitId, Decimal, Fault, Sha256Digest, Status, TreeId};

/// The type of an in-toto statement, version 1.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// The type of our predicate, version 1. A name, not a place: nothing is fetched.
pub const PREDICATE_TYPE: &str = "urn:bitsota:replay-receipt:v1";

/// What is said, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub statement_type: String,
    /// What was replayed, each by its digest.
    pub subject: Vec<Subject>,
    /// [`PREDICATE_TYPE`].
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What is said of it.
    pub predicate: Predicate,
}

/// Digests of one thing, by algorithm.
pub type Digests = BTreeMap<String, String>;

/// One thing that was replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// One of the names below.
    pub name: String,
    /// Its digests, by in-toto's names of algorithms.
    pub digest: Digests,
}

impl Subject {
    /// The patch text, by `sha256`.
    pub const PATCH: &'static str = "patch";
    /// The artifact, by `sha256`.
    pub const ARTIFACT: &'static str = "artifact";
    /// The pinned commit, by `gitCommit`.
    pub const BASE_COMMIT: &'static str = "base-commit";
    /// The tree after the patch, by `gitTree`.
    pub const PATCHED_TREE: &'static str = "patched-tree";

    /// The algorithm that names the thing of this name.
    pub(super) fn algorithm(name: &str) -> Option<&'static str> {
        match name {
            Self::PATCH | Self::ARTIFACT => Some("sha256"),
            Self::BASE_COMMIT => Some("gitCommit"),
            Self::PATCHED_TREE => Some("gitTree"),
            _ => None,
        }
    }

    /// The thing of this name with this digest; `None` for a name that is not ours.
    pub fn new(name: &str, digest: &impl ToString) -> Option<Self> {
        let algorithm = Self::algorithm(name)?;
        Some(Self {
            name: name.to_owned(),
            digest: Digests::from([(algorithm.to_owned(), digest.to_string())]),
        })
    }
}

/// What a receipt says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predicate {
    /// What honest validators must agree on.
    pub claims: Claims,
    /// What may differ between them.
    pub observations: Observations,
    /// Whose key signs.
    pub signer: Signer,
}

/// What honest validators must agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The digest of the replay's spec.
    pub spec_digest: Sha256Digest,
    /// The pinned commit.
    pub base_commit: CommitId,
    /// The tree after the patch; absent if the patch was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patched_tree: Option<TreeId>,
    /// The id of the image; absent if nothing ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What was decided.
    pub outcome: ClaimedOutcome,
    /// The observed metrics, each in the digits in which it was written.
    pub metrics: BTreeMap<String, Text<Decimal>>,
    /// The digest of the result file; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_digest: Option<Sha256Digest>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedOutcome {
    /// Accepted, rejected, or nothing decided.
    pub status: Status,
    /// The stable code.
    pub code: Code,
}

/// What may differ between honest validators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observations {
    /// Whose doing an outcome other than `ok` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// When the replay ended, in Unix seconds.
    pub finished_at: Text<u64>,
    /// The whole replay.
    pub total_seconds: Text<Decimal>,
    /// The whole replay less the time inside the stages' commands.
    pub overhead_seconds: Text<Decimal>,
    /// The container runs, in order.
    pub stages: Vec<StageFacts>,
    /// The metrics of each repeat, where there were several.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub repeats: BTreeMap<String, Vec<Text<Decimal>>>,
    /// Where it ran.
    pub host: HostFacts,
}

/// One container run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageFacts {
    /// `setup`, `benchmark` or `score`; with ` (baseline)` for a control.
    pub name: String,
    /// Which repeat it belongs to, from 1.
    pub pass: Text<u32>,
    /// The command's exit status; absent if it never ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<Text<i64>>,
    /// By the supervisor's monotonic clock.
    pub wall_seconds: Text<Decimal>,
    /// Processor time of all its processes.
    pub cpu_seconds: Text<Decimal>,
    /// The most memory it held at once.
    pub peak_memory_bytes: Text<u64>,
    /// The limits that it hit, of `time`, `memory` and `workspace`.
    pub limits_hit: Vec<String>,
    /// How much it printed, kept or not.
    pub output_bytes: Text<u64>,
    /// How much of that is kept, escaped.
    pub kept_output_bytes: Text<u64>,
    /// The digest of what is kept.
    pub kept_output_sha256: Sha256Digest,
    /// Whether less is kept than it printed.
    pub truncated: bool,
}

/// Where a replay ran. An empty text is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostFacts {
    /// The runner's version.
    pub runner: String,
    /// The processor architecture.
    pub architecture: String,
    /// The kernel's release.
    pub kernel: String,
    /// The container engine's version.
    pub engine: String,
    /// The runtime that started the containers, with its version.
    pub runtime: String,
}

/// Whose key signs a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// The receipt key.
    pub public_key: PublicKey,
    /// The statement of a hotkey that this key is its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<KeyBinding>,
}

impl Statement {
    /// The canonical (RFC 8785) JSON of this statement in an envelope signed by
    /// `key`.
    ///
    /// # Errors
    /// Never for a statement of this crate's types.
    pub fn seal(&self, key: &SigningKey) -> Result<Envelope, serde_json::Error> {
        let payload = serde_json_canonicalizer::to_vec(self)?;
        Ok(Envelope::sign(&payload, PAYLOAD_TYPE, key))
    }
}
