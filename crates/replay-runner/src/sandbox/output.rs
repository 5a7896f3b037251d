//! What a stage prints: drained to the end whatever its length, of which the
//! start and the end are kept, and shown as inert text.

use std::collections::VecDeque;
use std::fmt::Write as _;

/// Keeps the first and the last bytes of a stream of any length.
#[derive(Debug)]
pub struct HeadTail {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    half: usize,
    total: u64,
}

impl HeadTail {
    /// Keeps `cap` bytes, half of them from the start and half from the end.
    pub fn new(cap: u64) -> Self {
        let half = usize::try_from(cap / 2).unwrap_or(usize::MAX / 2);
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            half,
            total: 0,
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, mut chunk: &[u8]) {
        self.total += chunk.len() as u64;
        let room = self.half - self.head.len();
        if room > 0 {
            let (first, rest) = chunk.split_at(room.min(chunk.len()));
            self.head.extend_from_slice(first);
            chunk = rest;
        }
        if chunk.len() > self.half {
            chunk = &chunk[chunk.len() - self.half..];
        }
        let over = (self.tail.len() + chunk.len()).saturating_sub(self.half);
        self.tail.drain(..over);
        self.tail.extend(chunk);
    }

    /// How many bytes came in all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether anything was left out.
    pub fn is_truncated(&self) -> bool {
        self.total > (self.head.len() + self.tail.len()) as u64
    }

    /// What was kept, as inert text: secrets replaced, control characters and
    /// bytes that are no UTF-8 escaped, a line between start and end that says
    /// how much is missing.
    pub fn render(&self, secrets: &[String]) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        if !self.is_truncated() {
            let whole = [self.head.as_slice(), &tail].concat();
            return escape(&redact(&whole, secrets));
        }
        // A secret that the cut goes through would be kept in part: leave out
        // as much at either side as the longest secret could have there.
        let margin = secrets
            .iter()
            .map(|secret| secret.len().saturating_sub(1))
            .max()
            .unwrap_or(0);
        let head = redact(&self.head, secrets);
        let tail = redact(&tail, secrets);
        let head = &head[..head.len().saturating_sub(margin)];
        let tail = &tail[margin.min(tail.len())..];
        let missing = self.total - (self.head.len() + self.tail.len()) as u64;
        format!(
            "{}\n[{missing} bytes left out]\n{}",
            escape(head),
            escape(tail)
        )
    }
}

/// Replaces every occurrence of every secret.
fn redact(bytes: &[u8], secrets: &[String]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(first) = rest.first() {
        if let Some(secret) = secrets
            .iter()
            .find(|secret| rest.starts_with(secret.as_bytes()))
        {
            kept.extend_from_slice(b"[redacted]");
            rest = &rest[secret.len()..];
        } else {
            kept.push(*first);
            rest = &rest[1..];
        }
    }
    kept
}

/// Text that no terminal, log or page can mistake for anything but text: line
/// feeds and tabs stay, other control characters, format characters and bytes
/// that are no UTF-8 become `\x1b`, `\u{202e}` and the like.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' | '\t' => text.push(c),
                c if c.is_ascii_control() => {
                    let _ = write!(text, "\\x{:02x}", u32::from(c));
                }
                c if c.is_control() || is_format(c) => {
                    let _ = write!(text, "\\u{{{:x}}}", u32::from(c));
                }
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Characters that change how their neighbours are shown, or end a line for
/// some readers and not for others.
const fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cap: u64, chunks: &[&[u8]]) -> HeadTail {
        let mut output = HeadTail::new(cap);
        for chunk in chunks {
            output.push(chunk);
        }
        output
    }

    #[test]
    fn short_output_is_kept_whole_in_whatever_pieces_it_comes() {
        for chunks in [vec![&b"hello world"[..]], vec![b"hello", b" ", b"world"]] {
            let output = kept(64, &chunks);
            assert_eq!(output.render(&[]), "hello world");
            assert!(!output.is_truncated());
        }
    }

    #[test]
    fn the_start_and_the_end_of_long_output_are_kept_and_the_count_is_true() {
        let output = kept(8, &[b"abcdefgh", b"ijkl", b"mnopqrstuvwxyz"]);
        assert_eq!(output.total(), 26);
        assert_eq!(output.render(&[]), "abcd\n[18 bytes left out]\nwxyz");
    }

    #[test]
    fn exactly_as_much_as_the_cap_is_not_truncated() {
        let output = kept(8, &[b"abcdefgh"]);
        assert!(!output.is_truncated());
        assert_eq!(output.render(&[]), "abcdefgh");
    }

    #[test]
    fn nothing_printed_can_act_on_a_terminal() {
        let hostile = b"\x1b[2J\x1b]52;c;AAAA\x07\rRESULT\xff\0\xe2\x80\xae\x7f";
        assert_eq!(
            escape(hostile),
            "\\x1b[2J\\x1b]52;c;AAAA\\x07\\x0dRESULT\\xff\\x00\\u{202e}\\x7f"
        );
    }

    #[test]
    fn secrets_are_replaced_even_where_the_cut_goes_through_one() {
        let secrets = vec!["s3cret-token".to_owned()];
        assert_eq!(
            kept(64, &[b"a s3cret-token b"]).render(&secrets),
            "a [redacted] b"
        );
        let padding = vec![b'.'; 100];
        let shown = kept(
            32,
            &[b"0123456789s3cret-token", &padding, b"s3cret-token456789"],
        )
        .render(&secrets);
        assert!(
            !shown.contains("s3cret") && !shown.contains("token"),
            "{shown}"
        );
    }
}
