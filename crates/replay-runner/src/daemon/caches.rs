//! Keeps the caches within their bounds, least recently used first. What a
//! replay of this daemon uses is never removed.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use protocol::CommitId;
use uuid::Uuid;

use crate::checkout::Source;
use crate::state::State;

/// What other processes may be using is left alone for so long.
const QUIET: Duration = Duration::from_hours(1);

/// The checkouts that running replays use.
#[derive(Debug, Default)]
pub(super) struct InUse(Mutex<HashMap<String, usize>>);

/// A checkout is in use for as long as this lives.
#[derive(Debug)]
pub(super) struct UseGuard {
    in_use: Arc<InUse>,
    names: Vec<String>,
}

impl InUse {
    /// Notes that a replay of `commit` from `source` runs. A reference that is no
    /// commit id protects every tree.
    pub(super) fn hold(self: &Arc<Self>, source: &Source, commit: Option<CommitId>) -> UseGuard {
        let tree = commit.map_or_else(String::new, |commit| commit.to_string());
        let names = vec![source.key(), tree];
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for name in &names {
            *counts.entry(name.clone()).or_default() += 1;
        }
        UseGuard {
            in_use: Arc::clone(self),
            names,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(name)
    }
}

impl Drop for UseGuard {
    fn drop(&mut self) {
        let mut counts = self.in_use.0.lock().unwrap_or_else(PoisonError::into_inner);
        for name in &self.names {
            if let Some(count) = counts.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(name);
                }
            }
        }
    }
}

/// Notes that the trees of `commit` were used now.
pub(super) fn touch_trees(state: &State, commit: CommitId) {
    let prefix = format!("{commit}-");
    let Ok(entries) = fs::read_dir(state.root().join("trees")) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_lock = name
            .to_str()
            .and_then(|name| name.strip_suffix(".lock"))
            .is_some_and(|stem| stem.starts_with(&prefix));
        if is_lock && let Ok(lock) = File::options().write(true).open(entry.path()) {
            // It is a hint for eviction, and nothing else.
            let _ = lock.set_modified(SystemTime::now());
        }
    }
}

/// One mirror or tree on disk.
struct Checkout {
    path: PathBuf,
    lock: PathBuf,
    bytes: u64,
    used: SystemTime,
    /// By which [`InUse`] knows it.
    name: String,
}

/// Removes mirrors and trees until at most `max_bytes` are left, and returns how
/// many bytes there are. `hurry` takes what was used lately, too: the disk is full.
pub(super) fn evict_checkouts(
    state: &State,
    in_use: &InUse,
    max_bytes: u64,
    hurry: bool,
) -> io::Result<u64> {
    let mut found = checkouts(&state.root().join("mirrors"), ".git", |stem| {
        stem.to_owned()
    })?;
    found.extend(checkouts(&state.root().join("trees"), "", |stem| {
        stem.split('-').next().unwrap_or_default().to_owned()
    })?);
    found.sort_by_key(|checkout| checkout.used);
    let mut total: u64 = found.iter().map(|checkout| checkout.bytes).sum();
    for checkout in found {
        if total <= max_bytes {
            break;
        }
        let is_tree = checkout.name.len() == 40;
        let is_held = in_use.has(&checkout.name) || (is_tree && in_use.has(""));
        let is_quiet = checkout.used.elapsed().is_ok_and(|age| age > QUIET);
        if !is_held && (is_quiet || hurry) && remove(&checkout)? {
            total -= checkout.bytes;
        }
    }
    Ok(total)
}

