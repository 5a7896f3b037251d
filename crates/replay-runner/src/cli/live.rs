//! A live line for what goes on, for a person at a terminal.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use replay_runner::progress::{Event, Progress, Silent};

use super::terminal::Style;

/// Who listens: a live line if standard output and standard error are both a
/// terminal, nobody otherwise.
pub(crate) fn listener(quiet: bool) -> Box<dyn Progress> {
    if quiet || Style::of_stdout() == Style::Plain || !std::io::stderr().is_terminal() {
        return Box::new(Silent);
    }
    Box::new(Live(Mutex::new(None)))
}

struct Live(Mutex<Option<ProgressBar>>);

impl Live {
    fn show(&self, template: &str, message: String) {
        let bar = ProgressBar::new_spinner().with_message(message);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        self.replace(Some(bar));
    }

    fn replace(&self, next: Option<ProgressBar>) {
        if let Ok(mut bar) = self.0.lock()
            && let Some(old) = std::mem::replace(&mut *bar, next)
        {
            old.finish_and_clear();
        }
    }
}

impl Progress for Live {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Step(step) => self.show("{spinner} {msg}", step.to_owned()),
            Event::Bytes { done, total } => {
                if let Ok(bar) = self.0.lock()
                    && let Some(bar) = bar.as_ref()
                {
                    let mib = |bytes: u64| bytes >> 20;
                    let of = total
                        .map(|total| format!(" of {}", mib(total)))
                        .unwrap_or_default();
                    bar.set_message(format!("{}{of} MiB", mib(done)));
                }
            }
            Event::StageStarted { name, pass, budget } => {
                let began = Instant::now();
                let pass = if pass > 1 {
                    format!(" #{pass}")
                } else {
                    String::new()
                };
                self.show(
                    "{spinner} {msg} {elapsed}",
                    format!("{name}{pass} (budget {:.0} s)", budget.as_secs_f64()),
                );
                tracing::debug!(stage = name, since = ?began, "started");
            }
            Event::StageEnded(stage) => {
                self.replace(None);
                eprintln!(
                    "  {:<22} {:>8.2} s wall {:>8.2} s cpu {:>6} MiB",
                    stage.name,
                    stage.wall_seconds,
                    stage.cpu_seconds,
                    stage.peak_memory_bytes >> 20
                );
            }
            _ => {}
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.replace(None);
    }
}
