//! Reads a configuration key by key: every wrong value is named with its field
//! and its mend, every key that nobody asked for with the nearest one that exists.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use protocol::limits::Bytes;
use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConfigProblem {
    /// The key.
    pub field: &'static str,
    /// The value, what is wrong with it, and what to write.
    pub problem: String,
}

/// The keys of one file, taken one by one.
pub(super) struct Reader {
    given: Map<String, Value>,
    known: Vec<&'static str>,
    pub(super) problems: Vec<ConfigProblem>,
    pub(super) warnings: Vec<String>,
}

impl Reader {
    pub(super) fn new(given: Map<String, Value>) -> Self {
        Self {
            given,
            known: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn problem(&mut self, field: &'static str, problem: impl Into<String>) {
        self.problems.push(ConfigProblem {
            field,
            problem: problem.into(),
        });
    }

    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// The value of a key; `null` and empty text are no value.
    fn take(&mut self, field: &'static str) -> Option<Value> {
        self.known.push(field);
        match self.given.remove(field)? {
            Value::Null => None,
            Value::String(text) if text.trim().is_empty() => None,
            value => Some(value),
        }
    }

    fn wrong(&mut self, field: &'static str, value: &Value, mend: &str) {
        let shown: String = value.to_string().chars().take(80).collect();
        self.problem(field, format!("{shown} cannot be used; write {mend}"));
    }

    /// A text.
    pub(super) fn text(&mut self, field: &'static str) -> Option<String> {
        match self.take(field)? {
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            value => {
                self.wrong(field, &value, "a text");
                None
            }
        }
    }

    /// A text that no message repeats, and that is wiped when it is dropped.
    pub(super) fn secret(&mut self, field: &'static str) -> Option<Zeroizing<String>> {
        if let Value::String(text) = self.take(field)? {
            return Some(Zeroizing::new(text));
        }
        self.problem(field, "is no text; its value is not repeated here");
        None
    }

    /// Yes or no, as a boolean or in a word.
    pub(super) fn flag(&mut self, field: &'static str) -> Option<bool> {
        let value = self.take(field)?;
        let read = match &value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Some(true),
                "false" | "no" | "off" | "0" => Some(false),
                _ => None,
            },
            Value::Number(number) => match number.as_u64() {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _ => None,
            },
            _ => None,
        };
        if read.is_none() {
            self.wrong(field, &value, "true or false");
        }
        read
    }

    /// A whole number from `min` to `max`.
    pub(super) fn whole(&mut self, field: &'static str, min: u64, max: u64) -> Option<u64> {
        let value = self.take(field)?;
        let read = as_f64(&value).filter(|number| number.fract() == 0.0);
        self.bounded(field, &value, read, (min, max), "a whole number")
    }

    /// A number from `min` to `max`, rounded up to a whole one.
    pub(super) fn at_least(&mut self, field: &'static str, min: u64, max: u64) -> Option<u64> {
        let value = self.take(field)?;
        let read = as_f64(&value).map(f64::ceil);
        self.bounded(field, &value, read, (min, max), "a number")
    }

    /// Seconds from `min` to `max`, with or without a fraction.
    pub(super) fn seconds(&mut self, field: &'static str, min: u64, max: u64) -> Option<Duration> {
        let value = self.take(field)?;
        let read = as_f64(&value).filter(|seconds| within(*seconds, min, max));
        if read.is_none() {
            let mend = format!("seconds from {min} to {max}");
            self.wrong(field, &value, &mend);
        }
        read.map(Duration::from_secs_f64)
    }

    /// A number of bytes: an integer, or text such as `"16g"`.
    pub(super) fn bytes(&mut self, field: &'static str, min: Bytes) -> Option<Bytes> {
        let value = self.take(field)?;
        match serde_json::from_value::<Bytes>(value.clone()) {
            Ok(bytes) if bytes >= min => Some(bytes),
            Ok(_) => {
                self.wrong(field, &value, &format!("{min} or more"));
                None
            }
            Err(_) => {
                let mend = "a number of bytes, or text such as \"512m\" or \"16g\"";
                self.wrong(field, &value, mend);
                None
            }
        }
    }

    /// A path; `~/` is the home directory.
    pub(super) fn path(&mut self, field: &'static str) -> Option<PathBuf> {
        let text = self.text(field)?;
        if let (Some(rest), Some(home)) = (text.strip_prefix("~/"), std::env::var_os("HOME")) {
            return Some(PathBuf::from(home).join(rest));
        }
        Some(PathBuf::from(text))
    }

    /// Texts by name. No message repeats a value: they may be secrets.
    pub(super) fn texts(&mut self, field: &'static str) -> BTreeMap<String, String> {
        let Some(value) = self.take(field) else {
            return BTreeMap::new();
        };
        let Value::Object(given) = value else {
            self.problem(field, "is no table of names and texts");
            return BTreeMap::new();
        };
        let mut texts = BTreeMap::new();
        for (name, value) in given {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                _ => {
                    self.problem(field, format!("{name:?} is no text"));
                    continue;
                }
            };
            match protocol::task::env_problem(&name, &text) {
                Some(problem) => self.problem(field, format!("{name:?} {problem}")),
                None => drop(texts.insert(name, text)),
            }
        }
        texts
    }

    /// Warns about every key that nobody took, and wipes what is left.
    pub(super) fn finish(&mut self) {
        for (key, mut value) in std::mem::take(&mut self.given) {
            if let Value::String(text) = &mut value {
                text.zeroize();
            }
            let key: String = key.chars().take(80).collect();
            let meant = self
                .known
                .iter()
                .map(|known| (strsim::damerau_levenshtein(&key, known), *known))
                .min()
                .filter(|(distance, _)| *distance <= 1 + key.len() / 4);
            self.warnings.push(match meant {
                Some((_, known)) => {
                    format!("{key:?} is no key of this file and is not used; did you mean {known}?")
                }
                None => format!("{key:?} is no key of this file and is not used"),
            });
        }
    }

    fn bounded(
        &mut self,
        field: &'static str,
        value: &Value,
        read: Option<f64>,
        (min, max): (u64, u64),
        kind: &str,
    ) -> Option<u64> {
        match read {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole, and within bounds that are far below 2^53"
            )]
            Some(number) if within(number, min, max) => Some(number as u64),
            _ => {
                self.wrong(field, value, &format!("{kind} from {min} to {max}"));
                None
            }
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "every bound in use is far below 2^53"
)]
fn within(number: f64, min: u64, max: u64) -> bool {
    number >= min as f64 && number <= max as f64
}

/// A number, also one that is written as text.
fn as_f64(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
