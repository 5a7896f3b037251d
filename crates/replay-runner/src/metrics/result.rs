//! Reading a metric out of the deciding stage's result: strict JSON, exact
//! names, finite numbers, digits kept.

use std::collections::BTreeMap;
use std::fmt;

use protocol::decimal::DecimalError;
use protocol::{Code, Decimal};
use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A result that does not give its metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    /// Not one strict JSON object.
    #[error("the result is not one JSON object: {0}")]
    InvalidJson(String),
    /// No such metric, or null.
    #[error("the result has no metric {0:?}")]
    MetricMissing(String),
    /// A string, a bool, an array or an object.
    #[error("metric {0:?} is not a JSON number")]
    MetricNotANumber(String),
    /// Longer than any number has to be.
    #[error("metric {0:?} has more than 400 digits")]
    MetricTooLong(String),
    /// Beyond the range of a double.
    #[error("metric {0:?} is not finite")]
    MetricNotFinite(String),
}

impl ResultError {
    /// The outcome code.
    pub fn code(&self) -> Code {
        match self {
            Self::InvalidJson(_) => Code::ResultInvalidJson,
            Self::MetricMissing(_) => Code::ResultMetricMissing,
            Self::MetricNotANumber(_) | Self::MetricTooLong(_) => Code::ResultMetricNotANumber,
            Self::MetricNotFinite(_) => Code::ResultMetricNotFinite,
        }
    }
}

/// A parsed result file.
#[derive(Debug)]
pub struct ResultFile<'a>(Object<'a>);

impl<'a> ResultFile<'a> {
    /// Parses the bytes of the file.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ResultError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| ResultError::InvalidJson("it is not UTF-8".to_owned()))?;
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| ResultError::InvalidJson(without_content(&error)))
    }

    /// The metric `name`: from `metric_name` and `metric_value`, else from
    /// `metrics`, else from the top level.
    pub fn metric(&self, name: &str) -> Result<Decimal, ResultError> {
        let missing = || ResultError::MetricMissing(name.to_owned());
        let listed = self.listed(name)?;
        let raw = self.named(name).or(listed).or_else(|| self.0.get(name));
        number(name, raw.ok_or_else(missing)?)
    }

    fn named(&self, name: &str) -> Option<&'a RawValue> {
        let given: String = serde_json::from_str(self.0.get("metric_name")?.get()).ok()?;
        (given == name).then(|| self.0.get("metric_value"))?
    }

    /// What is no object has no metrics; one with a key twice is no JSON of ours.
    fn listed(&self, name: &str) -> Result<Option<&'a RawValue>, ResultError> {
        let Some(raw) = self
            .0
            .get("metrics")
            .filter(|raw| raw.get().starts_with('{'))
        else {
            return Ok(None);
        };
        let metrics: Object<'a> = serde_json::from_str(raw.get())
            .map_err(|error| ResultError::InvalidJson(without_content(&error)))?;
        Ok(metrics.get(name))
    }
}

/// Where and what kind, without the words of the error: they quote the file,
/// and the file may hold whatever submitted code could see.
fn without_content(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "it is another kind of value, or has a key twice",
        _ => "it breaks JSON's grammar",
    };
    format!("{what}, at line {} column {}", error.line(), error.column())
}

fn number(name: &str, raw: &RawValue) -> Result<Decimal, ResultError> {
    if raw.get() == "null" {
        return Err(ResultError::MetricMissing(name.to_owned()));
    }
    raw.get().parse().map_err(|error| match error {
        DecimalError::NotFinite(_) => ResultError::MetricNotFinite(name.to_owned()),
        DecimalError::NotANumber(_) => ResultError::MetricNotANumber(name.to_owned()),
        DecimalError::TooLong(_) => ResultError::MetricTooLong(name.to_owned()),
    })
}

