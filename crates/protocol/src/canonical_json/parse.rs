//! JSON's grammar (RFC 8259), strictly, as Python's `json.loads` reads it.

use std::borrow::Cow;

use super::{CanonicalJsonError, MAX_DEPTH, Problem, Value, number};

type Parsed<T> = Result<T, CanonicalJsonError>;

/// Reads a document that is one value and nothing else.
pub(super) fn document(text: &str) -> Parsed<Value<'_>> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(MAX_DEPTH)?;
    parser.skip_blanks();
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.error(Problem::TrailingData)),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Always at the start of a character.
    at: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self, levels_left: usize) -> Parsed<Value<'a>> {
        self.skip_blanks();
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'[') => self.array(levels_left),
            Some(b'{') => self.object(levels_left),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(_) => Err(self.error(Problem::Syntax)),
            None => Err(self.error(Problem::Truncated)),
        }
    }

    fn word(&mut self, word: &'static str) -> Parsed<Value<'a>> {
        for expected in word.bytes() {
            self.expect(expected)?;
        }
        Ok(Value::Plain(Cow::Borrowed(word)))
    }

    fn array(&mut self, levels_left: usize) -> Parsed<Value<'a>> {
        let levels_left = self.enter(levels_left)?;
        let mut items = Vec::new();
        if self.next_is(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(levels_left)?);
            if self.next_is(b']') {
                return Ok(Value::Array(items));
            }
            self.expect(b',')?;
        }
    }

    fn object(&mut self, levels_left: usize) -> Parsed<Value<'a>> {
        let levels_left = self.enter(levels_left)?;
        let mut members = Vec::new();
        if self.next_is(b'}') {
            return Ok(Value::Object(Vec::new()));
        }
        loop {
            self.skip_blanks();
            let key_at = self.at;
            let key = self.string()?;
            self.skip_blanks();
            self.expect(b':')?;
            let value = self.value(levels_left)?;
            members.push((key, key_at, value));
            if self.next_is(b'}') {
                return in_key_order(members);
            }
            self.expect(b',')?;
        }
    }

    fn enter(&mut self, levels_left: usize) -> Parsed<usize> {
        let left = levels_left
            .checked_sub(1)
            .ok_or_else(|| self.error(Problem::TooDeep))?;
        self.at += 1;
        Ok(left)
    }

    fn string(&mut self) -> Parsed<Cow<'a, str>> {
        self.expect(b'"')?;
        let mut decoded = String::new();
        let mut run_start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let run = &self.text[run_start..self.at];
                    self.at += 1;
                    if decoded.is_empty() {
                        return Ok(Cow::Borrowed(run));
                    }
                    return Ok(Cow::Owned(decoded + run));
                }
                Some(b'\\') => {
                    decoded.push_str(&self.text[run_start..self.at]);
                    decoded.push(self.escape()?);
                    run_start = self.at;
                }
                Some(0..=0x1f) => return Err(self.error(Problem::Syntax)),
                // A quote or backslash is never part of a longer character.
                Some(_) => self.at += 1,
                None => return Err(self.error(Problem::Truncated)),
            }
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        let start = self.at;
        self.at += 1;
        let escaped = self.peek().ok_or_else(|| self.error(Problem::Truncated))?;
        let plain = match escaped {
            b'"' | b'\\' | b'/' => escaped.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(start),
            _ => return Err(self.error(Problem::Syntax)),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode_escape(&mut self, start: usize) -> Parsed<char> {
        let lone = CanonicalJsonError {
            problem: Problem::LoneSurrogate,
            offset: start,
        };
        let first = self.code_unit()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or(lone);
        }
        if first >= 0xdc00 || !self.text[self.at..].starts_with("\\u") {
            return Err(lone);
        }
        self.at += 1;
        let second = self.code_unit()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone);
        }
        let point = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        char::from_u32(point).ok_or(lone)
    }

    /// Reads `uXXXX`.
    fn code_unit(&mut self) -> Parsed<u32> {
        self.expect(b'u')?;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = match self.peek() {
                Some(byte) => char::from(byte).to_digit(16),
                None => return Err(self.error(Problem::Truncated)),
            };
            unit = unit * 16 + digit.ok_or_else(|| self.error(Problem::Syntax))?;
            self.at += 1;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Parsed<Value<'a>> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.at += self.digits_from(self.at),
            Some(_) => return Err(self.error(Problem::Syntax)),
            None => return Err(self.error(Problem::Truncated)),
        }
        let integer_end = self.at;
        // A point or exponent without digits belongs to what follows the number.
        if self.peek() == Some(b'.') && self.digits_from(self.at + 1) > 0 {
            self.at += 1 + self.digits_from(self.at + 1);
        }
        if let Some(b'e' | b'E') = self.peek() {
            let sign = matches!(self.byte(self.at + 1), Some(b'+' | b'-'));
            let digits_at = self.at + 1 + usize::from(sign);
            if self.digits_from(digits_at) > 0 {
                self.at = digits_at + self.digits_from(digits_at);
            }
        }
        let text = &self.text[start..self.at];
        if self.at == integer_end {
            return Ok(Value::Plain(Cow::Borrowed(number::integer(text))));
        }
        let canonical = number::float(text).ok_or(CanonicalJsonError {
            problem: Problem::Overflow,
            offset: start,
        })?;
        Ok(Value::Plain(Cow::Owned(canonical)))
    }

    fn digits_from(&self, start: usize) -> usize {
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Skips blanks, and `wanted` if it is next.
    fn next_is(&mut self, wanted: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: u8) -> Parsed<()> {
        match self.peek() {
            Some(found) if found == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.error(Problem::Syntax)),
            None => Err(self.error(Problem::Truncated)),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.byte(self.at)
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn error(&self, problem: Problem) -> CanonicalJsonError {
        CanonicalJsonError {
            problem,
            offset: self.at,
        }
    }
}

/// UTF-8 sorts by code point, as Python's strings do.
fn in_key_order<'a>(mut members: Vec<(Cow<'a, str>, usize, Value<'a>)>) -> Parsed<Value<'a>> {
    members.sort_by(|one, other| one.0.cmp(&other.0));
    for pair in members.windows(2) {
        if let [(one, _, _), (other, offset, _)] = pair
            && one == other
        {
            return Err(CanonicalJsonError {
                problem: Problem::DuplicateKey,
                offset: *offset,
            });
        }
    }
    let members = members.into_iter();
    Ok(Value::Object(
        members.map(|(key, _, value)| (key, value)).collect(),
    ))
}
