//! The reward policy: how competitions share, and what the weight setter does.

use protocol::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::fields::Fields;

/// The hotkey that the intended production split pays 10 % to.
pub const CONTRACT_HOTKEY: &str = "5F7MJ2fAyxBG7ci4xP7kQPJanoMdNurk1QBP1AQuFT2Jmzg2";

/// How validators set weights on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightMode {
    /// Each validator by its own configuration.
    Local,
    /// Everything to UID 0.
    BurnUid0,
    /// By the list of targets.
    Targets,
}

/// Who gets how much of the weight: a UID, or a hotkey whose UID is looked up
/// in the metagraph every time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Target {
    /// The UID, unless `hotkey` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u16>,
    /// The hotkey, unless `uid` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hotkey: Option<String>,
    /// Its share; the shares are relative to their sum.
    #[schema(value_type = f64)]
    pub weight: Decimal,
}

/// What the weight setter reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ValidatorWeights {
    /// How.
    pub mode: WeightMode,
    /// To whom, in mode `targets`.
    #[serde(default)]
    pub targets: Vec<Target>,
}

/// What one competition is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CompetitionWeight {
    /// The task.
    pub slug: String,
    /// Relative to the others'; 0 pays nothing.
    #[schema(value_type = f64)]
    pub weight: Decimal,
}

/// The policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RewardPolicy {
    /// What the weight setter reads.
    pub validator_weights: ValidatorWeights,
    /// The weights of competitions that are not 1.
    #[serde(default)]
    pub competitions: Vec<CompetitionWeight>,
    /// The part of a centerless competition that its paid ideas share, 0 to 1.
    #[schema(value_type = f64)]
    pub idea_share: Decimal,
}

impl Default for RewardPolicy {
    fn default() -> Self {
        let tenth = |parts: &str| parts.parse().unwrap_or_else(|_| Decimal::from(0));
        let target = |uid, hotkey: Option<&str>, parts| Target {
            uid,
            hotkey: hotkey.map(str::to_owned),
            weight: tenth(parts),
        };
        Self {
            validator_weights: ValidatorWeights {
                mode: WeightMode::Targets,
                targets: vec![
                    target(Some(0), None, "0.9"),
                    target(None, Some(CONTRACT_HOTKEY), "0.1"),
                ],
            },
            competitions: Vec::new(),
            idea_share: tenth("0.1"),
        }
    }
}

impl RewardPolicy {
    /// Reads a document and names everything that is wrong with it.
    pub fn read(fields: &mut Fields, is_hotkey: impl Fn(&str) -> bool) -> Self {
        let default = Self::default();
        let weights = fields.object("validator_weights", |inner| read_weights(inner, &is_hotkey));
        if weights.is_none() && fields.is_sound() {
            fields.problem("validator_weights", "is missing");
        }
        let competitions = fields.list("competitions", 10_000, |inner| {
            let read = CompetitionWeight {
                slug: inner.text("slug", 3, 120),
                weight: read_weight(inner, "weight"),
            };
            if read.weight.value() > 0.0 && millionths(&read.weight) == 0 {
                inner.problem("weight", "is below a millionth, and would count as 0");
            }
            inner.refuse_others();
            read
        });
        let mut slugs = std::collections::BTreeSet::new();
        for (index, one) in competitions.iter().enumerate() {
            if !slugs.insert(&one.slug) {
                fields.problem(&format!("competitions[{index}].slug"), "is given twice");
            }
        }
        let idea_share: Option<Decimal> = fields.optional("idea_share", "a number");
        if let Some(share) = &idea_share
            && !(0.0..=1.0).contains(&share.value())
        {
            fields.problem("idea_share", "is not from 0 to 1");
        }
        fields.refuse_others();
        Self {
            validator_weights: weights.unwrap_or(default.validator_weights),
            competitions,
            idea_share: idea_share.unwrap_or(default.idea_share),
        }
    }

    /// The weight of a competition, in millionths.
    pub fn weight_of(&self, slug: &str) -> u64 {
        let found = self.competitions.iter().find(|one| one.slug == slug);
        found.map_or(MILLION, |one| millionths(&one.weight))
    }

    /// The idea share, in millionths.
    pub fn idea_millionths(&self) -> u64 {
        millionths(&self.idea_share)
    }
}

const MILLION: u64 = 1_000_000;

/// A weight as an integer; weights were checked to be from 0 to a million.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to 10^12, so exact in both types; a cast saturates otherwise"
)]
fn millionths(weight: &Decimal) -> u64 {
    (weight.value() * 1e6).round() as u64
}