/// A JSON object with its values as text, in which no key stands twice.
#[derive(Debug)]
struct Object<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Object<'a> {
    fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.get(key).copied()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = BTreeMap<String, &'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    if entries.insert(key, value).is_some() {
                        return Err(A::Error::custom("a key stands twice"));
                    }
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(ObjectVisitor).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(text: &str) -> Result<String, Code> {
        let parsed = ResultFile::parse(text.as_bytes()).map_err(|error| error.code())?;
        parsed
            .metric("nll")
            .map(|value| value.to_string())
            .map_err(|error| error.code())
    }

    #[test]
    fn what_is_not_one_strict_json_object_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "{\"nll\": 1",
            "{\"nll\": 1}}",
            "{\"nll\": 1} {\"nll\": 2}",
            "\u{feff}{\"nll\": 1}",
            "{\"nll\": NaN}",
            "{\"nll\": Infinity}",
            "{\"nll\": -Infinity}",
            "{\"nll\": 1,}",
            "{\"nll\": 01}",
            "// c\n{\"nll\": 1}",
            "{'nll': 1}",
            "[1]",
            "1",
            "null",
            "{\"nll\": 1, \"nll\": 2}",
            "{\"nll\": .5}",
        ] {
            assert_eq!(metric(text), Err(Code::ResultInvalidJson), "{text:?}");
        }
        let utf16: Vec<u8> = "{\"nll\": 1}"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert!(ResultFile::parse(&utf16).is_err());
        assert!(ResultFile::parse(b"{\"nll\": 1, \"x\": \"\xff\"}").is_err());
    }

    #[test]
    fn an_error_never_quotes_the_file() {
        for text in [
            "\"SECRET\"",
            "{\"SECRET\": 1, \"SECRET\": 2}",
            "{\"nll\": SECRET}",
            "[\"SECRET\"]",
        ] {
            let error = ResultFile::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn a_metric_that_is_absent_or_no_finite_number_has_its_own_code() {
        for (text, code) in [
            ("{}", Code::ResultMetricMissing),
            ("{\"nll\": null}", Code::ResultMetricMissing),
            ("{\"NLL\": 1}", Code::ResultMetricMissing),
            (
                "{\"metric_name\": \"other\", \"metric_value\": 1}",
                Code::ResultMetricMissing,
            ),
            ("{\"nll\": \"0.9\"}", Code::ResultMetricNotANumber),
            ("{\"nll\": true}", Code::ResultMetricNotANumber),
            ("{\"nll\": [1]}", Code::ResultMetricNotANumber),
            ("{\"nll\": {\"nll\": 1}}", Code::ResultMetricNotANumber),
            ("{\"nll\": 1e400}", Code::ResultMetricNotFinite),
        ] {
            assert_eq!(metric(text), Err(code), "{text}");
        }
    }

    #[test]
    fn a_number_of_many_digits_is_read_and_one_beyond_a_double_is_not_finite() {
        let digits = |count: usize| metric(&format!("{{\"nll\": {}}}", "9".repeat(count)));
        assert_eq!(digits(200), Ok("9".repeat(200)));
        assert_eq!(digits(400), Err(Code::ResultMetricNotFinite));
        assert_eq!(digits(5000), Err(Code::ResultMetricNotANumber));
    }

    #[test]
    fn a_metric_is_found_in_each_of_the_three_shapes_with_its_digits() {
        for (text, value) in [
            ("{\"nll\": 0.10}", "0.10"),
            (
                "{\"metrics\": {\"nll\": 9007199254740993}}",
                "9007199254740993",
            ),
            ("{\"metric_name\": \"nll\", \"metric_value\": 1e-7}", "1e-7"),
            (
                "{\"status\": \"ACCEPT\", \"code\": null, \"nll\": -0}",
                "-0",
            ),
        ] {
            assert_eq!(metric(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        let deep = format!(
            "{{\"x\": {}1{}, \"nll\": 1}}",
            "[".repeat(200_000),
            "]".repeat(200_000)
        );
        assert!(matches!(
            metric(&deep).as_deref(),
            Ok("1") | Err(Code::ResultInvalidJson)
        ));
    }
}
