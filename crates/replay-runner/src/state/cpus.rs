//! Cores are given out one replay at a time, across all runners of a host, so
//! that a neighbour's benchmark cannot disturb a measurement. Cores from one
//! replay to the next are whole; of those who wait, one at a time looks for free ones.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use super::{StateError, locks_dir};
use crate::sandbox::SandboxUser;

/// How often a waiting replay looks for free cores.
const POLL: Duration = Duration::from_millis(5);

/// The cores that this process may hand out.
#[derive(Debug, Clone)]
pub struct Cores {
    dir: PathBuf,
    ids: Vec<usize>,
}

/// Cores that nobody else uses until this is dropped.
#[derive(Debug)]
pub struct CpuReservation {
    ids: Vec<usize>,
    _locks: Vec<File>,
}

impl CpuReservation {
    /// The set as the engine writes it: `0,3`.
    pub fn cpuset(&self) -> String {
        let ids: Vec<String> = self.ids.iter().map(ToString::to_string).collect();
        ids.join(",")
    }

    /// The user of whoever runs on them: nobody else's while they are held.
    pub fn user(&self) -> SandboxUser {
        SandboxUser::of_core(self.ids.iter().copied().min().unwrap_or(0))
    }
}

impl Cores {
    /// The cores that the kernel lets this process run on.
    pub fn of_this_process() -> Result<Self, StateError> {
        let dir = locks_dir("cpus")?;
        let set = sched_getaffinity(Pid::from_raw(0)).map_err(|errno| StateError::Io {
            path: dir.clone(),
            source: errno.into(),
        })?;
        let ids = (0..CpuSet::count())
            .filter(|id| set.is_set(*id).unwrap_or(false))
            .collect();
        Ok(Self { dir, ids })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ids.len()
    }

    /// Waits until `wanted` cores are free and takes them.
    pub async fn reserve(&self, wanted: u32) -> Result<CpuReservation, StateError> {
        let wanted_count = wanted as usize;
        if wanted_count > self.ids.len() {
            return Err(StateError::Cores {
                wanted,
                available: self.ids.len(),
            });
        }
        // Whoever holds the queue is next; a replay that wants many cores is
        // not overtaken for ever by ones that want few.
        let queue = self.wait_in_queue().await?;
        loop {
            let taken = self.take_free(wanted_count)?;
            if let Some(reservation) = taken {
                drop(queue);
                return Ok(reservation);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn wait_in_queue(&self) -> Result<File, StateError> {
        let path = self.dir.join("queue.lock");
        let file = open_lock(&path)?;
        while file.try_lock().is_err() {
            tokio::time::sleep(POLL).await;
        }
        Ok(file)
    }

    fn take_free(&self, wanted: usize) -> Result<Option<CpuReservation>, StateError> {
        let mut ids = Vec::with_capacity(wanted);
        let mut locks = Vec::with_capacity(wanted);
        for id in &self.ids {
            let file = open_lock(&self.dir.join(format!("{id}.lock")))?;
            if file.try_lock().is_ok() {
                ids.push(*id);
                locks.push(file);
            }
            if ids.len() == wanted {
                return Ok(Some(CpuReservation { ids, _locks: locks }));
            }
        }
        Ok(None)
    }
}

fn open_lock(path: &std::path::Path) -> Result<File, StateError> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(StateError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(dir: &std::path::Path, count: usize) -> Cores {
        Cores {
            dir: dir.to_owned(),
            ids: (0..count).collect(),
        }
    }

    #[tokio::test]
    async fn two_replays_never_share_a_core() {
        let dir = tempfile::tempdir().unwrap();
        let cores = cores(dir.path(), 3);
        let first = cores.reserve(2).await.unwrap();
        let second = cores.reserve(1).await.unwrap();
        assert_eq!(
            (first.cpuset().as_str(), second.cpuset().as_str()),
            ("0,1", "2")
        );
        assert!(cores.take_free(1).unwrap().is_none());
        drop(first);
        assert_eq!(cores.take_free(2).unwrap().unwrap().cpuset(), "0,1");
    }

    #[tokio::test]
    async fn more_cores_than_the_machine_has_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let refused = cores(dir.path(), 2).reserve(3).await.unwrap_err();
        assert_eq!(refused.code(), protocol::Code::SandboxLimitsUnsatisfiable);
    }
}
