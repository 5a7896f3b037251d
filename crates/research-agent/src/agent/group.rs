//! A process group: everything that an agent started and did not deliberately
//! move out of it.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How long a group has between being asked to end and being killed.
const GRACE: Duration = Duration::from_secs(3);
/// How long the kernel may take for a kill, at most.
const DEATH: Duration = Duration::from_secs(5);

/// A group by its leader's id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group(Pid);

impl Group {
    /// The group of a process that was started as its leader.
    pub(super) fn led_by(id: u32) -> Option<Self> {
        i32::try_from(id).ok().map(|id| Self(Pid::from_raw(id)))
    }

    /// Asks all to end, and waits for that for a moment.
    pub(super) async fn ask_to_end(self) {
        let _ = killpg(self.0, Signal::SIGTERM);
        self.gone_within(GRACE).await;
    }

    /// Kills all, and returns when none of them runs any more.
    pub(super) async fn kill(self) {
        let _ = killpg(self.0, Signal::SIGKILL);
        if !self.gone_within(DEATH).await {
            eprintln!(
                "processes of the agent did not die within {} s",
                DEATH.as_secs()
            );
        }
    }

    async fn gone_within(self, limit: Duration) -> bool {
        let began = Instant::now();
        while self.lives() {
            if began.elapsed() > limit {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        true
    }

    /// Whether one of them still runs. The dead whom nobody buried do not count,
    /// which is why the group itself cannot be asked.
    fn lives(self) -> bool {
        let Ok(entries) = fs::read_dir("/proc") else {
            return false;
        };
        let mut stats = entries.filter_map(|entry| {
            let path = entry.ok()?.path().join("stat");
            fs::read_to_string(path).ok()
        });
        stats.any(|stat| runs_in(&stat, self.0))
    }
}

/// Whether a line of `/proc/PID/stat` is of a living process of `group`.
fn runs_in(stat: &str, group: Pid) -> bool {
    // The name stands in parentheses and may hold anything, more of them too.
    let Some((_, rest)) = stat.rsplit_once(") ") else {
        return false;
    };
    let mut fields = rest.split(' ');
    let state = fields.next();
    let of_group = fields.nth(1) == Some(group.to_string().as_str());
    of_group && !matches!(state, Some("Z" | "X"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_living_processes_of_the_group_count() {
        let group = Pid::from_raw(77);
        assert!(runs_in("80 (a) b) (c) S 1 77 77 0 -1", group));
        assert!(!runs_in("80 (sh) Z 1 77 77 0 -1", group));
        assert!(!runs_in("80 (sh) S 77 80 80 0 -1", group));
        assert!(!runs_in("", group));
    }
}
