//! The canonical form of a JSON body that request signatures cover
//! (`WIRE.md` §1): what Python's `json.dumps(obj, sort_keys=True,
//! separators=(",", ":"), ensure_ascii=True)` prints for the parsed body.
//!
//! The raw bytes are read token by token. No JSON library's map type, number
//! type or feature decides what is signed.

mod number;
mod parse;
mod print;

use std::borrow::Cow;

/// How deep arrays and objects may be nested.
pub const MAX_DEPTH: usize = 128;

/// Why a body has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("body: {problem} at byte {offset}")]
pub struct CanonicalJsonError {
    /// What is wrong.
    pub problem: Problem,
    /// Where, counted from the first byte of the body.
    pub offset: usize,
}

/// What is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not UTF-8 throughout.
    #[error("not UTF-8")]
    NotUtf8,
    /// Not what JSON's grammar has there; `NaN` and `Infinity` included.
    #[error("not JSON")]
    Syntax,
    /// The body ends too early.
    #[error("JSON that ends too early")]
    Truncated,
    /// Something follows the value.
    #[error("trailing data")]
    TrailingData,
    /// A key occurs twice in one object.
    #[error("duplicate key")]
    DuplicateKey,
    /// Half of a surrogate pair, which is no character.
    #[error("lone surrogate")]
    LoneSurrogate,
    /// A number beyond the range of a double.
    #[error("number too large for a double")]
    Overflow,
    /// More than [`MAX_DEPTH`] levels.
    #[error("nesting deeper than 128 levels")]
    TooDeep,
}

