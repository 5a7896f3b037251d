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
            Event::StageStarted { name, budget, .. } => {
                let (name, most) = (plain(name), budget.as_secs_f64());
                eprint!("  {name} (at most {most:.0} s) … ");
            }
            Event::StageEnded(stage) => eprintln!("{:.2} s", stage.wall_seconds),
            _ => {}
        }
    }
}