fn read_weights(fields: &mut Fields, is_hotkey: &impl Fn(&str) -> bool) -> ValidatorWeights {
    let mode: Option<WeightMode> =
        fields.optional("mode", "one of \"local\", \"burn_uid0\", \"targets\"");
    if mode.is_none() && fields.is_sound() {
        fields.problem("mode", "is missing");
    }
    let targets = fields.list("targets", 256, |inner| read_target(inner, is_hotkey));
    if mode == Some(WeightMode::Targets) && fields.is_sound() {
        target_problems(fields, &targets);
    }
    if !targets.is_empty() && mode.is_some_and(|mode| mode != WeightMode::Targets) {
        fields.problem("targets", "is only read in mode \"targets\"");
    }
    fields.refuse_others();
    ValidatorWeights {
        mode: mode.unwrap_or(WeightMode::Local),
        targets,
    }
}

fn target_problems(fields: &mut Fields, targets: &[Target]) {
    if targets.is_empty() {
        fields.problem("targets", "is empty; mode \"targets\" needs one");
    }
}

fn read_target(fields: &mut Fields, is_hotkey: &impl Fn(&str) -> bool) -> Target {
    let uid: Option<u16> = fields.optional("uid", "a whole number from 0 to 65535");
    let hotkey = fields.optional_text("hotkey", 1, 64);
    if let Some(hotkey) = &hotkey
        && !is_hotkey(hotkey)
    {
        fields.problem("hotkey", "is not an ss58 address of this network");
    }
    if fields.is_sound() && uid.is_some() == hotkey.is_some() {
        fields.problem("uid", "exactly one of uid and hotkey is needed");
    }
    let weight = read_weight(fields, "weight");
    // A weight setter refuses the whole policy over such a one.
    if fields.is_sound() && !(weight.value() > 0.0 && weight.value().is_normal()) {
        fields.problem("weight", "is not above 0; leave the target out");
    }
    fields.refuse_others();
    Target {
        uid,
        hotkey,
        weight,
    }
}

fn read_weight(fields: &mut Fields, name: &str) -> Decimal {
    let Some(raw) = fields.raw(name) else {
        fields.problem(name, "is missing");
        return Decimal::from(0);
    };
    // Only a JSON number: a weight in quotes is a mistake of somebody's script.
    match raw.get().parse::<Decimal>() {
        Ok(weight) if (0.0..=1e6).contains(&weight.value()) => weight,
        Ok(_) => {
            fields.problem(name, "is not from 0 to 1000000");
            Decimal::from(0)
        }
        Err(_) => {
            fields.problem(name, "is not a number");
            Decimal::from(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(document: &str) -> Vec<String> {
        let mut fields = Fields::of(document).unwrap();
        let policy = RewardPolicy::read(&mut fields, |_| true);
        match fields.done(policy) {
            Ok(_) => Vec::new(),
            Err(crate::error::ApiError::Fields(found)) => {
                found.into_iter().map(|one| one.field).collect()
            }
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn no_policy_comes_into_force_that_every_weight_setter_would_refuse() {
        for weight in ["0", "-0.0", "1e-320", "-1", "\"1\""] {
            let document = format!(
                r#"{{"validator_weights": {{"mode": "targets", "targets": [
                    {{"uid": 0, "weight": 1}}, {{"uid": 1, "weight": {weight}}}]}}}}"#
            );
            assert_eq!(
                wrong(&document),
                ["validator_weights.targets[1].weight"],
                "{weight}"
            );
        }
        // Shares of one place are added, as they are by the chain's other tools.
        let twice = r#"{"validator_weights": {"mode": "targets", "targets": [
            {"uid": 0, "weight": 0.5}, {"uid": 0, "weight": 0.5}]}}"#;
        assert_eq!(wrong(twice), [""; 0]);
    }

    #[test]
    fn a_competition_is_worth_nothing_only_if_that_is_said() {
        let document = |weight: &str| {
            format!(
                r#"{{"validator_weights": {{"mode": "local"}},
                    "competitions": [{{"slug": "sort", "weight": {weight}}}]}}"#
            )
        };
        assert_eq!(wrong(&document("1e-7")), ["competitions[0].weight"]);
        assert_eq!(wrong(&document("0")), [""; 0]);
    }

    #[test]
    fn the_default_is_ninety_to_ten() {
        let targets = RewardPolicy::default().validator_weights.targets;
        assert_eq!(targets[0].uid, Some(0));
        assert_eq!(targets[0].weight.as_str(), "0.9");
        assert_eq!(targets[1].hotkey.as_deref(), Some(CONTRACT_HOTKEY));
        assert_eq!(targets[1].weight.as_str(), "0.1");
    }
}