/// A parsed body that borrows from it where it can.
#[derive(Debug)]
enum Value<'a> {
    /// `true`, `false`, `null`, or a number in its canonical text.
    Plain(Cow<'a, str>),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    /// In the order of the keys' code points.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// The canonical form of `body`, which must be one JSON value.
///
/// Takes time and memory linear in the length of `body`, but for sorting keys.
///
/// # Errors
/// For everything that two readers could take for different values: duplicate
/// keys, lone surrogates, `NaN` and infinities, numbers beyond a double, trailing
/// data, bytes that are not UTF-8; and for nesting beyond [`MAX_DEPTH`].
pub fn canonicalize(body: &[u8]) -> Result<String, CanonicalJsonError> {
    let text = std::str::from_utf8(body).map_err(|error| CanonicalJsonError {
        problem: Problem::NotUtf8,
        offset: error.valid_up_to(),
    })?;
    let value = parse::document(text)?;
    let mut canonical = String::with_capacity(body.len());
    print::value(&value, &mut canonical);
    Ok(canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        use Problem::*;
        let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
        for (body, problem) in [
            (r#"{"a":1,"a":1}"#, DuplicateKey),
            (r#"{"a":1,"b":2,"\u0061":3}"#, DuplicateKey),
            (r#"{"":1,"":2}"#, DuplicateKey),
            (r#"{"x":{"a":1,"a":2}}"#, DuplicateKey),
            (r#""\ud83d""#, LoneSurrogate),
            (r#""\ude80""#, LoneSurrogate),
            (r#""\ud83dx""#, LoneSurrogate),
            (r#""\ud83d\n""#, LoneSurrogate),
            (r#""\ud83d\ud83d\ude80""#, LoneSurrogate),
            (r#"{"\udfff":1}"#, LoneSurrogate),
            ("1e309", Overflow),
            ("-1e309", Overflow),
            ("[1.8e308]", Overflow),
            ("NaN", Syntax),
            ("[Infinity]", Syntax),
            ("-Infinity", Syntax),
            ("-NaN", Syntax),
            ("1 2", TrailingData),
            ("{} x", TrailingData),
            ("01", TrailingData),
            ("-01", TrailingData),
            ("1.", TrailingData),
            ("1e", TrailingData),
            ("1e+", TrailingData),
            ("0x10", TrailingData),
            ("null\0", TrailingData),
            ("", Truncated),
            (" ", Truncated),
            ("[1,", Truncated),
            ("{\"a\"", Truncated),
            ("\"abc", Truncated),
            (r#""\"#, Truncated),
            (r#""\u12"#, Truncated),
            ("tru", Truncated),
            ("-", Truncated),
            ("[1,]", Syntax),
            ("{\"a\":1,}", Syntax),
            ("{a:1}", Syntax),
            ("{'a':1}", Syntax),
            ("{1:1}", Syntax),
            ("[1 2]", Syntax),
            ("{\"a\" 1}", Syntax),
            ("+1", Syntax),
            (".5", Syntax),
            ("-.5", Syntax),
            ("-a", Syntax),
            ("True", Syntax),
            ("// x\n1", Syntax),
            ("\"\u{1}\"", Syntax),
            ("\"a\nb\"", Syntax),
            (r#""\x41""#, Syntax),
            (r#""\u00g0""#, Syntax),
            (r#""\u+123""#, Syntax),
            (r#""\U0041""#, Syntax),
            ("\u{feff}1", Syntax),
            ("\u{a0}1", Syntax),
            (&deep, TooDeep),
        ] {
            let found = canonicalize(body.as_bytes());
            let found = found.map_err(|error| error.problem);
            assert_eq!(found, Err(problem), "{}", &body[..body.len().min(60)]);
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        for body in [
            &b"\"\xff\""[..],
            b"\"\xc0\xaf\"",
            b"\"\xed\xa0\xbd\"",
            b"\xef\xbb",
            b"\xff\xfe1\0",
        ] {
            let problem = canonicalize(body).map_err(|error| error.problem);
            assert_eq!(problem, Err(Problem::NotUtf8), "{body:x?}");
        }
    }

    #[test]
    fn the_offset_is_that_of_the_mistake() {
        for (body, offset) in [
            (r#"{"a": 1, "a": 2}"#, 9),
            ("[1, 1e999]", 4),
            ("[1, x]", 4),
            ("{} {}", 3),
            (r#"["ok", "\ud800"]"#, 8),
        ] {
            let error = canonicalize(body.as_bytes()).unwrap_err();
            assert_eq!(error.offset, offset, "{body}: {error}");
        }
    }

    #[test]
    fn a_value_is_printed_as_python_prints_it() {
        for (body, canonical) in [
            (" \t\r\n[ ] ", "[]"),
            (
                r#"{"b" : 1 , "a" : [ {} , null , true , false ] }"#,
                r#"{"a":[{},null,true,false],"b":1}"#,
            ),
            (r#""\/\u0041\b\f\n\r\t\"\\""#, r#""/A\b\f\n\r\t\"\\""#),
            (
                "\"\u{7f}\u{80}\u{2028}é\u{10ffff}\"",
                r#""\u007f\u0080\u2028\u00e9\udbff\udfff""#,
            ),
            (
                r#""\ud83d\ude80 \uD83D\uDE80""#,
                r#""\ud83d\ude80 \ud83d\ude80""#,
            ),
            (r#""\u0000\u001f""#, r#""\u0000\u001f""#),
            (
                "[-0,0,-0.0,0.0,1.50,1E5,1e-5,1e16,1e15]",
                "[0,0,-0.0,0.0,1.5,100000.0,1e-05,1e+16,1000000000000000.0]",
            ),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
        ] {
            assert_eq!(
                canonicalize(body.as_bytes()).as_deref(),
                Ok(canonical),
                "{body}"
            );
        }
    }

    /// Above the BMP, code points and UTF-16 units sort differently.
    #[test]
    fn keys_are_sorted_by_code_point() {
        let body = "{\"\u{1f600}\":1,\"\u{ffff}\":2,\"b\":3,\"a\":4,\"B\":5,\"aa\":6,\"\":7}";
        let canonical = r#"{"":7,"B":5,"a":4,"aa":6,"b":3,"\uffff":2,"\ud83d\ude00":1}"#;
        assert_eq!(canonicalize(body.as_bytes()).as_deref(), Ok(canonical));
    }

    #[test]
    fn nesting_up_to_the_limit_is_read() {
        let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
        assert_eq!(canonicalize(deep.as_bytes()).as_deref(), Ok(deep.as_str()));
    }
}
