//! Texts for people, and for fields that hold only so much.

use std::error::Error;

/// An error with its causes, each told once: many already have their cause's words.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

/// An address for a message: without a user's name, a password and parameters.
pub fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let rest = rest.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{rest}")
}

/// At most `max` characters of `text`: its start and its end.
pub fn compact(text: &str, max: usize) -> String {
    let count = text.chars().count();
    if count <= max {
        return text.to_owned();
    }
    let mark = format!("\n[… {} characters left out …]\n", count - max);
    let room = max.saturating_sub(mark.chars().count());
    if room == 0 {
        return text.chars().take(max).collect();
    }
    let head: String = text.chars().take(room / 2).collect();
    let tail: String = text.chars().skip(count - (room - room / 2)).collect();
    format!("{head}{mark}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Told(&'static str, #[source] std::io::Error);

    #[test]
    fn an_address_is_told_without_what_is_secret_in_it() {
        for (url, told) in [
            (
                "postgres://user:p@ss@host:5432/db?sslmode=off",
                "postgres://host:5432/db",
            ),
            (
                "sqlite:///var/lib/pool.db?mode=rw",
                "sqlite:///var/lib/pool.db",
            ),
            ("sqlite://pool.db", "sqlite://pool.db"),
        ] {
            assert_eq!(without_credentials(url), told);
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = || std::io::Error::other("no such file");
        assert_eq!(
            with_causes(&Told("a.db: no such file", cause())),
            "a.db: no such file"
        );
        assert_eq!(with_causes(&Told("a.db", cause())), "a.db: no such file");
    }

    #[test]
    fn a_long_text_keeps_its_start_and_its_end_and_its_bound() {
        let text: String = ('a'..='z').cycle().take(5000).collect();
        for max in [0, 1, 10, 50, 100, 4999] {
            let short = compact(&text, max);
            assert!(short.chars().count() <= max, "{max}");
        }
        let short = compact(&text, 200);
        assert!(
            short.starts_with("abc") && short.ends_with(&text[4990..]),
            "{short}"
        );
        assert!(short.contains("4800 characters left out"), "{short}");
        assert_eq!(compact("é".repeat(10).as_str(), 10), "é".repeat(10));
    }
}
