//! File names in the headers of a diff: quoting, prefixes, time stamps.

/// A file name as the header gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// Unquoted, with its prefix.
    pub(super) raw: Vec<u8>,
    /// Without the first component, as `git apply -p1` reads it; whole if it has
    /// one component only, or if the header is one that has no prefixes.
    pub(super) path: Vec<u8>,
}

impl Name {
    /// A name that begins with a prefix such as `a/`. `None` if there is no
    /// component after it.
    pub(super) fn prefixed(raw: Vec<u8>) -> Option<Self> {
        let slash = raw.iter().position(|b| *b == b'/')?;
        let path = raw[slash + 1..].to_vec();
        (!path.is_empty()).then_some(Self { raw, path })
    }

    /// A name without prefix.
    pub(super) fn bare(raw: Vec<u8>) -> Self {
        let path = raw.clone();
        Self { raw, path }
    }

    /// A name of a diff without `diff --git`: one component means no prefix.
    pub(super) fn traditional(raw: Vec<u8>) -> Option<Self> {
        if raw.is_empty() {
            None
        } else if raw.contains(&b'/') {
            Self::prefixed(raw)
        } else {
            Some(Self::bare(raw))
        }
    }
}

/// The name on a `---` or `+++` line, and what follows it: a tab and a stamp.
/// `None` if it is quoted badly.
pub(super) fn header_name(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    if text.first() == Some(&b'"') {
        let (name, rest) = unquote(text)?;
        return (rest.is_empty() || rest[0].is_ascii_whitespace()).then_some((name, rest));
    }
    let end = text.iter().position(|b| *b == b'\t').unwrap_or(text.len());
    Some((text[..end].to_vec(), &text[end..]))
}

/// A name that takes the whole line, as after `rename from`.
pub(super) fn whole_name(text: &[u8]) -> Option<Vec<u8>> {
    if text.first() == Some(&b'"') {
        let (name, rest) = unquote(text)?;
        return rest.is_empty().then_some(name);
    }
    (!text.is_empty()).then(|| text.to_vec())
}

pub(super) fn is_dev_null(name: &[u8]) -> bool {
    name == b"/dev/null"
}

/// The file that a `diff --git` line names, if both of its names are the same
/// after their prefixes. It counts only when no other header names one.
pub(super) fn common_name(text: &[u8]) -> Option<(Name, Name)> {
    /// Two quoted names of the greatest length, all of it escaped.
    const LONGEST: usize = 2 * 4 * 4096 + 64;
    if text.len() > LONGEST {
        return None;
    }
    if text.first() == Some(&b'"') {
        let (old, rest) = unquote(text)?;
        let new = whole_name(rest.strip_prefix(b" ")?)?;
        return same_path(old, new);
    }
    let slash = text.iter().position(|b| *b == b'/')?;
    if text.ends_with(b"\"") {
        let at = text.windows(2).position(|pair| pair == b" \"")?;
        return same_path(text[..at].to_vec(), whole_name(&text[at + 1..])?);
    }
    // Names may hold blanks: the split is where both halves agree.
    let mut second = None;
    for at in (slash + 1..text.len()).rev() {
        if text[at] == b'/' {
            second = Some(at);
        }
        let (b' ', Some(prefix_end)) = (text[at], second) else {
            continue;
        };
        let (old, new) = (&text[slash + 1..at], &text[prefix_end + 1..]);
        if !old.is_empty() && old == new {
            return same_path(text[..at].to_vec(), text[at + 1..].to_vec());
        }
    }
    None
}

fn same_path(old: Vec<u8>, new: Vec<u8>) -> Option<(Name, Name)> {
    let (old, new) = (Name::prefixed(old)?, Name::prefixed(new)?);
    (old.path == new.path).then_some((old, new))
}

/// A name in C quotes, and what follows the closing quote.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut name = Vec::new();
    let mut at = 1;
    loop {
        match *text.get(at)? {
            b'"' => return Some((name, &text[at + 1..])),
            b'\\' => {
                at += 1;
                let byte = match *text.get(at)? {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    literal @ (b'"' | b'\\') => literal,
                    b'0'..=b'3' => {
                        let digits = text.get(at..at + 3)?;
                        at += 2;
                        octal(digits)?
                    }
                    _ => return None,
                };
                name.push(byte);
            }
            byte => name.push(byte),
        }
        at += 1;
    }
}

fn octal(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok()?;
    digits
        .iter()
        .all(|d| matches!(d, b'0'..=b'7'))
        .then(|| u8::from_str_radix(text, 8).ok())?
}

