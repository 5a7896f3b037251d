//! Colour, where somebody sees it.

use std::env;
use std::io::{IsTerminal as _, stdout};

use protocol::Status;

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    colour: bool,
}

#[derive(Debug, Clone, Copy)]
enum Paint {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
}

impl Style {
    /// Colour on a terminal, unless `NO_COLOR` is set.
    pub(crate) fn of_standard_output() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: stdout().is_terminal() && !refused,
        }
    }

    /// The name of a part of what is shown.
    pub(crate) fn part(self, title: &str) -> String {
        format!("\n{}", self.paint(Paint::Bold, title))
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint(Paint::Bold, text)
    }

    /// What is said beside.
    pub(crate) fn aside(self, text: &str) -> String {
        self.paint(Paint::Dim, text)
    }

    /// What is not as it should be.
    pub(crate) fn wrong(self, text: &str) -> String {
        self.paint(Paint::Red, text)
    }

    pub(crate) fn mark(self, good: bool) -> String {
        if good {
            self.paint(Paint::Green, "✓")
        } else {
            self.paint(Paint::Red, "✗")
        }
    }

    /// A status in a column.
    pub(crate) fn status(self, status: Status) -> String {
        let paint = match status {
            Status::Accepted => Paint::Green,
            Status::Rejected => Paint::Yellow,
            Status::Error => Paint::Red,
        };
        self.paint(paint, &format!("{:8}", status.to_string()))
    }

    /// What was not even taken, in the same column.
    pub(crate) fn refused(self) -> String {
        self.paint(Paint::Yellow, "refused ")
    }

    fn paint(self, paint: Paint, text: &str) -> String {
        if self.colour {
            format!("\x1b[{}m{text}\x1b[0m", paint as u8)
        } else {
            text.to_owned()
        }
    }
}
