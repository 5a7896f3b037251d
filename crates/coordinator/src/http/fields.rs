//! Reads the fields of a JSON object one by one, so that a client learns of
//! everything that is wrong in one answer, and a number keeps its digits.

use std::collections::BTreeMap;

use protocol::decimal::DecimalError;
use protocol::task::FieldError;
use protocol::text::compact;
use protocol::{Decimal, Sha256Digest};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::{ApiError, ApiResult};
use crate::rules::consensus::Metrics;

/// The most metrics of one submission or result.
const MAX_METRICS: usize = 64;

/// The fields of one object, and what was wrong with those read so far.
#[derive(Debug)]
pub struct Fields {
    given: BTreeMap<String, Box<RawValue>>,
    problems: Vec<FieldError>,
    within: String,
}

impl Fields {
    /// The fields of the JSON object in `text`, which was checked to be strict JSON.
    pub fn of(text: &str) -> ApiResult<Self> {
        let given = serde_json::from_str(text)
            .map_err(|_| ApiError::malformed("not_an_object", "the body is not a JSON object"))?;
        Ok(Self {
            given,
            problems: Vec::new(),
            within: String::new(),
        })
    }

    /// No fields at all: a body that may be left out.
    pub fn none() -> Self {
        Self {
            given: BTreeMap::new(),
            problems: Vec::new(),
            within: String::new(),
        }
    }

