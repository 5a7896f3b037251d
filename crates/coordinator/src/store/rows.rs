//! The rows of the database. Those that are public as they are, are also the
//! answers of the API; a column that is private has no field here that serialises.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

pub use super::states::{
    ClaimStatus, ConsensusState, SubmissionStatus, TaskState, UnknownText, VerificationStatus,
    WorkItemStatus,
};
use crate::time::Timestamp;

/// JSON that is stored as text and passed on as it is, digit for digit.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct JsonText(pub String);

impl JsonText {
    /// The JSON text of `value`.
    pub fn of(value: &impl Serialize) -> Self {
        Self(serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()))
    }

    /// What the text holds, or the type's default if it is not that.
    pub fn read<T: serde::de::DeserializeOwned + Default>(&self) -> T {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.clone())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

/// A task with its whole document; private, hence not serialisable.
#[derive(Debug, Clone, sqlx::FromRow)]
#[expect(
    missing_docs,
    reason = "the columns are described by the wire's fields"
)]
pub struct TaskRow {
    pub id: String,
    pub slug: String,
    #[sqlx(try_from = "String")]
    pub state: TaskState,
    pub quorum: i64,
    pub base_commit: String,
    pub document: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A miner's announcement that a submission will come.
#[derive(Debug, Clone, Serialize, sqlx::FromRow, ToSchema)]
#[expect(
    missing_docs,
    reason = "the columns are described by the wire's fields"
)]
pub struct ClaimRow {
    pub id: String,
    pub task_id: String,
    pub miner_hotkey: String,
    pub claim_description: String,
    pub base_submission_id: Option<String>,
    pub work_item_id: Option<String>,
    #[sqlx(try_from = "String")]
    pub status: ClaimStatus,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// A submission without its wide columns.
#[derive(Debug, Clone, Serialize, sqlx::FromRow, ToSchema)]
#[expect(
    missing_docs,
    reason = "the columns are described by the wire's fields"
)]
pub struct SubmissionRow {
    pub id: String,
    pub claim_id: String,
    pub task_id: String,
    pub miner_hotkey: String,
    #[sqlx(try_from = "String")]
    pub status: SubmissionStatus,
    #[sqlx(try_from = "String")]
    pub consensus: ConsensusState,
    pub base_ref: String,
    pub summary: String,
    #[schema(value_type = std::collections::HashMap<String, f64>)]
    pub claimed_metrics: JsonText,
    pub proposed_idea: Option<String>,
    pub implemented_submission_id: Option<String>,
    pub patch_sha256: Option<String>,
    pub patch_bytes: i64,
    pub artifact_uri: Option<String>,
    pub artifact_sha256: Option<String>,
    pub artifact_size_bytes: Option<i64>,
    pub spec_digest: String,
    /// The earlier submission that has the same content.
    pub duplicate_of: Option<String>,
    pub outcome_code: Option<String>,
    #[schema(value_type = Option<std::collections::HashMap<String, f64>>)]
    pub observed_metrics: Option<JsonText>,
    pub patched_tree: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// The columns of [`SubmissionRow`].
macro_rules! submission_columns {
    () => {
        "id, claim_id, task_id, miner_hotkey, status, consensus, base_ref, summary, \
         claimed_metrics, proposed_idea, implemented_submission_id, patch_sha256, patch_bytes, \
         artifact_uri, artifact_sha256, artifact_size_bytes, spec_digest, duplicate_of, \
         outcome_code, observed_metrics, patched_tree, decided_at, created_at, updated_at"
    };
}
pub(crate) use submission_columns;

/// What one validator holds or said; its id is the job's id.
#[derive(Debug, Clone, Serialize, sqlx::FromRow, ToSchema)]
#[expect(
    missing_docs,
    reason = "the columns are described by the wire's fields"
)]
pub struct VerificationRow {
    pub id: String,
    pub submission_id: String,
    pub task_id: String,
    pub validator_hotkey: String,
    #[sqlx(try_from = "String")]
    pub status: VerificationStatus,
    #[schema(value_type = String, format = DateTime)]
    pub lease_expires_at: Timestamp,
    #[serde(skip)]
    pub retry_at: Timestamp,
    pub attempts: i64,
    #[serde(skip)]
    pub submission_faults: i64,
    pub outcome_code: Option<String>,
    pub fault: Option<String>,
    #[schema(value_type = std::collections::HashMap<String, f64>)]
    pub observed_metrics: JsonText,
    pub patched_tree: Option<String>,
    pub spec_digest: String,
    #[serde(skip)]
    pub result_digest: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    pub notes: String,
    #[schema(value_type = Option<Object>)]
    pub receipt: Option<JsonText>,
}

/// The columns of [`VerificationRow`].
macro_rules! verification_columns {
    () => {
        "id, submission_id, task_id, validator_hotkey, status, lease_expires_at, retry_at, \
         attempts, submission_faults, outcome_code, fault, observed_metrics, patched_tree, \
         spec_digest, result_digest, created_at, updated_at, notes, receipt"
    };
}
pub(crate) use verification_columns;

/// What another miner said of a submission of a `peer_evaluation` task.
#[derive(Debug, Clone, Serialize, sqlx::FromRow, ToSchema)]
#[expect(
    missing_docs,
    reason = "the columns are described by the wire's fields"
)]
pub struct PeerEvaluationRow {
    pub id: String,
    pub submission_id: String,
    pub task_id: String,
    pub evaluator_hotkey: String,
    pub status: String,
    #[schema(value_type = std::collections::HashMap<String, f64>)]
    pub observed_metrics: JsonText,
    pub notes: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A planned piece of work.
#[derive(Debug, Clone, Serialize, sqlx::FromRow, ToSchema)]
#[expect(
    missing_docs,
    reason = "the columns are described by the wire's fields"
)]
pub struct WorkItemRow {
    pub id: String,
    pub task_id: String,
    pub kind: String,
    pub priority: i64,
    pub title: String,
    pub description: String,
    pub base_submission_id: Option<String>,
    pub idea_submission_id: Option<String>,
    #[sqlx(try_from = "String")]
    pub status: WorkItemStatus,
    pub claim_id: Option<String>,
    pub claimed_by: Option<String>,
    pub submission_id: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// An idea that another miner implemented with success.
#[derive(Debug, Clone, Serialize, sqlx::FromRow, ToSchema)]
#[expect(
    missing_docs,
    reason = "the columns are described by the wire's fields"
)]
pub struct IdeaRewardRow {
    pub idea_submission_id: String,
    pub implementing_submission_id: String,
    pub task_id: String,
    pub proposer_hotkey: String,
    pub implementer_hotkey: String,
    /// Whether the implementation became the best; only such ideas are paid.
    #[sqlx(try_from = "i64")]
    #[schema(value_type = bool)]
    pub improved_best: Flag,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A truth value in an integer column, which both databases have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Flag(pub bool);

impl From<i64> for Flag {
    fn from(value: i64) -> Self {
        Self(value != 0)
    }
}

/// One line of the audit trail.
#[derive(Debug, Clone, Serialize, sqlx::FromRow, ToSchema)]
#[expect(
    missing_docs,
    reason = "the columns are described by the wire's fields"
)]
pub struct EventRow {
    pub seq: i64,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub task_id: Option<String>,
    pub request_digest: Option<String>,
    #[schema(value_type = Object)]
    pub detail: JsonText,
}
