//! The report for a person.

use std::fmt::Write as _;

use super::plot::plot;
use super::{advice, headline, one_line, provenance, status_word, word};
use crate::check::{Checked, Finding, MetricChecked, Reach, VariationStatus};

/// Some lines of plain text.
pub fn text(checked: &Checked) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", word(checked.verdict));
    let _ = writeln!(text, "  {}", headline(checked));
    if let Some(provenance) = provenance(checked) {
        let _ = writeln!(text, "  {provenance}");
    }
    for metric in &checked.metrics {
        describe_metric(&mut text, metric);
    }
    for finding in &checked.findings {
        describe_finding(&mut text, finding);
    }
    variations(&mut text, checked);
    let _ = writeln!(
        text,
        "\n  {} runs in {:.1} s; spec {}",
        checked.tally.runs,
        checked.tally.seconds,
        &checked.spec_digest.to_string()[..12]
    );
    text
}

fn describe_metric(text: &mut String, metric: &MetricChecked) {
    let name = one_line(&metric.name, 60);
    let _ = writeln!(text, "\n  {name}  {}", plot(&metric.values));
    if let Some(advice) = advice(metric) {
        let (low, high) = metric.median_interval;
        let _ = writeln!(
            text,
            "    median {:.6}, with 95 % confidence {low:.6} to {high:.6}; relative spread {:.2e}",
            metric.median, metric.relative_spread
        );
        let _ = writeln!(text, "    {advice}");
    }
}

fn describe_finding(text: &mut String, finding: &Finding) {
    let mark = if finding.decides { "✗" } else { "·" };
    let _ = writeln!(text, "\n  {mark} {}", finding.title);
    let aspects: Vec<String> = finding
        .aspects
        .iter()
        .take(4)
        .map(ToString::to_string)
        .collect();
    let more = finding.aspects.len().saturating_sub(4);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let _ = writeln!(text, "    differs: {}{more}", aspects.join(", "));
    let _ = writeln!(text, "    seen: {}", finding.evidence);
    for example in &finding.examples {
        let line = example
            .line
            .map_or(String::new(), |line| format!(", line {line}"));
        let _ = writeln!(text, "    {}{line}:", example.aspect);
        let labels = [&example.left_run, &example.right_run];
        let wide = labels
            .map(|label| label.chars().count())
            .into_iter()
            .max()
            .unwrap_or(0);
        for (label, shown) in labels.into_iter().zip([&example.left, &example.right]) {
            let _ = writeln!(text, "      {label:wide$} | {}", one_line(shown, 100));
        }
    }
    let _ = writeln!(text, "    mend: {}", finding.hint);
    if finding.reach == Reach::HeldByEngine && finding.decides {
        let _ = writeln!(
            text,
            "    note: every replay of this engine has the same, so its validators agree; a miner's own machine and other runners need not"
        );
    }
}

fn variations(text: &mut String, checked: &Checked) {
    if checked.variations.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n  what was changed:");
    for one in &checked.variations {
        let detail = match (&one.reason, one.status) {
            (Some(reason), _) => one_line(reason, 120),
            (None, VariationStatus::Same) => one.changes.clone(),
            (None, _) => {
                let aspects: Vec<String> = one
                    .changed
                    .iter()
                    .take(3)
                    .map(ToString::to_string)
                    .collect();
                if aspects.is_empty() {
                    one.changes.clone()
                } else {
                    format!("{}: {}", one.changes, aspects.join(", "))
                }
            }
        };
        let _ = writeln!(
            text,
            "    {:<16} {:<15} {detail}",
            one.name,
            status_word(one.status)
        );
    }
}
