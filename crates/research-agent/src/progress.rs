//! What a replay does now, for a person who waits.

use std::io::IsTerminal as _;

use replay_runner::progress::{Event, Progress};

use crate::terminal::plain;

/// Tells of stages on standard error, if that is a terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told;

impl Progress for Told {
    fn event(&self, event: Event<'_>) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        match event {
            Event::Step(step) => eprintln!("  {step}"),
            Event::StageStarted { name, budget, .. } => {
                eprintln!("  {} (at most {:.0} s)", plain(name), budget.as_secs_f64());
            }
            Event::StageEnded(stage) => {
                eprintln!("  {} took {:.2} s", plain(&stage.name), stage.wall_seconds);
            }
            _ => {}
        }
    }
}
