//! What a person at a terminal gets, and what a script gets.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::client::answers::Metrics;

/// For whom standard output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// A person: tables and sentences.
    Person,
    /// A script: JSON.
    Script,
}

impl Output {
    /// JSON if it is asked for, or if standard output is no terminal.
    pub(crate) fn new(json: bool) -> Self {
        if json || !io::stdout().is_terminal() {
            Self::Script
        } else {
            Self::Person
        }
    }

    /// Prints `value` as JSON for a script, or what `tell` makes of it for a person.
    /// A reader that leaves early, as `head` does, has read all that it wanted.
    pub(crate) fn print<T: Serialize>(
        self,
        value: &T,
        tell: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        match self.write(value, tell) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    fn write<T: Serialize>(self, value: &T, tell: impl FnOnce(&T) -> String) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self {
            Self::Person => writeln!(out, "{}", tell(value).trim_end())?,
            Self::Script => {
                serde_json::to_writer_pretty(&mut out, value)?;
                writeln!(out)?;
            }
        }
        out.flush()
    }
}

/// A stranger's text on one line, with nothing in it that steers a terminal or
/// turns the direction of writing, and of bounded length.
pub(crate) fn plain(text: &str) -> String {
    const LONGEST: usize = 2000;
    let mut shown = String::new();
    for c in text.chars().take(LONGEST) {
        match c {
            '\n' | '\t' => shown.push(' '),
            c if steers(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Metrics behind a sentence.
pub(crate) fn in_one_line(metrics: &Metrics) -> String {
    let each = metrics
        .iter()
        .map(|(name, value)| format!("  {} = {value}", plain(name)));
    each.collect()
}

/// Columns as wide as their widest cell; all but the last are cut at `widest`.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    const WIDEST: usize = 48;
    let cut = |cell: &str| -> String {
        if cell.chars().count() <= WIDEST {
            return cell.to_owned();
        }
        cell.chars().take(WIDEST - 1).chain(['…']).collect()
    };
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(&heads)
        .chain(rows)
        .map(|row| row.iter().map(|cell| cut(cell)).collect())
        .collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut text = String::new();
    for row in &lines {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let blanks = width + 2 - cell.chars().count().min(*width);
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', blanks));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_and_cuts_what_is_too_long() {
        let rows = vec![
            vec!["a".to_owned(), "é".repeat(60), "x".to_owned()],
            vec!["bbb".to_owned(), String::new(), "y".to_owned()],
        ];
        let text = table(&["ID", "TITLE", "Z"], &rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        let column = |line: &str, c| line.chars().position(|found| found == c);
        assert_eq!(column(lines[0], 'Z'), column(lines[1], 'x'));
        assert_eq!(column(lines[0], 'Z'), column(lines[2], 'y'));
        assert!(lines[1].contains('…'));
    }

    #[test]
    fn nothing_that_a_stranger_wrote_moves_the_cursor() {
        let shown = plain("a\u{1b}[2J\r\nb\u{202e}c");
        assert!(
            !shown.chars().any(|c| c.is_control() || c == '\u{202e}'),
            "{shown:?}"
        );
    }
}
