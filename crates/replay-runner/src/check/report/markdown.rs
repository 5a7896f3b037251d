//! Markdown for the summary of a CI job.

use std::fmt::Write as _;

use super::plot::plot;
use super::{advice, headline, one_line, provenance, status_word, word};
use crate::check::{Checked, Reach, VariationStatus, Verdict};

/// One section.
pub fn markdown(checked: &Checked) -> String {
    let mark = if checked.verdict == Verdict::NotDeterministic {
        "❌"
    } else {
        "✅"
    };
    let mut text = format!(
        "### {mark} {}: {}\n\n{}.\n\n",
        cell(&checked.task),
        word(checked.verdict).to_lowercase(),
        headline(checked)
    );
    // Writing to a string cannot fail.
    if let Some(provenance) = provenance(checked) {
        let _ = writeln!(text, "This is {}.\n", cell(&provenance));
    }
    let _ = writeln!(
        text,
        "| metric | values | relative spread |\n| --- | --- | --- |"
    );
    for metric in &checked.metrics {
        let _ = writeln!(
            text,
            "| {} | {} | {:.2e} |",
            cell(&metric.name),
            code(&plot(&metric.values)),
            metric.relative_spread
        );
    }
    for advice in checked.metrics.iter().filter_map(advice) {
        let _ = writeln!(text, "\n{advice}");
    }
    for finding in &checked.findings {
        let weight = if finding.decides { "**" } else { "" };
        let _ = writeln!(
            text,
            "\n{weight}{}{weight}: {}.\n",
            finding.title,
            cell(&finding.evidence)
        );
        text.push_str("| differs | the first run | another run |\n| --- | --- | --- |\n");
        for example in &finding.examples {
            let _ = writeln!(
                text,
                "| {} | {} | {} ({}) |",
                cell(&example.aspect.to_string()),
                code(&example.left),
                code(&example.right),
                example.right_run
            );
        }
        let _ = writeln!(text, "\nMend: {}", cell(&finding.hint));
        if finding.reach == Reach::HeldByEngine && finding.decides {
            let _ = writeln!(
                text,
                "\nEvery replay of this engine has the same; other runners need not."
            );
        }
    }
    if !checked.variations.is_empty() {
        let _ = writeln!(
            text,
            "\n<details><summary>what was changed</summary>\n\n| variation | | |\n| --- | --- | --- |"
        );
        for one in &checked.variations {
            let detail = match (&one.reason, one.status) {
                (Some(reason), VariationStatus::NotMade) => reason.as_str(),
                _ => one.changes.as_str(),
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                one.name,
                status_word(one.status),
                cell(detail)
            );
        }
        let _ = writeln!(text, "\n</details>");
    }
    let _ = writeln!(
        text,
        "\n{} runs in {:.1} s, spec `{}`",
        checked.tally.runs,
        checked.tally.seconds,
        &checked.spec_digest.to_string()[..12]
    );
    text
}

/// Text that stays within its cell and is no markup.
fn cell(text: &str) -> String {
    let mut escaped = String::new();
    for c in one_line(text, 300).chars() {
        if matches!(
            c,
            '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '\\' | '&' | '#'
        ) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The same as code. A backtick would end it.
fn code(text: &str) -> String {
    let inert = one_line(text, 120).replace('`', "'").replace('|', "\\|");
    if inert.is_empty() {
        String::new()
    } else {
        format!("`{inert}`")
    }
}
