//! Numbers as Python prints them after parsing.

/// The canonical text of an integer of any size: its own text, since JSON has no
/// leading zeros; only minus zero is zero.
pub(super) fn integer(text: &str) -> &str {
    if text == "-0" { "0" } else { text }
}

/// Python's `repr` of the double nearest to `text`, which has a point or an
/// exponent; `None` if there is none.
pub(super) fn float(text: &str) -> Option<String> {
    let value: f64 = text.parse().ok()?;
    value.is_finite().then(|| repr(value))
}

/// The shortest digits that give `value` again, with an exponent below 1e-4 and
/// from 1e16 on.
fn repr(value: f64) -> String {
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let (digits, exponent) = shortest(value.abs());
    let unsigned = match usize::try_from(exponent) {
        Ok(exponent @ 0..16) => with_point(&digits, exponent + 1),
        Err(_) if exponent >= -4 => {
            let zeros = "0".repeat(usize::try_from(-1 - exponent).unwrap_or_default());
            format!("0.{zeros}{digits}")
        }
        _ => {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{first}{point}{rest}e{sign}{:02}", exponent.unsigned_abs())
        }
    };
    format!("{sign}{unsigned}")
}

/// The shortest decimal digits of `value`, and the power of ten of the first.
///
/// Of two equally short and equally near ones Python takes the even one, as Ryu
/// does; Rust's own `{:e}` takes the larger (1125899906842624.25 shows it).
fn shortest(value: f64) -> (String, i32) {
    let mut buffer = ryu::Buffer::new();
    let printed = buffer.format_finite(value);
    let (mantissa, exponent) = printed.split_once('e').unwrap_or((printed, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let zeros = all.len() - digits.len();
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() {
        return ("0".to_owned(), 0);
    }
    // Ryu prints at most 25 characters, so that nothing here overflows.
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let first = i32::try_from(whole.len()).unwrap_or_default()
        - i32::try_from(zeros).unwrap_or_default()
        - 1;
    (digits.to_owned(), exponent + first)
}

/// `digits` with a point after the first `whole` of them, and a zero on each
/// side that has none.
fn with_point(digits: &str, whole: usize) -> String {
    match digits.split_at_checked(whole) {
        Some((before, after)) if !after.is_empty() => format!("{before}.{after}"),
        _ => format!("{digits:0<whole$}.0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_beyond_a_double_has_no_text() {
        for text in ["1e309", "-1e309", "1.8e308", "17976931348623159e292"] {
            assert_eq!(float(text), None, "{text}");
        }
    }

    #[test]
    fn doubles_are_printed_as_python_prints_them() {
        for (text, printed) in [
            ("-0.0", "-0.0"),
            ("-0e5", "-0.0"),
            ("0e-7", "0.0"),
            ("1e-400", "0.0"),
            ("-1e-400", "-0.0"),
            ("5e-324", "5e-324"),
            ("2e-324", "0.0"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("0.0001", "0.0001"),
            ("0.00012345", "0.00012345"),
            ("0.00001", "1e-05"),
            ("123456e-10", "1.23456e-05"),
            ("9999999999999998.0", "9999999999999998.0"),
            ("1e16", "1e+16"),
            ("12345678901234567.0", "1.2345678901234568e+16"),
            ("1e22", "1e+22"),
            ("1e100", "1e+100"),
            ("123.0", "123.0"),
            ("1.10", "1.1"),
            ("100e-2", "1.0"),
            ("1125899906842624.25", "1125899906842624.2"),
            ("1125899906842624.75", "1125899906842624.8"),
            ("0.1", "0.1"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("9007199254740993.0", "9007199254740992.0"),
            ("2.2250738585072011e-308", "2.225073858507201e-308"),
        ] {
            assert_eq!(float(text).as_deref(), Some(printed), "{text}");
        }
    }
}