    /// The names that were given and not read yet.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.given.keys()
    }

    /// Whether a field was given, and not as `null`.
    pub fn has(&self, name: &str) -> bool {
        self.given.get(name).is_some_and(|raw| raw.get() != "null")
    }

    /// Notes a problem of a field.
    pub fn problem(&mut self, field: &str, problem: impl Into<String>) {
        self.problems.push(FieldError {
            field: format!("{}{field}", self.within),
            problem: problem.into(),
        });
    }

    /// Notes problems that other code found.
    pub fn problems(&mut self, found: impl IntoIterator<Item = FieldError>) {
        for one in found {
            self.problem(&one.field, one.problem);
        }
    }

    /// The raw JSON of a field; `null` is as good as absent.
    pub fn raw(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.given.remove(name).filter(|raw| raw.get() != "null")
    }

    /// A field of any type that serde reads.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str, expected: &str) -> Option<T> {
        let raw = self.raw(name)?;
        let read = serde_json::from_str(raw.get()).ok();
        if read.is_none() {
            self.problem(name, format!("is not {expected}"));
        }
        read
    }

    /// A text of so many characters; empty after a problem.
    pub fn text(&mut self, name: &str, min: usize, max: usize) -> String {
        if !self.given.contains_key(name) {
            self.problem(name, "is missing");
            return String::new();
        }
        let before = self.problems.len();
        let text = self.optional_text(name, min, max);
        if text.is_none() && self.problems.len() == before {
            self.problem(name, "is null; a text is needed");
        }
        text.unwrap_or_default()
    }

    /// A text of so many characters, if it is there.
    pub fn optional_text(&mut self, name: &str, min: usize, max: usize) -> Option<String> {
        let text: String = self.optional(name, "a text")?;
        let count = text.chars().count();
        if !(min..=max).contains(&count) {
            self.problem(
                name,
                format!("has {count} characters; {min} to {max} are allowed"),
            );
            return None;
        }
        if text.contains('\0') {
            self.problem(name, "has a NUL character");
            return None;
        }
        Some(text)
    }

    /// A text in which white space alone is nothing.
    pub fn prose(&mut self, name: &str, min: usize, max: usize) -> String {
        let text = self.text(name, min, max);
        if min > 0 && !text.is_empty() && text.trim().is_empty() {
            self.problem(name, "is white space only");
        }
        text
    }

    /// A log or a note that another program wrote: never refused for what is in
    /// it, since a result must not be lost over a NUL.
    pub fn log(&mut self, name: &str, max: usize) -> String {
        let Some(text) = self.optional::<String>(name, "a text") else {
            return String::new();
        };
        if text.chars().count() > max {
            self.problem(name, format!("has more than {max} characters"));
        }
        text.replace('\0', "\u{fffd}")
    }

    /// The same of a result, which must not be lost over its length either: a long
    /// one keeps its start and its end.
    pub fn log_of_result(&mut self, name: &str, max: usize) -> String {
        let text = self.optional::<String>(name, "a text").unwrap_or_default();
        compact(&text.replace('\0', "\u{fffd}"), max)
    }

    /// A UUID, in its usual spelling afterwards.
    pub fn uuid(&mut self, name: &str) -> String {
        let text = self.text(name, 1, 64);
        self.as_uuid(name, &text).unwrap_or_default()
    }

    /// A UUID, if it is there. An empty text is as good as absent: forms send it.
    pub fn optional_uuid(&mut self, name: &str) -> Option<String> {
        let text = self.optional_text(name, 0, 64)?;
        self.as_uuid(name, &text)
    }

    fn as_uuid(&mut self, name: &str, text: &str) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        let id: Option<uuid::Uuid> = text.parse().ok();
        if id.is_none() {
            self.problem(name, "is not a UUID");
        }
        id.map(|id| id.to_string())
    }

    /// A whole number within bounds, if it is there.
    pub fn optional_integer(&mut self, name: &str, min: i64, max: i64) -> Option<i64> {
        let value: i64 = self.optional(name, "a whole number")?;
        if !(min..=max).contains(&value) {
            self.problem(name, format!("{value} is not from {min} to {max}"));
            return None;
        }
        Some(value)
    }

    /// A SHA-256 digest, if it is there and not empty. Upper-case hex is read, too:
    /// clients differ.
    pub fn optional_digest(&mut self, name: &str) -> Option<Sha256Digest> {
        let text = self
            .optional_text(name, 0, 80)
            .filter(|text| !text.is_empty())?;
        let digest = text.to_ascii_lowercase().parse().ok();
        if digest.is_none() {
            self.problem(name, "is not 64 hex digits");
        }
        digest
    }

    /// Metrics by name: finite numbers with their digits.
    pub fn metrics(&mut self, name: &str) -> Metrics {
        if !self.has(name) {
            self.problem(name, "is missing");
        }
        self.metrics_among(name, |_| true)
    }

    /// The metrics among what was observed: a device's name or a `null` beside them
    /// is no reason to lose a result.
    pub fn observed_metrics(&mut self, name: &str) -> Metrics {
        self.metrics_among(name, |value| {
            value.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        })
    }

    fn metrics_among(&mut self, name: &str, is_metric: impl Fn(&str) -> bool) -> Metrics {
        let Some(raw) = self.raw(name) else {
            return Metrics::new();
        };
        let Ok(given) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(raw.get()) else {
            self.problem(name, "is not an object of metrics");
            return Metrics::new();
        };
        if given.len() > MAX_METRICS {
            self.problem(name, format!("has more than {MAX_METRICS} metrics"));
            return Metrics::new();
        }
        let mut metrics = Metrics::new();
        for (metric, value) in given {
            if !is_metric(value.get()) {
                continue;
            }
            let field = format!("{name}.{}", metric.escape_debug());
            if metric.is_empty()
                || metric.chars().count() > 120
                || metric.chars().any(char::is_control)
            {
                self.problem(name, "has a name that is empty, long or unprintable");
                continue;
            }
            match value.get().parse::<Decimal>() {
                Ok(number) => {
                    metrics.insert(metric, number);
                }
                Err(DecimalError::TooLong(_)) => self.problem(&field, "has more than 400 digits"),
                Err(_) => self.problem(&field, "is not a finite number"),
            }
        }
        metrics
    }

    /// A list of objects, each read by `read`.
    pub fn list<T>(
        &mut self,
        name: &str,
        max: usize,
        mut read: impl FnMut(&mut Fields) -> T,
    ) -> Vec<T> {
        let Some(raw) = self.raw(name) else {
            return Vec::new();
        };
        let Ok(given) = serde_json::from_str::<Vec<BTreeMap<String, Box<RawValue>>>>(raw.get())
        else {
            self.problem(name, "is not a list of objects");
            return Vec::new();
        };
        if given.len() > max {
            self.problem(
                name,
                format!("has {} entries; {max} are allowed", given.len()),
            );
            return Vec::new();
        }
        let mut list = Vec::new();
        for (index, given) in given.into_iter().enumerate() {
            let mut inner = Fields {
                given,
                problems: Vec::new(),
                within: format!("{}{name}[{index}].", self.within),
            };
            list.push(read(&mut inner));
            self.problems.append(&mut inner.problems);
        }
        list
    }

    /// A nested object, read by `read`.
    pub fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Fields) -> T) -> Option<T> {
        let raw = self.raw(name)?;
        let Ok(given) = serde_json::from_str(raw.get()) else {
            self.problem(name, "is not an object");
            return None;
        };
        let mut inner = Fields {
            given,
            problems: Vec::new(),
            within: format!("{}{name}.", self.within),
        };
        let value = read(&mut inner);
        self.problems.append(&mut inner.problems);
        Some(value)
    }

    /// Notes every field that nobody read.
    pub fn refuse_others(&mut self) {
        let others: Vec<String> = std::mem::take(&mut self.given).into_keys().collect();
        for name in others {
            let shown: String = name.chars().take(80).collect();
            self.problem(&shown, "is no field that this route knows");
        }
    }

    /// `value`, or 422 with everything that was wrong.
    pub fn done<T>(self, value: T) -> ApiResult<T> {
        if self.problems.is_empty() {
            Ok(value)
        } else {
            Err(ApiError::Fields(self.problems))
        }
    }

    /// Whether nothing was wrong so far.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}
