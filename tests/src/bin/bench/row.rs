//! One line of the table: what, measured, target, met or not.

use std::fmt;

/// Whether a number is where it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is.
    Met,
    /// It is not.
    Missed,
    /// It has no target; others are compared with it.
    Reference,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    what: String,
    measured: String,
    target: String,
    /// Whether it is met.
    pub(crate) verdict: Verdict,
}

/// Where a number should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

impl Row {
    /// A number that others are compared with, or that is good to know.
    pub(crate) fn reference(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            measured: measured.into(),
            target: String::new(),
            verdict: Verdict::Reference,
        }
    }

    /// A `value`, shown as `measured` with its `unit`, that has a target.
    pub(crate) fn judged(
        what: impl Into<String>,
        value: f64,
        measured: impl Into<String>,
        target: Target,
        unit: &str,
    ) -> Self {
        let (sign, bound) = match target {
            Target::AtMost(bound) => ("≤", bound),
            Target::AtLeast(bound) => ("≥", bound),
        };
        Self {
            what: what.into(),
            measured: measured.into(),
            target: format!("{sign} {bound} {unit}"),
            verdict: if target.is_met(value) {
                Verdict::Met
            } else {
                Verdict::Missed
            },
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Met => "met",
            Verdict::Missed => "MISSED",
            Verdict::Reference => "",
        };
        let (what, measured, target) = (&self.what, &self.measured, &self.target);
        let line = format!("{what:<54} {measured:<34} {target:<10} {verdict}");
        f.write_str(line.trim_end())
    }
}

/// Prints how busy the machine is, and the head of the table.
pub(crate) fn print_heading() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!("{cores} cores, load {load} before the first measurement\n");
    println!(
        "{:<54} {:<34} {:<10}",
        "what", "median (quartiles)", "target"
    );
}
