//! What one run of a check observed, as comparable text by aspect.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::{Code, Decimal, ReplaySpec};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::normalise::normalised;
use crate::bench::Observed;
use crate::failure::Failure;
use crate::sandbox::output::escape;

/// One thing in which two runs can differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// The outcome code.
    Outcome,
    /// A metric.
    Metric(String),
    /// The bytes of the result file.
    Result,
    /// A file that was handed over or written.
    File(String),
    /// What a stage printed, without times.
    Output(String),
}

impl Aspect {
    /// Whether validators that differ in it disagree.
    pub fn decides(&self) -> bool {
        matches!(self, Self::Outcome | Self::Metric(_))
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome => f.write_str("the outcome"),
            Self::Metric(name) => write!(f, "metric {}", escape(name.as_bytes())),
            Self::Result => f.write_str("the result file"),
            Self::File(path) => write!(f, "file {}", escape(path.as_bytes())),
            Self::Output(stage) => write!(f, "the output of {stage}"),
        }
    }
}

impl Serialize for Aspect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Aspect {
    /// From its text for a person, the only one that reports have.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let named = |prefix| text.strip_prefix(prefix).map(str::to_owned);
        match text.as_str() {
            "the outcome" => return Ok(Self::Outcome),
            "the result file" => return Ok(Self::Result),
            _ => {}
        }
        named("metric ")
            .map(Self::Metric)
            .or_else(|| named("file ").map(Self::File))
            .or_else(|| named("the output of ").map(Self::Output))
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no aspect of a run")))
    }
}

/// What one run observed.
#[derive(Debug, Clone)]
pub(crate) struct Observation {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// Every metric, those that the supervisor measures included.
    pub(crate) metrics: BTreeMap<String, Decimal>,
    /// What it is compared by. Metrics that the supervisor measures vary with
    /// the machine and are judged by their spread alone.
    pub(crate) aspects: BTreeMap<Aspect, String>,
    /// The exit status of the last stage.
    pub(crate) exit_code: Option<i64>,
    /// When it began and ended, in seconds since 1970.
    pub(crate) began_at: f64,
    pub(crate) ended_at: f64,
}

/// Where a result file shows in a comparison.
const LONGEST_RESULT: usize = 64 << 10;

impl Observation {
    /// What a run that ended with `ended` observed.
    pub(crate) fn new(
        spec: &ReplaySpec,
        ended: Result<BTreeMap<String, Decimal>, Failure>,
        seen: &Observed,
        began: SystemTime,
    ) -> Self {
        let (code, message, metrics) = match ended {
            Ok(metrics) => (Code::Ok, String::new(), metrics),
            Err(failure) => (failure.code, failure.message, BTreeMap::new()),
        };
        let mut aspects = BTreeMap::from([(Aspect::Outcome, code.to_string())]);
        for metric in spec.metrics.iter().filter(|metric| !metric.is_supervised()) {
            if let Some(value) = metrics.get(&metric.name) {
                aspects.insert(Aspect::Metric(metric.name.clone()), value.to_string());
            }
        }
        if let Some(evidence) = &seen.evidence {
            if let Some(result) = &evidence.result {
                let shown = &result[..result.len().min(LONGEST_RESULT)];
                aspects.insert(Aspect::Result, escape(shown));
            }
            for (path, what) in evidence.files.iter() {
                if spec.result_path.as_deref() != Some(path) {
                    aspects.insert(Aspect::File(path.to_owned()), what.to_owned());
                }
            }
        }
        for stage in seen.stages.iter().filter(|stage| !stage.name.contains(' ')) {
            let lines: Vec<String> = stage.output.lines().map(normalised).collect();
            aspects.insert(Aspect::Output(stage.name.clone()), lines.join("\n"));
        }
        let seconds = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
            since.as_secs_f64()
        };
        Self {
            code,
            message,
            metrics,
            aspects,
            exit_code: seen.stages.last().and_then(|stage| stage.exit_code),
            began_at: seconds(began),
            ended_at: seconds(SystemTime::now()),
        }
    }

    /// The text of `aspect`; nothing for what is not there.
    pub(crate) fn text(&self, aspect: &Aspect) -> Option<&str> {
        self.aspects.get(aspect).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aspect_is_read_as_it_is_written() {
        let name = || "a\u{1b} metric".to_owned();
        let all = [
            Aspect::Outcome,
            Aspect::Metric(name()),
            Aspect::Result,
            Aspect::File(name()),
            Aspect::Output("score".to_owned()),
        ];
        for aspect in all {
            let json = serde_json::to_string(&aspect).unwrap();
            let read: Aspect = serde_json::from_str(&json).unwrap();
            assert_eq!(read.to_string(), aspect.to_string());
        }
        assert!(serde_json::from_str::<Aspect>("\"the weather\"").is_err());
    }
}
