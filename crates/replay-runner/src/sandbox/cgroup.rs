//! Reads what a stage used from the kernel. Each stage's container lives below a
//! cgroup of ours that outlives it, so that the figures are final and nothing
//! inside could touch them. Works on version 1 and version 2 hierarchies.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const ROOT: &str = "/sys/fs/cgroup";
const PARENT: &str = "replay-runner";
const TCP_LIMIT: &str = "memory.kmem.tcp.limit_in_bytes";
const TCP_PEAK: &str = "memory.kmem.tcp.max_usage_in_bytes";

/// The cgroup that the container of one stage is put under.
#[derive(Debug, Clone)]
pub struct StageCgroup {
    /// What the engine calls it.
    parent: String,
    /// Below each hierarchy's root.
    relative: PathBuf,
}

/// What a stage used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all its processes.
    pub cpu: Duration,
    /// The most memory it held at once, files in memory included.
    pub peak_memory_bytes: u64,
    /// How many of its processes the kernel killed for want of memory. Version 1
    /// forgets that with the container's own cgroup; there it is always 0.
    pub oom_kills: u64,
}

impl StageCgroup {
    /// A cgroup for `stage` of the runner `owner`; `systemd` tells who manages
    /// the hierarchy.
    pub fn new(owner: &str, stage: &str, systemd: bool) -> Self {
        if systemd {
            // A slice's place in the tree is spelled by the dashes of its name.
            let base = "replayrunner.slice";
            let of_owner = format!("replayrunner-{owner}.slice");
            let name = format!("replayrunner-{owner}-{stage}.slice");
            return Self {
                relative: Path::new(base).join(of_owner).join(&name),
                parent: name,
            };
        }
        let parent = format!("/{PARENT}/{owner}/{stage}");
        Self {
            relative: PathBuf::from(&parent[1..]),
            parent,
        }
    }

    /// The engine's `CgroupParent`.
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// What the stage used, or `None` if the kernel does not say.
    pub fn usage(&self) -> Option<Usage> {
        self.usage_v2().or_else(|| self.usage_v1())
    }

    fn usage_v1(&self) -> Option<Usage> {
        let cpu = read_u64(
            &Path::new(ROOT)
                .join("cpuacct")
                .join(&self.relative)
                .join("cpuacct.usage"),
        )?;
        let memory = Path::new(ROOT).join("memory").join(&self.relative);
        let peak = read_u64(&memory.join("memory.max_usage_in_bytes"))?;
        Some(Usage {
            cpu: Duration::from_nanos(cpu),
            peak_memory_bytes: peak + read_u64(&memory.join(TCP_PEAK)).unwrap_or(0),
            oom_kills: 0,
        })
    }

    fn usage_v2(&self) -> Option<Usage> {
        let dir = Path::new(ROOT).join(&self.relative);
        let stat = fs::read_to_string(dir.join("cpu.stat")).ok()?;
        // Of everything below it, too.
        let events = fs::read_to_string(dir.join("memory.events")).unwrap_or_default();
        Some(Usage {
            cpu: Duration::from_micros(entry(&stat, "usage_usec")?),
            peak_memory_bytes: read_u64(&dir.join("memory.peak"))?,
            oom_kills: entry(&events, "oom_kill").unwrap_or(0),
        })
    }

    /// Bounds the buffers of TCP connections, which version 1 counts apart from
    /// all other memory, and only if there is a bound when a socket is made.
    pub fn limit_tcp_memory(&self, bytes: u64) {
        let dir = Path::new(ROOT).join("memory").join(&self.relative);
        for dir in children(&dir).chain([dir.clone()]) {
            let _ = fs::write(dir.join(TCP_LIMIT), bytes.to_string());
        }
    }

    /// Kills everything in it without asking the engine, which may be slow or
    /// gone. Tells whether anything was alive.
    pub fn kill_all(&self) -> bool {
        let mut was_alive = false;
        for root in hierarchies() {
            let dir = root.join(&self.relative);
            let members = members(&dir);
            was_alive |= !members.is_empty();
            if fs::write(dir.join("cgroup.kill"), "1").is_err() {
                for pid in members {
                    let _ = kill(pid, Signal::SIGKILL);
                }
            }
        }
        was_alive
    }

    /// Removes it; it is empty once its container is gone.
    pub fn remove(&self) {
        for root in hierarchies() {
            remove_tree(&root.join(&self.relative));
        }
    }
}

/// Every runner, alive or dead, of which there is a cgroup.
pub fn owners() -> std::collections::BTreeSet<String> {
    let names = |dir: PathBuf| {
        children(&dir)
            .filter_map(|child| child.file_name()?.to_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let mut owners = std::collections::BTreeSet::new();
    for root in hierarchies() {
        owners.extend(names(root.join(PARENT)));
        let slices = names(root.join("replayrunner.slice"));
        owners.extend(slices.iter().filter_map(|name| {
            Some(
                name.strip_prefix("replayrunner-")?
                    .strip_suffix(".slice")?
                    .to_owned(),
            )
        }));
    }
    owners
}

/// Removes every cgroup of the runner `owner`.
pub fn remove(owner: &str) {
    for root in hierarchies() {
        remove_tree(&root.join(PARENT).join(owner));
        remove_tree(
            &root
                .join("replayrunner.slice")
                .join(format!("replayrunner-{owner}.slice")),
        );
    }
}

/// Every process in the cgroup `dir` or below it; none that is dead.
fn members(dir: &Path) -> Vec<Pid> {
    let own = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    let own = own.lines().filter_map(|line| line.parse().ok());
    own.map(Pid::from_raw)
        .chain(children(dir).flat_map(|child| members(&child)))
        .collect()
}

fn hierarchies() -> Vec<PathBuf> {
    let mut roots = vec![PathBuf::from(ROOT)];
    roots.extend(children(Path::new(ROOT)).filter(|dir| dir.join("cgroup.procs").exists()));
    roots
}

fn children(dir: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

fn remove_tree(dir: &Path) {
    if !dir.exists() {
        return;
    }
    for child in children(dir) {
        remove_tree(&child);
    }
    let _ = fs::remove_dir(dir);
}

/// The value of `key` in a flat keyed file.
fn entry(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse().ok())?
    })
}

fn read_u64(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyed_file_is_read_by_the_whole_key() {
        let events = "low 0\noom 3\noom_kill 2\noom_group_kill 1\n";
        for (key, value) in [
            ("oom", Some(3)),
            ("oom_kill", Some(2)),
            ("oom_k", None),
            ("high", None),
        ] {
            assert_eq!(entry(events, key), value, "{key}");
        }
        assert_eq!(entry("oom_kill many\n", "oom_kill"), None);
    }
}
