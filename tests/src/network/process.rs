//! Ending a process that has something to clean up.

use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a process may take to clean up.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is told. To a daemon the second time means: without grace.
const AGAIN: Duration = Duration::from_millis(700);

/// Tells `process` to end, waits until it is gone, and kills it if it does not go.
pub(super) fn end(process: &mut Child) {
    let start = Instant::now();
    let mut told = None;
    while start.elapsed() < PATIENCE {
        if !matches!(process.try_wait(), Ok(None)) {
            return;
        }
        if told.is_none_or(|at: Instant| at.elapsed() > AGAIN)
            && let Ok(id) = i32::try_from(process.id())
        {
            told = Some(Instant::now());
            // It may be gone already, or stopped.
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
            let _ = kill(Pid::from_raw(id), Signal::SIGCONT);
        }
        thread::sleep(Duration::from_millis(20));
    }
    let _ = process.kill();
    let _ = process.wait();
}
