//! What a coordinator answers, as far as it is looked at. Unknown fields are
//! passed over: another coordinator may have more of them.

use std::collections::BTreeMap;

use protocol::hotkey::Hotkey;
use protocol::{Decimal, Sha256Digest};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Id;

/// Metrics by name.
pub(crate) type Metrics = BTreeMap<String, Decimal>;

/// The numbers among what is observed; whatever else stands there is no metric.
fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Metrics, D::Error> {
    Ok(numbers_of(&Value::deserialize(deserializer)?))
}

fn numbers_of(value: &Value) -> Metrics {
    let fields = value.as_object().into_iter().flatten();
    fields
        .filter(|(_, value)| value.is_number())
        .filter_map(|(name, value)| Some((name.clone(), value.to_string().parse().ok()?)))
        .collect()
}

/// The metrics of whoever is best: one entry, or those of a frontier. Where they
/// stand in the answer is not fixed, so they are looked for where they may be.
pub(crate) fn best_metrics(answer: &Value) -> Vec<Metrics> {
    let frontier = answer["frontier"].as_array().into_iter().flatten();
    let alone = [answer, &answer["best"], &answer["best_submission"]];
    let entries = alone.into_iter().chain(frontier);
    let found = entries.map(|entry| {
        let mut metrics = numbers_of(&entry["observed_metrics"]);
        let value = entry["metric_value"].to_string().parse();
        if let (Some(name), Ok(value)) = (entry["metric_name"].as_str(), value) {
            metrics.entry(name.to_owned()).or_insert(value);
        }
        metrics
    });
    found.filter(|metrics| !metrics.is_empty()).collect()
}

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
    #[serde(default)]
    pub(crate) miner_hotkey: Option<Hotkey>,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) outcome_code: Option<String>,
    #[serde(default, deserialize_with = "numbers")]
    pub(crate) observed_metrics: Metrics,
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

/// What one validator holds or said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Verification {
    pub(crate) id: Id,
    #[serde(default)]
    pub(crate) validator_hotkey: Option<Hotkey>,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) outcome_code: Option<String>,
    #[serde(default, deserialize_with = "numbers")]
    pub(crate) observed_metrics: Metrics,
}

/// What a peer said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PeerEvaluation {
    pub(crate) submission_id: Id,
    pub(crate) evaluator_hotkey: Hotkey,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_best_is_found_wherever_a_coordinator_puts_it() {
        for (answer, wanted) in [
            (json!({"best": null, "frontier": []}), vec![]),
            (
                json!({"best": {"observed_metrics": {"loss": 0.5, "note": "x"}}}),
                vec!["0.5"],
            ),
            (
                json!({"metric_name": "loss", "metric_value": 0.25}),
                vec!["0.25"],
            ),
            (
                json!({"best": {"metric_name": "loss", "metric_value": 2}}),
                vec!["2"],
            ),
            (
                json!({"frontier": [{"observed_metrics": {"loss": 1}}, {"observed_metrics": {"loss": 2}}]}),
                vec!["1", "2"],
            ),
            (json!([1, 2]), vec![]),
        ] {
            let found = best_metrics(&answer);
            let losses: Vec<&str> = found.iter().map(|one| one["loss"].as_str()).collect();
            assert_eq!(losses, wanted, "{answer}");
        }
    }
}