/// The directories of `dir` with this ending, each beside its lock.
fn checkouts(dir: &Path, ending: &str, name: impl Fn(&str) -> String) -> io::Result<Vec<Checkout>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries.flatten() {
        let file_name = entry.file_name();
        let stem = file_name
            .to_str()
            .and_then(|name| name.strip_suffix(ending));
        let Some(stem) = stem.filter(|stem| !stem.starts_with('.')) else {
            continue;
        };
        let lock = dir.join(format!("{stem}.lock"));
        // Without a lock it is not one of ours, or is being made.
        let (true, Ok(meta)) = (entry.path().is_dir(), fs::metadata(&lock)) else {
            continue;
        };
        found.push(Checkout {
            bytes: size_of(&entry.path()),
            path: entry.path(),
            used: meta.modified()?,
            name: name(stem),
            lock,
        });
    }
    Ok(found)
}

/// Removes a checkout under its lock; false if somebody holds it.
fn remove(checkout: &Checkout) -> io::Result<bool> {
    // Opened without truncation: that would count as use.
    let lock = File::options().write(true).open(&checkout.lock)?;
    if lock.try_lock().is_err() {
        return Ok(false);
    }
    let mut aside = checkout.path.as_os_str().to_owned();
    aside.push(format!(".evicted-{}", Uuid::new_v4()));
    // Gone at once for whoever looks; a crash leaves a directory without a lock,
    // which nobody takes for a checkout.
    fs::rename(&checkout.path, &aside)?;
    fs::remove_dir_all(&aside)?;
    Ok(true)
}

/// Bytes on disk below `path`, as far as it can be read.
pub(super) fn size_of(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = fs::read_dir(path) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match fs::symlink_metadata(entry.path()) {
            Ok(meta) if meta.is_dir() => size_of(&entry.path()),
            Ok(meta) => meta.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

/// Free bytes where `path` is, for this user.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    Ok(stat.blocks_available() * stat.fragment_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_with(mirrors: &[(&str, u64)]) -> (tempfile::TempDir, State) {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        for (name, hours) in mirrors {
            let git = state.root().join(format!("mirrors/{name}.git"));
            fs::create_dir_all(&git).unwrap();
            fs::write(git.join("pack"), vec![1; 100_000]).unwrap();
            let lock = File::create(state.root().join(format!("mirrors/{name}.lock"))).unwrap();
            let used = SystemTime::now() - Duration::from_hours(*hours);
            lock.set_modified(used).unwrap();
        }
        (dir, state)
    }

    fn left(state: &State) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(state.root().join("mirrors"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.strip_suffix(".git").is_some())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_least_recently_used_checkouts_go_first_and_fresh_ones_stay() {
        let (_dir, state) = state_with(&[("a", 30), ("b", 50), ("c", 0)]);
        let in_use = InUse::default();
        let total = evict_checkouts(&state, &in_use, 250_000, false).unwrap();
        assert_eq!(left(&state), ["a.git", "c.git"]);
        assert!((200_000..250_000).contains(&total), "{total}");
        evict_checkouts(&state, &in_use, 0, false).unwrap();
        assert_eq!(left(&state), ["c.git"]);
        evict_checkouts(&state, &in_use, 0, true).unwrap();
        assert!(left(&state).is_empty());
    }

    #[test]
    fn what_a_replay_uses_stays_until_it_ends() {
        let source = Source::remote("https://git.example/a.git").unwrap();
        let key = source.key();
        let (_dir, state) = state_with(&[(&key, 30)]);
        let in_use = Arc::new(InUse::default());
        let guards = (in_use.hold(&source, None), in_use.hold(&source, None));
        drop(guards.0);
        evict_checkouts(&state, &in_use, 0, true).unwrap();
        assert_eq!(left(&state).len(), 1);
        drop(guards.1);
        evict_checkouts(&state, &in_use, 0, true).unwrap();
        assert!(left(&state).is_empty());
    }

    #[test]
    fn what_another_process_has_locked_stays() {
        let (_dir, state) = state_with(&[("a", 30)]);
        let lock = File::open(state.root().join("mirrors/a.lock")).unwrap();
        lock.lock().unwrap();
        evict_checkouts(&state, &InUse::default(), 0, true).unwrap();
        assert_eq!(left(&state), ["a.git"]);
    }
}
