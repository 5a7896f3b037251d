//! Whether a person is watching, and colours if so.

use std::io::IsTerminal as _;

/// How to write to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A terminal, and `NO_COLOR` is not set.
    Coloured,
    /// A pipe, a file, or somebody who wants none.
    Plain,
}

impl Style {
    /// The style for standard output.
    pub(crate) fn of_stdout() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if std::io::stdout().is_terminal() && !no_color {
            Self::Coloured
        } else {
            Self::Plain
        }
    }

    /// `text` in a colour or weight of the terminal's palette.
    pub(crate) fn paint(self, code: Paint, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\x1b[{}m{text}\x1b[0m", code as u8),
        }
    }
}

/// Select Graphic Rendition codes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Paint {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
}
