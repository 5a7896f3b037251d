//! Receipts: a result that brings one is bound to it. A receipt that does not
//! hold is refused, so that no stored one ever says something else than its row.

use protocol::ReplaySpec;
use protocol::hotkey::Hotkey;
use protocol::receipt::{Claims, Envelope, Expect, Expected, Trust, verify};

use super::jobs::Observation;
use crate::error::{ApiError, ApiResult};
use crate::rules::consensus::Metrics;
use crate::rules::freeze::is_digest_of;

/// Checks that the validator signed this receipt, for this replay, with this result.
pub fn check(receipt: &str, hotkey: &str, spec: &ReplaySpec, seen: &Observation) -> ApiResult<()> {
    let refuse = |problem: String| Err(ApiError::field("receipt", problem));
    let envelope: Envelope = match serde_json::from_str(receipt) {
        Ok(envelope) => envelope,
        Err(_) => return refuse("is not a DSSE envelope".to_owned()),
    };
    let signer: Hotkey = match hotkey.parse() {
        Ok(signer) => signer,
        Err(error) => return refuse(error.to_string()),
    };
    let expected = Expected {
        // Compared below: a host may have put the image's id into the spec.
        spec_digest: Expect::Anything,
        ..Expected::by(spec)
    };
    let claims = match verify(&envelope, &[Trust::Hotkey(signer)], 1, &expected) {
        Ok(verified) => verified.statement.predicate.claims,
        Err(error) => return refuse(error.to_string()),
    };
    match differing(&claims, spec, seen) {
        Some(what) => refuse(format!("says another {what} than the result")),
        None => Ok(()),
    }
}

fn differing(claims: &Claims, spec: &ReplaySpec, seen: &Observation) -> Option<&'static str> {
    if !is_digest_of(spec, claims.spec_digest, claims.image.as_deref()) {
        return Some("spec_digest");
    }
    if claims.outcome.status != seen.status {
        return Some("status");
    }
    if seen
        .outcome_code
        .is_some_and(|code| code != claims.outcome.code)
    {
        return Some("outcome_code");
    }
    let tree = claims.patched_tree.map(|tree| tree.to_string());
    if seen.patched_tree.is_some() && seen.patched_tree != tree {
        return Some("patched_tree");
    }
    let claimed: Metrics = claims
        .metrics
        .iter()
        .map(|(name, value)| (name.clone(), value.0.clone()))
        .collect();
    (!are_equal(&claimed, &seen.observed_metrics)).then_some("observed_metrics")
}

/// By value: JSON libraries write a number that they read in digits of their own.
fn are_equal(one: &Metrics, other: &Metrics) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|((name, a), (other_name, b))| name == other_name && a.compare(b).is_eq())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_equal_by_value_and_name() {
        let metrics =
            |name: &str, value: &str| Metrics::from([(name.to_owned(), value.parse().unwrap())]);
        let one = metrics("seconds", "0.338150");
        assert!(are_equal(&one, &metrics("seconds", "0.33815")));
        assert!(!are_equal(&one, &metrics("seconds", "0.33816")));
        assert!(!are_equal(&one, &metrics("score", "0.338150")));
        assert!(!are_equal(&one, &Metrics::new()));
    }
}
