//! Writing to standard output, which may be full, or closed by its reader.

use std::io::{self, Write as _};
use std::sync::OnceLock;

/// Writes `text`, and makes sure that it is out.
pub(super) fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes `text`, and gives the exit status of a command that ends with `status`
/// once that is out.
pub(super) fn ended(text: &str, status: u8) -> u8 {
    status_after(write(text), status)
}

/// The exit status after an output. A reader that has left, as `head` does, has
/// read all that it wanted: the command ends as it would have. Anything else that
/// could not be written is an error.
pub(super) fn status_after(written: io::Result<()>, status: u8) -> u8 {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("replay-runner: standard output could not be written: {error}");
            1
        }
        _ => status,
    }
}

/// Lines that are written one by one as they become known.
#[derive(Debug, Default)]
pub(super) struct Lines(OnceLock<io::Error>);

impl Lines {
    /// Writes one; none after one that could not be written.
    pub(super) fn write(&self, line: &str) {
        if self.0.get().is_none()
            && let Err(error) = write(&format!("{line}\n"))
        {
            // One after the other: nobody else has set it.
            let _ = self.0.set(error);
        }
    }

    /// How it went.
    pub(super) fn written(self) -> io::Result<()> {
        self.0.into_inner().map_or(Ok(()), Err)
    }
}