/// Whether a stamp says the first second of 1970: so `diff -N` writes that a
/// file is not there. `1970-01-01 01:00:00.000000000 +0100` is that second, too.
pub(super) fn is_epoch(stamp: &[u8]) -> bool {
    fn read(stamp: &str) -> Option<bool> {
        let mut words = stamp.split_ascii_whitespace();
        let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
        let day = match date {
            "1969-12-31" => -1440,
            "1970-01-01" => 0,
            _ => return Some(false),
        };
        // Two digits and no more: nothing here can overflow.
        let number = |digits: &str| -> Option<i32> {
            let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        let (hour, rest) = time.split_once(':')?;
        let (minute, seconds) = rest.split_once(':')?;
        if !seconds.trim_matches(['0', '.']).is_empty() {
            return Some(false);
        }
        let sign = if zone.starts_with('-') { -1 } else { 1 };
        let zone = zone.get(1..)?.replace(':', "");
        let offset = number(zone.get(..2)?)? * 60 + number(zone.get(2..)?)?;
        let local = day + number(hour)? * 60 + number(minute)?;
        Some(local - sign * offset == 0)
    }
    stamp.len() < 80
        && std::str::from_utf8(stamp)
            .ok()
            .and_then(read)
            .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_second_of_1970_is_known_in_every_zone_and_nothing_else_is() {
        for stamp in [
            "1970-01-01 00:00:00 +0000",
            "1970-01-01 01:00:00.000000000 +0100",
            "1969-12-31 19:00:00 -0500",
        ] {
            assert!(is_epoch(stamp.as_bytes()), "{stamp}");
        }
        for stamp in [
            "1970-01-01 00:00:01 +0000",
            "1970-01-01 99999999:00:00 +0000",
            "1970-01-01 1073741824:00:00 +0000",
            "1970-01-01 00:00:00 +99999999",
            "1970-01-01 +0:00:00 +0000",
            "1970-01-01",
        ] {
            assert!(!is_epoch(stamp.as_bytes()), "{stamp}");
        }
    }

    #[test]
    fn broken_quotes_are_no_name() {
        for text in [
            r#"""#,
            r#""a"#,
            r#""a\"#,
            r#""a\x41""#,
            r#""\4""#,
            r#""\400""#,
            r#""\08""#,
            r#""a"b"#,
        ] {
            assert_eq!(whole_name(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn quoted_names_are_unquoted_byte_by_byte() {
        for (text, name) in [
            (r#""a b""#, &b"a b"[..]),
            (r#""\303\244\n\"\\""#, b"\xc3\xa4\n\"\\"),
            (r#""src/\056\056/x""#, b"src/../x"),
            ("plain name", b"plain name"),
        ] {
            assert_eq!(whole_name(text.as_bytes()).as_deref(), Some(name));
        }
    }

    #[test]
    fn the_diff_line_names_a_file_only_if_both_halves_agree() {
        let path = |text: &str| {
            common_name(text.as_bytes()).map(|(old, _)| String::from_utf8(old.path).expect("UTF-8"))
        };
        assert_eq!(path("a/src/x b/src/x").as_deref(), Some("src/x"));
        assert_eq!(path("a/my file b/my file").as_deref(), Some("my file"));
        assert_eq!(path("c/x d/x").as_deref(), Some("x"));
        assert_eq!(path(r#""a/\303\244" "b/\303\244""#).as_deref(), Some("ä"));
        assert_eq!(path(r#"a/x "b/x""#).as_deref(), Some("x"));
        for text in [
            "",
            "a",
            "a/x",
            "a/x b/y",
            "x x",
            "a/ b/",
            r#""a/x" b/y"#,
            "/ /",
        ] {
            assert_eq!(path(text), None, "{text}");
        }
        let long = format!("a/{0} b/{0}", "x b/".repeat(8000));
        common_name(long.as_bytes());
    }

    #[test]
    fn only_the_first_second_of_1970_means_no_file() {
        for stamp in [
            "\t1970-01-01 00:00:00.000000000 +0000",
            "\t1970-01-01 01:00:00 +0100",
            "\t1969-12-31 19:00:00.000000000 -0500",
        ] {
            assert!(is_epoch(stamp.as_bytes()), "{stamp}");
        }
        for stamp in [
            "",
            "\t",
            "\t1970-01-01",
            "\t1970-01-01 00:00:01 +0000",
            "\t1970-01-01 00:00:00 +0100",
            "\t2024-01-01 00:00:00 +0000",
            "\t1970-01-01 00:00:00 +",
            "\t1970-01-01 00:00:00 +é0",
        ] {
            assert!(!is_epoch(stamp.as_bytes()), "{stamp}");
        }
    }
}
