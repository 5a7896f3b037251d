//! Numbers and texts as the demo shows them.

use std::collections::BTreeMap;

use protocol::{Decimal, Task};
use system_tests::verdict::metrics;

/// A metric's name without the supervisor's prefix.
pub(crate) fn short_name(metric: &str) -> &str {
    metric.trim_start_matches("supervisor.")
}

/// The metrics of the task among `values`.
pub(crate) fn observed(task: &Task, values: &BTreeMap<String, Decimal>) -> String {
    let texts: Vec<String> = metrics(task)
        .filter_map(|(name, _)| Some(format!("{} {}", short_name(name), values.get(name)?)))
        .collect();
    texts.join(", ")
}

/// The start of a text, in one line.
pub(crate) fn at_most(text: &str, characters: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= characters {
        return line.to_owned();
    }
    let start: String = line.chars().take(characters.saturating_sub(1)).collect();
    start.trim_end().to_owned() + "…"
}

/// Rao in whole tokens, of which there are 10⁹ rao each.
pub(crate) fn tokens(rao: u64) -> String {
    format!("{}.{:09}", rao / 1_000_000_000, rao % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_and_a_short_one_is_not() {
        assert_eq!(at_most("a short one\nand more", 11), "a short one");
        assert_eq!(at_most("a longer one", 9), "a longer…");
        assert_eq!(at_most("a longer one", 3), "a…");
    }

    #[test]
    fn rao_keep_all_their_digits() {
        assert_eq!(tokens(1), "0.000000001");
        assert_eq!(tokens(650_000_000_000), "650.000000000");
    }
}
