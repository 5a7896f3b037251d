//! One metric over several repeats: the median is reported, and repeats that
//! differ by more than the task tolerates are no result.

use protocol::report::Spread;
use protocol::spec::Metric;
use protocol::{Code, Decimal};

/// Why the repeats of a metric are not its value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SamplesError {
    /// The median is outside the declared range.
    #[error("metric {name:?} is {value}, outside the range that the task declares")]
    OutOfRange {
        /// The metric.
        name: String,
        /// Its value.
        value: Decimal,
    },
    /// The repeats disagree.
    #[error(
        "metric {name:?} is not reproducible: {} (relative spread {relative:.3e})",
        list(values)
    )]
    NotReproducible {
        /// The metric.
        name: String,
        /// Each repeat's value.
        values: Vec<Decimal>,
        /// Largest difference, relative to the median.
        relative: f64,
    },
}

fn list(values: &[Decimal]) -> String {
    let texts: Vec<&str> = values.iter().map(Decimal::as_str).collect();
    texts.join(", ")
}

impl SamplesError {
    /// The outcome code.
    pub fn code(&self) -> Code {
        match self {
            Self::OutOfRange { .. } => Code::ResultMetricOutOfRange,
            Self::NotReproducible { .. } => Code::ResultNotReproducible,
        }
    }
}

/// The values of one metric, at least one, in the order of the repeats.
#[derive(Debug, Clone)]
pub struct Samples {
    first: Decimal,
    rest: Vec<Decimal>,
}

impl Samples {
    /// Starts with the first repeat's value.
    pub fn new(first: Decimal) -> Self {
        Self {
            first,
            rest: Vec::new(),
        }
    }

    /// Adds the next repeat's value.
    pub fn push(&mut self, value: Decimal) {
        self.rest.push(value);
    }

    /// All values in order.
    pub fn values(&self) -> Vec<Decimal> {
        std::iter::once(&self.first)
            .chain(&self.rest)
            .cloned()
            .collect()
    }

    /// The middle value with its own digits; the mean of the two middle ones
    /// for an even number of unequal repeats.
    pub fn median(&self) -> Decimal {
        let mut sorted = self.values();
        sorted.sort_by(Decimal::compare);
        let upper = &sorted[sorted.len() / 2];
        let lower = &sorted[(sorted.len() - 1) / 2];
        if lower.compare(upper).is_eq() {
            return lower.clone();
        }
        // Halved before they are added, so that two large values stay finite.
        Decimal::from_f64(lower.value() / 2.0 + upper.value() / 2.0)
            .unwrap_or_else(|| lower.clone())
    }

    /// The values with their relative spread.
    pub fn spread(&self) -> Spread {
        let values = self.values();
        let numbers = values.iter().map(Decimal::value);
        let width = numbers.clone().fold(f64::MIN, f64::max) - numbers.fold(f64::MAX, f64::min);
        let median = self.median().value().abs();
        let relative = if width == 0.0 {
            0.0
        } else {
            (width / median).min(f64::MAX)
        };
        Spread { values, relative }
    }

    /// The value that counts, if the repeats agree within `tolerance` and it is
    /// within the metric's range. What the supervisor measures always varies:
    /// without a tolerance its repeats need not be equal.
    pub fn decide(
        &self,
        metric: &Metric,
        tolerance: Option<&Decimal>,
    ) -> Result<Decimal, SamplesError> {
        let spread = self.spread();
        let allowed = match tolerance {
            Some(tolerance) => tolerance.value(),
            None if metric.is_supervised() => f64::INFINITY,
            None => 0.0,
        };
        if spread.relative > allowed {
            return Err(SamplesError::NotReproducible {
                name: metric.name.clone(),
                values: spread.values,
                relative: spread.relative,
            });
        }
        let value = self.median();
        // Every repeat has to be honest, not only the middle one.
        match spread
            .values
            .into_iter()
            .find(|value| !metric.range.contains(value))
        {
            Some(value) => Err(SamplesError::OutOfRange {
                name: metric.name.clone(),
                value,
            }),
            None => Ok(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::task::{Direction, MetricRange};

    use super::*;

    fn samples(texts: &[&str]) -> Samples {
        let mut samples = Samples::new(texts[0].parse().unwrap());
        for text in &texts[1..] {
            samples.push(text.parse().unwrap());
        }
        samples
    }

    fn metric(name: &str, min: Option<&str>, max: Option<&str>) -> Metric {
        let bound = |text: &str| text.parse().unwrap();
        Metric {
            name: name.to_owned(),
            direction: Direction::Minimize,
            range: MetricRange {
                min: min.map(bound),
                max: max.map(bound),
            },
        }
    }

    #[test]
    fn repeats_that_differ_are_no_result_unless_the_task_tolerates_it() {
        let wobbly = samples(&["1.00", "1.01", "1.02"]);
        let plain = metric("nll", None, None);
        assert_eq!(
            wobbly.decide(&plain, None).unwrap_err().code(),
            Code::ResultNotReproducible
        );
        let tight: Decimal = "0.01".parse().unwrap();
        assert_eq!(
            wobbly.decide(&plain, Some(&tight)).unwrap_err().code(),
            Code::ResultNotReproducible
        );
        let wide: Decimal = "0.02".parse().unwrap();
        assert_eq!(wobbly.decide(&plain, Some(&wide)).unwrap().as_str(), "1.01");
    }

    #[test]
    fn equal_values_in_different_digits_agree() {
        assert!(
            samples(&["1.0", "1.00", "1"])
                .decide(&metric("nll", None, None), None)
                .is_ok()
        );
        assert!(
            samples(&["0", "0.0"])
                .decide(&metric("nll", None, None), None)
                .is_ok()
        );
    }

    #[test]
    fn times_vary_without_being_refused() {
        let times = samples(&["0.5", "0.9"]);
        let seconds = metric("supervisor.benchmark_seconds", None, None);
        assert!((times.decide(&seconds, None).unwrap().value() - 0.7).abs() < 1e-12);
    }

    #[test]
    fn a_single_repeat_outside_the_range_spoils_the_median() {
        let wide: Decimal = "1".parse().unwrap();
        let bounded = metric("accuracy", Some("0"), Some("1"));
        let refused = samples(&["0.9", "0.9", "1.7"])
            .decide(&bounded, Some(&wide))
            .unwrap_err();
        assert_eq!(refused.code(), Code::ResultMetricOutOfRange);
        assert!(
            samples(&["0", "1"])
                .decide(&bounded, Some(&"2".parse().unwrap()))
                .is_ok()
        );
    }
}
