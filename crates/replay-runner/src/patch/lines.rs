//! A cursor over the lines of a patch.

use std::io::BufRead as _;

use super::PatchRefusal;

/// The lines of a text, line ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines<'p> {
    text: &'p [u8],
    at: usize,
    number: usize,
}

impl<'p> Lines<'p> {
    pub(super) fn new(text: &'p [u8]) -> Self {
        Self {
            text,
            at: 0,
            number: 1,
        }
    }

    /// The number of the current line, from 1.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Where the current line begins.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// The current line with its line end, if there is one.
    pub(super) fn peek(&self) -> Option<&'p [u8]> {
        let rest = &self.text[self.at..];
        // Reading a slice cannot fail, and std's own search is fast in every build.
        let end = { rest }.skip_until(b'\n').unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    }

    /// The current line; the next one becomes current.
    pub(super) fn take(&mut self) -> Option<&'p [u8]> {
        let line = self.peek()?;
        self.at += line.len();
        self.number += 1;
        Some(line)
    }

    /// A part of the whole text.
    pub(super) fn between(&self, begin: usize, end: usize) -> &'p [u8] {
        &self.text[begin..end]
    }

    /// Whether the current line begins with `prefix`.
    pub(super) fn at(&self, prefix: &[u8]) -> bool {
        self.text[self.at..].starts_with(prefix)
    }

    /// What follows `prefix` on the current line, without line end, if the line
    /// begins with it and is whole; the next one becomes current.
    pub(super) fn take_after(&mut self, prefix: &[u8]) -> Option<&'p [u8]> {
        let line = self.peek()?;
        let rest = line.strip_prefix(prefix)?;
        if !line.ends_with(b"\n") {
            return None;
        }
        self.take();
        Some(without_line_end(rest))
    }

    /// A refusal at the current line.
    pub(super) fn refuse(&self, problem: &'static str) -> PatchRefusal {
        PatchRefusal::Unparseable {
            line: self.number,
            problem,
        }
    }
}

/// The line without `\n` or `\r\n`: headers of a patch that travelled through a
/// system with other line ends name the same files.
pub(super) fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
