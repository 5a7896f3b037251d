//! Output without what is different in every honest run: dates, times of day and
//! durations. What is left is compared.

/// `line` with dates, times and durations replaced by words.
pub(crate) fn normalised(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        let starts_word = before.is_none_or(|c: char| !c.is_alphanumeric() && c != '.' && c != '_');
        let found = (starts_word && c.is_ascii_digit())
            .then(|| token(rest))
            .flatten();
        let length = if let Some((word, length)) = found {
            text.push_str(word);
            length
        } else {
            text.push(c);
            c.len_utf8()
        };
        before = rest[..length].chars().next_back();
        rest = &rest[length..];
    }
    text
}

/// The word for the date, time or duration that `text` starts with, and its length.
fn token(text: &str) -> Option<(&'static str, usize)> {
    if let Some(length) = date(text) {
        let after = &text[length..];
        let gap = usize::from(after.starts_with(['T', ' ']));
        let time = time_of_day(&after[gap..]).map_or(0, |time| gap + time);
        return Some(("<time>", length + time));
    }
    if let Some(length) = time_of_day(text) {
        return Some(("<time>", length));
    }
    duration(text).map(|length| ("<duration>", length))
}

/// Matches digits where `pattern` has `9`, and its other characters themselves.
fn shape(text: &str, pattern: &str) -> Option<usize> {
    let fits = text.len() >= pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(byte, wanted)| {
            if wanted == b'9' {
                byte.is_ascii_digit()
            } else {
                byte == wanted
            }
        });
    fits.then_some(pattern.len())
}

fn date(text: &str) -> Option<usize> {
    shape(text, "9999-99-99").or_else(|| shape(text, "9999/99/99"))
}

fn time_of_day(text: &str) -> Option<usize> {
    let mut length = shape(text, "99:99:99")?;
    if let Some(digits) = text[length..].strip_prefix('.').map(leading_digits)
        && digits > 0
    {
        length += 1 + digits;
    }
    let zone = &text[length..];
    let zone = usize::from(zone.starts_with('Z'))
        + ["+99:99", "-99:99", "+9999", "-9999"]
            .iter()
            .find_map(|pattern| shape(zone, pattern))
            .unwrap_or(0);
    Some(length + zone)
}

const UNITS: &[&str] = &[
    "s",
    "ms",
    "us",
    "µs",
    "ns",
    "sec",
    "secs",
    "second",
    "seconds",
    "msec",
    "usec",
    "min",
    "minutes",
    "milliseconds",
    "microseconds",
    "nanoseconds",
];

/// A number with a unit of time.
fn duration(text: &str) -> Option<usize> {
    let mut length = leading_digits(text);
    if let Some(digits) = text[length..].strip_prefix('.').map(leading_digits) {
        length += 1 + digits;
    }
    if let Some(exponent) = text[length..].strip_prefix("e-").map(leading_digits)
        && exponent > 0
    {
        length += 2 + exponent;
    }
    let gap = usize::from(text[length..].starts_with(' '));
    let unit = &text[length + gap..];
    let end = unit
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(unit.len());
    UNITS.contains(&&unit[..end]).then_some(length + gap + end)
}

fn leading_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_times_and_durations_are_left_out() {
        for (line, kept) in [
            ("at 2026-11-22T20:49:01.123Z done", "at <time> done"),
            ("[2026-11-22 20:49:01] epoch 3", "[<time>] epoch 3"),
            ("20:49:01 loss 0.25", "<time> loss 0.25"),
            (
                "took 1.25s, 300 ms and 4e-05 s",
                "took <duration>, <duration> and <duration>",
            ),
            ("trained in 12.5 seconds.", "trained in <duration>."),
        ] {
            assert_eq!(normalised(line), kept);
        }
    }

    #[test]
    fn other_numbers_stay() {
        for line in [
            "loss 0.123456",
            "epoch 12 of 30",
            "1.2.3",
            "x86_64",
            "0x7ffd 12:30",
            "5 samples",
            "größe 3 µ",
        ] {
            assert_eq!(normalised(line), line);
        }
    }
}
