//! What a check found, for a terminal, a script, a test report and a job summary.

mod junit;
mod markdown;
mod plot;
mod text;

pub use junit::junit;
pub use markdown::markdown;
pub use text::text;

use protocol::task::LARGEST_TOLERANCE;

use super::{Checked, Finding, MetricChecked, PROBABILITY, Reach, VariationStatus, Verdict};
use crate::sandbox::output::escape;

/// The verdict in one line.
fn headline(checked: &Checked) -> String {
    match checked.verdict {
        Verdict::Deterministic => format!(
            "every one of {} runs gave the same outcome and the same metrics",
            checked.tally.runs
        ),
        Verdict::Stable => format!(
            "the metrics vary, and less than the task tolerates ({})",
            checked
                .tolerance
                .as_ref()
                .map_or("0", |tolerance| tolerance.as_str())
        ),
        Verdict::NotDeterministic => doubt(&checked.findings).to_owned(),
    }
}

/// What `findings` mean for those who compare metrics.
fn doubt(findings: &[Finding]) -> &'static str {
    let deciding = || findings.iter().filter(|finding| finding.decides);
    if deciding().any(|finding| finding.reach == Reach::DiffersBetweenHosts) {
        "honest validators would disagree"
    } else if deciding().next().is_some() {
        "validators agree only because this engine holds fixed what the metrics depend on"
    } else {
        "the metrics vary by more than the task tolerates"
    }
}

/// What a report that was not made now says of itself.
fn provenance(checked: &Checked) -> Option<String> {
    checked.reused.then(|| {
        format!(
            "an earlier check's report, made at {}: nothing that it depends on has changed, and nothing was replayed now",
            one_line(&checked.made_at, 40)
        )
    })
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Deterministic => "DETERMINISTIC",
        Verdict::Stable => "STABLE",
        Verdict::NotDeterministic => "NOT DETERMINISTIC",
    }
}

const fn status_word(status: VariationStatus) -> &'static str {
    match status {
        VariationStatus::Same => "same",
        VariationStatus::Changed => "CHANGED",
        VariationStatus::ChangedDetails => "same metrics",
        VariationStatus::DiffersAnyway => "differs anyway",
        VariationStatus::MadeSteady => "made steady",
        VariationStatus::NotMade => "not made",
    }
}

/// What would make validators agree on `metric`, as a sentence; nothing for one
/// that does not vary.
fn advice(metric: &MetricChecked) -> Option<String> {
    let best = metric
        .needed
        .iter()
        .min_by(|a, b| a.tolerance_safe.total_cmp(&b.tolerance_safe))?;
    let percent = PROBABILITY * 100.0;
    Some(if best.tolerance_estimate > LARGEST_TOLERANCE {
        let way_out = if metric.name.ends_with("_ratio") && metric.measured {
            "measure on an idle machine, or let the benchmark run longer"
        } else if metric.measured {
            "measure on an idle machine, or let the metric be a ratio to the baseline, supervisor.benchmark_cpu_ratio"
        } else {
            "remove the cause"
        };
        format!(
            "no tolerance makes honest validators agree with {percent} % probability; {way_out}"
        )
    } else {
        let safe = if best.tolerance_safe > LARGEST_TOLERANCE {
            format!("no less than {LARGEST_TOLERANCE}, so few runs measured it: try --runs 20")
        } else {
            format!(
                "{:.2} to be safe after {} runs",
                rounded_up(best.tolerance_safe),
                metric.values.len()
            )
        };
        format!(
            "honest validators agree with {percent} % probability with repeats = {} and metric_tolerance = {:.4} ({safe})",
            best.repeats, best.tolerance_estimate
        )
    })
}

/// To two decimals, never down.
fn rounded_up(value: f64) -> f64 {
    (value * 100.0).ceil() / 100.0
}

/// A text of a submission or task for one line of a report.
fn one_line(text: &str, longest: usize) -> String {
    let inert = escape(text.as_bytes()).replace(['\n', '\t'], " ");
    match inert.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &inert[..end]),
        None => inert,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Cause;

    fn finding(reach: Reach, decides: bool) -> Finding {
        Finding {
            cause: Cause::HashOrder,
            title: String::new(),
            reach,
            aspects: Vec::new(),
            decides,
            evidence: String::new(),
            examples: Vec::new(),
            hint: String::new(),
        }
    }

    #[test]
    fn validators_are_said_to_disagree_only_where_they_would() {
        use Reach::{DiffersBetweenHosts, HeldByEngine};
        let held = finding(HeldByEngine, true);
        assert!(doubt(&[]).contains("more than the task tolerates"));
        assert!(doubt(&[finding(DiffersBetweenHosts, false)]).contains("more than the task"));
        assert!(doubt(std::slice::from_ref(&held)).contains("agree only because"));
        assert!(doubt(&[held.clone(), finding(DiffersBetweenHosts, false)]).contains("agree only"));
        assert_eq!(
            doubt(&[held, finding(DiffersBetweenHosts, true)]),
            "honest validators would disagree"
        );
    }
}
