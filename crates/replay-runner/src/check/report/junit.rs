//! `JUnit` XML, as CI systems read it: one test for the repeats, one for each
//! variation; what was not made is skipped.

use std::fmt::Write as _;

use super::{headline, one_line, provenance};
use crate::check::{Checked, Finding, VariationStatus, Verdict};

/// One document.
pub fn junit(checked: &Checked) -> String {
    let suite = escape_xml(&checked.task);
    let deciding: Vec<&Finding> = checked.findings.iter().filter(|one| one.decides).collect();
    let changed = |name: &str| {
        checked
            .variations
            .iter()
            .any(|one| one.name == name && one.status == VariationStatus::Changed)
    };
    let mut cases = String::new();
    let mut failures = 0;
    let mut case = |name: &str, failure: Option<String>, skipped: Option<&str>| {
        let _ = write!(
            cases,
            "    <testcase classname=\"{suite}\" name=\"{}\"",
            escape_xml(name)
        );
        match (failure, skipped) {
            (Some(why), _) => {
                failures += 1;
                let first = why.lines().next().unwrap_or_default().to_owned();
                let _ = writeln!(
                    cases,
                    ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
                    escape_xml(&first),
                    escape_xml(&why)
                );
            }
            (None, Some(why)) => {
                let _ = writeln!(
                    cases,
                    ">\n      <skipped message=\"{}\"/>\n    </testcase>",
                    escape_xml(why)
                );
            }
            (None, None) => cases.push_str("/>\n"),
        }
    };
    let repeats_differ = checked.verdict == Verdict::NotDeterministic
        && !checked
            .variations
            .iter()
            .any(|one| one.status == VariationStatus::Changed);
    let why_repeats = || {
        let mut why = vec![headline(checked)];
        why.extend(deciding.iter().map(|finding| describe(finding)));
        why.join("\n")
    };
    case("repeats", repeats_differ.then(why_repeats), None);
    for one in &checked.variations {
        let why = changed(&one.name).then(|| {
            let about = |finding: &&&Finding| {
                finding
                    .examples
                    .iter()
                    .any(|example| example.right_run == one.name)
            };
            deciding.iter().find(about).map_or_else(
                || format!("{} changes the outcome or a metric", one.changes),
                |finding| describe(finding),
            )
        });
        case(&one.name, why, one.reason.as_deref());
    }
    let provenance = provenance(checked).map_or(String::new(), |text| {
        format!("    <system-out>{}</system-out>\n", escape_xml(&text))
    });
    let tests = 1 + checked.variations.len();
    let skipped = checked
        .variations
        .iter()
        .filter(|one| one.reason.is_some())
        .count();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"determinism of {suite}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{:.3}\">\n{cases}{provenance}  </testsuite>\n</testsuites>\n",
        checked.tally.seconds
    )
}

fn describe(finding: &Finding) -> String {
    let mut text = format!("{}\n{}\n", finding.title, finding.evidence);
    for example in &finding.examples {
        let _ = writeln!(
            text,
            "{}: {:?} in {}, {:?} in {}",
            example.aspect,
            one_line(&example.left, 200),
            example.left_run,
            one_line(&example.right, 200),
            example.right_run
        );
    }
    text.push_str("mend: ");
    text.push_str(&finding.hint);
    text
}

/// Text for an attribute or an element; characters that XML cannot hold are
/// left out.
fn escape_xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape_xml;

    #[test]
    fn nothing_that_a_task_prints_ends_an_element() {
        assert_eq!(escape_xml("</a>\"&\u{1b}\n"), "&lt;/a&gt;&quot;&amp;&#10;");
    }
}
