//! Kills a stage at its deadline from a thread of its own: whatever else this
//! process is busy with, and however slow the engine is, time ends on time.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::cgroup::StageCgroup;

/// Waits for the deadline; goes away when it is dropped.
pub(super) struct Watchdog {
    called_off: Sender<()>,
    thread: JoinHandle<bool>,
}

impl Watchdog {
    /// Kills everything in `cgroup` when `budget` is over.
    pub(super) fn arm(cgroup: StageCgroup, budget: Duration) -> io::Result<Self> {
        let (called_off, waiting) = channel();
        let thread = Builder::new().name("watchdog".to_owned()).spawn(move || {
            match waiting.recv_timeout(budget) {
                Err(RecvTimeoutError::Timeout) => cgroup.kill_all(),
                _ => false,
            }
        })?;
        Ok(Self { called_off, thread })
    }

    /// Calls it off; tells whether it has killed anything.
    pub(super) fn disarm(self) -> bool {
        drop(self.called_off);
        self.thread.join().unwrap_or(false)
    }
}
