//! The part of the reward policy that says where weights go: `validator_weights`.
//!
//! A document is refused as a whole, with everything that is wrong in it: half a
//! policy would be somebody else's.

use std::fmt;

use protocol::hotkey::Hotkey;
use serde_json::{Map, Value};

/// The most targets of a policy; a subnet has 256 places.
const MAX_TARGETS: usize = 256;

/// Where weights go.
#[derive(Debug, Clone, PartialEq)]
pub enum Policy {
    /// Nothing is set: each validator follows its own configuration.
    Local,
    /// Everything to UID 0, whose share is burned.
    BurnUid0,
    /// By shares.
    Targets(Vec<Target>),
}

/// One share.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Whose.
    pub holder: Holder,
    /// How much, relative to the others: finite and above 0.
    pub weight: f64,
}

/// Who gets a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Whoever holds this place.
    Uid(u16),
    /// This hotkey, in whatever place it is.
    Hotkey(Hotkey),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "UID {uid}"),
            Self::Hotkey(hotkey) => write!(f, "hotkey {hotkey}"),
        }
    }
}

/// One thing that is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field, by its path from `reward_policy` on.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.problem)
    }
}

/// A policy that is not followed, with everything that is wrong in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the reward policy is refused, and nothing is set: {}", list(.0))]
pub struct PolicyError(pub Vec<Problem>);

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("; ")
}

impl Policy {
    /// Reads the `reward_policy` of a snapshot.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn read(reward_policy: &Value) -> Result<Self, PolicyError> {
        let mut problems = Problems(Vec::new());
        let policy = read_policy(reward_policy, &mut problems);
        match policy {
            Some(policy) if problems.0.is_empty() => Ok(policy),
            _ => Err(PolicyError(problems.0)),
        }
    }
}

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Problem {
            field: field.into(),
            problem: problem.into(),
        });
    }

    /// The object at `field`.
    fn object<'a>(
        &mut self,
        field: &str,
        value: Option<&'a Value>,
    ) -> Option<&'a Map<String, Value>> {
        match value {
            None | Some(Value::Null) => self.add(field, "is missing"),
            Some(Value::Object(map)) => return Some(map),
            Some(other) => self.add(field, format!("is {}, not an object", kind(other))),
        }
        None
    }

    /// Refuses fields beyond `known`: a misspelt one would be ignored in silence.
    fn refuse_others(&mut self, field: &str, map: &Map<String, Value>, known: &[&str]) {
        for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
            let name: String = name.chars().take(40).flat_map(char::escape_debug).collect();
            self.add(
                format!("{field}.{name}"),
                "is not a field that is known here",
            );
        }
    }
}

const WEIGHTS: &str = "reward_policy.validator_weights";

fn read_policy(reward_policy: &Value, problems: &mut Problems) -> Option<Policy> {
    let policy = problems.object("reward_policy", Some(reward_policy))?;
    let weights = problems.object(WEIGHTS, policy.get("validator_weights"))?;
    problems.refuse_others(WEIGHTS, weights, &["mode", "targets"]);
    let targets = read_targets(weights.get("targets"), problems);
    // As many as the document has: one that is wrong is there, and was told already.
    let count = match weights.get("targets") {
        None | Some(Value::Null) => Some(0),
        Some(list) => list.as_array().map(Vec::len),
    };
    let field = format!("{WEIGHTS}.mode");
    let mode = match weights.get("mode") {
        None | Some(Value::Null) => {
            problems.add(field, "is missing");
            return None;
        }
        Some(Value::String(mode)) => mode.as_str(),
        Some(other) => {
            problems.add(field, format!("is {}, not text", kind(other)));
            return None;
        }
    };
    let other_mode = match mode {
        "local" => Policy::Local,
        "burn_uid0" => Policy::BurnUid0,
        "targets" => {
            if count == Some(0) {
                let field = format!("{WEIGHTS}.targets");
                problems.add(field, "has no target, and mode \"targets\" needs one");
            }
            return Some(Policy::Targets(targets));
        }
        other => {
            let shown: String = other.chars().take(40).collect();
            problems.add(
                field,
                format!("is {shown:?}, not one of \"local\", \"burn_uid0\", \"targets\""),
            );
            return None;
        }
    };
    if count.is_some_and(|count| count > 0) {
        let field = format!("{WEIGHTS}.targets");
        problems.add(
            field,
            format!("has targets, which mode {mode:?} does not follow"),
        );
    }
    Some(other_mode)
}

fn read_targets(value: Option<&Value>, problems: &mut Problems) -> Vec<Target> {
    let field = format!("{WEIGHTS}.targets");
    let list = match value {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(list)) => list,
        Some(other) => {
            problems.add(field, format!("is {}, not a list", kind(other)));
            return Vec::new();
        }
    };
    if list.len() > MAX_TARGETS {
        problems.add(
            field,
            format!("has {} targets, more than {MAX_TARGETS}", list.len()),
        );
        return Vec::new();
    }
    let mut targets = Vec::with_capacity(list.len());
    for (place, value) in list.iter().enumerate() {
        let field = format!("{field}[{place}]");
        let Some(target) = problems.object(&field, Some(value)) else {
            continue;
        };
        problems.refuse_others(&field, target, &["uid", "hotkey", "weight"]);
        let holder = read_holder(&field, target, problems);
        let weight = read_weight(&field, target, problems);
        if let (Some(holder), Some(weight)) = (holder, weight) {
            targets.push(Target { holder, weight });
        }
    }
    targets
}

fn read_holder(
    field: &str,
    target: &Map<String, Value>,
    problems: &mut Problems,
) -> Option<Holder> {
    let given = |name| target.get(name).filter(|value| !value.is_null());
    match (given("uid"), given("hotkey")) {
        (None, None) => {
            problems.add(field, "has neither uid nor hotkey");
            None
        }
        (Some(_), Some(_)) => {
            problems.add(
                field,
                "has both uid and hotkey; exactly one of them says who is meant",
            );
            None
        }
        (Some(uid), None) => {
            let number = uid.as_u64().and_then(|number| u16::try_from(number).ok());
            if number.is_none() {
                problems.add(
                    format!("{field}.uid"),
                    "is not a whole number from 0 to 65535",
                );
            }
            number.map(Holder::Uid)
        }
        (None, Some(hotkey)) => {
            let address = hotkey.as_str().and_then(|text| text.parse().ok());
            if address.is_none() {
                let field = format!("{field}.hotkey");
                problems.add(field, "is not an ss58 address of this network");
            }
            address.map(Holder::Hotkey)
        }
    }
}

fn read_weight(field: &str, target: &Map<String, Value>, problems: &mut Problems) -> Option<f64> {
    let field = format!("{field}.weight");
    match target.get("weight") {
        None | Some(Value::Null) => problems.add(field, "is missing"),
        Some(Value::Number(number)) => match number.as_f64() {
            // Below the smallest normal double, ratios lose their digits.
            Some(weight) if weight.is_normal() && weight > 0.0 => return Some(weight),
            _ => problems.add(field, format!("is {number}, not a finite number above 0")),
        },
        // In quotes it is a mistake of somebody's script.
        Some(other) => problems.add(field, format!("is {}, not a number", kind(other))),
    }
    None
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
