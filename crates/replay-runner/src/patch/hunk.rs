//! Hunks: where they stand, and how they turn one text into another.

use std::ops::Range;

use super::PatchRefusal;
use super::lines::Lines;

/// A hunk whose counts agree with its lines.
#[derive(Debug, Clone)]
pub(super) struct Hunk {
    old: Side,
    new: Side,
    /// The lines after the header, as a range of the patch.
    body: Range<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Side {
    start: u64,
    count: u64,
}

impl Side {
    /// How many lines stand before the hunk. An empty side names the line that
    /// it follows.
    fn lines_before(self) -> Option<u64> {
        if self.count == 0 {
            Some(self.start)
        } else {
            self.start.checked_sub(1)
        }
    }
}

/// Whether the line is a hunk header.
pub(super) fn is_header(line: &[u8]) -> bool {
    header(line).is_some()
}

/// `@@ -start[,count] +start[,count] @@…`
fn header(line: &[u8]) -> Option<(Side, Side)> {
    let rest = line.strip_prefix(b"@@ -")?;
    let (old, rest) = side(rest)?;
    let (new, rest) = side(rest.strip_prefix(b" +")?)?;
    rest.starts_with(b" @@").then_some((old, new))
}

fn side(text: &[u8]) -> Option<(Side, &[u8])> {
    let (start, rest) = number(text)?;
    match rest.strip_prefix(b",") {
        Some(rest) => number(rest).map(|(count, rest)| (Side { start, count }, rest)),
        None => Some((Side { start, count: 1 }, rest)),
    }
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    if !(1..=10).contains(&end) {
        return None;
    }
    let number = text[..end]
        .iter()
        .fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
    Some((number, &text[end..]))
}

impl Hunk {
    /// Reads the hunk whose header is the current line.
    pub(super) fn read(lines: &mut Lines<'_>) -> Result<Self, PatchRefusal> {
        let at_header = *lines;
        let (old, new) = lines
            .take()
            .and_then(header)
            .ok_or_else(|| at_header.refuse("is not a hunk header"))?;
        let (mut old_left, mut new_left, mut changes) = (old.count, new.count, 0u64);
        let begin = lines.offset();
        while old_left > 0 || new_left > 0 {
            let here = *lines;
            let line = lines
                .take()
                .ok_or_else(|| here.refuse("the patch ends in the middle of a hunk"))?;
            if !line.ends_with(b"\n") {
                return Err(
                    here.refuse("the last line has no line end; was the patch cut or stripped?")
                );
            }
            let (from_old, from_new) = match line[0] {
                b' ' | b'\n' => (1, 1),
                b'-' => (1, 0),
                b'+' => (0, 1),
                b'\\' if line.starts_with(b"\\ ") => (0, 0),
                _ => {
                    return Err(
                        here.refuse("is not a line of a hunk, which has fewer lines than it says")
                    );
                }
            };
            changes += from_old ^ from_new;
            let fewer = "the hunk has other line counts than its header says";
            old_left = old_left
                .checked_sub(from_old)
                .ok_or_else(|| here.refuse(fewer))?;
            new_left = new_left
                .checked_sub(from_new)
                .ok_or_else(|| here.refuse(fewer))?;
        }
        if changes == 0 {
            return Err(at_header.refuse("the hunk changes nothing"));
        }
        if lines.at(b"\\ ") {
            lines.take();
        }
        let body = begin..lines.offset();
        Ok(Self { old, new, body })
    }

    pub(super) fn old_count(&self) -> u64 {
        self.old.count
    }

    pub(super) fn new_count(&self) -> u64 {
        self.new.count
    }
}

/// What went wrong when hunks met a text.
pub(super) enum Misfit {
    /// The text is not what the hunks expect.
    Context(&'static str),
    /// The result would be longer than the limit.
    TooLong,
}

/// The text that `hunks` make of `source`: every hunk at exactly its lines.
pub(super) fn apply(
    source: &[u8],
    hunks: &[Hunk],
    patch: &[u8],
    limit: u64,
) -> Result<Vec<u8>, Misfit> {
    let mut editor = Editor {
        source: Lines::new(source),
        lines_read: 0,
        lines_written: 0,
        out: Vec::new(),
        limit,
    };
    for hunk in hunks {
        editor.go_to(hunk)?;
        editor.replace(Lines::new(&patch[hunk.body.clone()]))?;
    }
    editor.write(&source[editor.source.offset()..])?;
    Ok(editor.out)
}

struct Editor<'s> {
    source: Lines<'s>,
    lines_read: u64,
    lines_written: u64,
    out: Vec<u8>,
    limit: u64,
}

impl Editor<'_> {
    fn go_to(&mut self, hunk: &Hunk) -> Result<(), Misfit> {
        let wrong = Misfit::Context(
            "a hunk's line numbers are wrong for the pinned commit; make the diff against it",
        );
        let (Some(before_old), Some(before_new)) =
            (hunk.old.lines_before(), hunk.new.lines_before())
        else {
            return Err(wrong);
        };
        if before_old < self.lines_read {
            return Err(Misfit::Context("its hunks overlap or are out of order"));
        }
        let begin = self.source.offset();
        let mut kept = 0;
        while self.lines_read < before_old {
            match self.source.take() {
                Some(line) => kept += line.len(),
                None => return Err(wrong),
            }
            self.lines_read += 1;
            self.lines_written += 1;
        }
        if self.lines_written != before_new {
            return Err(wrong);
        }
        let source = self.source;
        self.write(source.between(begin, begin + kept))
    }

    fn replace(&mut self, mut body: Lines<'_>) -> Result<(), Misfit> {
        while let Some(line) = body.take() {
            let text = match line[0] {
                b'\\' => continue,
                b'\n' => line,
                _ => &line[1..],
            };
            let ends = !body.at(b"\\");
            let text = if ends { text } else { &text[..text.len() - 1] };
            if line[0] != b'+' {
                if text.is_empty() {
                    continue;
                }
                if self.source.take() != Some(text) {
                    return Err(Misfit::Context(
                        "the lines that it expects are not there in the pinned commit",
                    ));
                }
                self.lines_read += 1;
            }
            if line[0] != b'-' {
                self.write(text)?;
                self.lines_written += 1;
            }
        }
        Ok(())
    }

    fn write(&mut self, text: &[u8]) -> Result<(), Misfit> {
        if text.is_empty() {
            return Ok(());
        }
        if self.out.last().is_some_and(|last| *last != b'\n') {
            return Err(Misfit::Context(
                "a line without line end is not the last one",
            ));
        }
        if (self.out.len() + text.len()) as u64 > self.limit {
            return Err(Misfit::TooLong);
        }
        self.out.extend_from_slice(text);
        Ok(())
    }
}
