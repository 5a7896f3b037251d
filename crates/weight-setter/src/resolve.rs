//! Who holds a target's place at this moment. A UID is looked up for every round and
//! stored nowhere: places change hands.

use std::collections::BTreeMap;

use subtensor::Metagraph;

use crate::policy::{Holder, Policy, Problem, Target};

/// Shares by UID, above 0.
pub type Shares = BTreeMap<u16, f64>;

/// Targets that are not on the subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", list(.0))]
pub struct ResolveError(pub Vec<Problem>);

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    format!("nothing is set: {}", lines.join("; "))
}

/// The shares of a policy, or `None` where it leaves them to each validator. Shares
/// of one place are added.
///
/// # Errors
/// [`ResolveError`] names every target that is not registered: to leave it out would
/// give its share to the others.
pub fn resolve(policy: &Policy, metagraph: &Metagraph) -> Result<Option<Shares>, ResolveError> {
    let burn = [Target {
        holder: Holder::Uid(0),
        weight: 1.0,
    }];
    let targets = match policy {
        Policy::Local => return Ok(None),
        Policy::BurnUid0 => burn.as_slice(),
        Policy::Targets(targets) => targets.as_slice(),
    };
    let mut problems = Vec::new();
    let mut by_uid: BTreeMap<u16, Vec<f64>> = BTreeMap::new();
    for (place, target) in targets.iter().enumerate() {
        let neuron = match target.holder {
            Holder::Uid(uid) => metagraph.by_uid(uid),
            Holder::Hotkey(hotkey) => metagraph.by_hotkey(&hotkey),
        };
        match neuron {
            Some(neuron) => by_uid.entry(neuron.uid).or_default().push(target.weight),
            None => problems.push(Problem {
                field: format!("reward_policy.validator_weights.targets[{place}]"),
                problem: format!(
                    "is {}, which is not registered on subnet {} at block {}",
                    target.holder, metagraph.netuid, metagraph.block
                ),
            }),
        }
    }
    if !problems.is_empty() {
        return Err(ResolveError(problems));
    }
    Ok(Some(
        by_uid
            .into_iter()
            .map(|(uid, weights)| (uid, sum(weights)))
            .collect(),
    ))
}

/// Adds from the smallest on, so that the order of a document does not decide a
/// digit. Every part is finite; a sum that is not, is the largest double.
fn sum(mut weights: Vec<f64>) -> f64 {
    weights.sort_by(f64::total_cmp);
    weights.iter().sum::<f64>().min(f64::MAX)
}
