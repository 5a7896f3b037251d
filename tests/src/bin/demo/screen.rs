//! Lines that stay, and on a terminal some below them that are drawn again and
//! again.

use std::io::{Write as _, stdout};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use system_tests::fixtures::Fixture;

use crate::style::Style;

/// How wide the columns of the demo's tables are, in characters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    /// Names of tasks and submissions.
    pub(crate) name: usize,
    /// Outcome codes.
    pub(crate) code: usize,
}

impl Columns {
    /// As wide as what is shown of `fixtures`.
    pub(crate) fn of(fixtures: &[Fixture]) -> Self {
        let cases = || fixtures.iter().flat_map(|fixture| &fixture.cases);
        let names = cases().map(|case| case.name.len());
        let names = names.chain(fixtures.iter().map(|fixture| fixture.name.len()));
        let codes = cases().map(|case| case.submission.expect.code.as_str().len());
        Self {
            name: names.max().unwrap_or(0),
            code: codes.max().unwrap_or(0),
        }
    }
}

/// What the demo shows.
pub(crate) struct Screen {
    pub(crate) style: Style,
    pub(crate) columns: Columns,
    began: Instant,
    live: MultiProgress,
    bars: Vec<ProgressBar>,
}

impl Screen {
    /// Standard output; without live lines where nobody would see them move.
    pub(crate) fn new(columns: Columns) -> Self {
        Self {
            style: Style::of_standard_output(),
            columns,
            began: Instant::now(),
            live: MultiProgress::with_draw_target(ProgressDrawTarget::stdout()),
            bars: Vec::new(),
        }
    }

    /// How long the demo has been going on.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Lines that stay.
    pub(crate) fn say(&self, text: &str) {
        // A reader that is gone does not end the demo: the exit status is still
        // of use.
        self.live.suspend(|| drop(writeln!(stdout(), "{text}")));
    }

    /// A line that stays, with the time.
    pub(crate) fn event(&self, text: &str) {
        let time = format!("{:5.1} s", self.elapsed().as_secs_f64());
        self.say(&format!("{}  {text}", self.style.aside(&time)));
    }

    /// The live lines from now on; cut off at the terminal's edge.
    pub(crate) fn show(&mut self, lines: &[String]) {
        for place in self.bars.len()..lines.len() {
            let bar = self.live.insert(place, ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                bar.set_style(style);
            }
            self.bars.push(bar);
        }
        for (bar, line) in self.bars.iter().zip(lines) {
            bar.set_message(line.clone());
            bar.tick();
        }
        for bar in self.bars.drain(lines.len()..) {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.show(&[]);
    }
}
