//! Admission: how many replays run at once follows from what they need and what
//! this host has.

use std::sync::{Arc, Mutex, PoisonError};

use super::job::Needs;

/// What this host gives to replays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capacity {
    /// The most replays at once.
    pub(super) slots: usize,
    /// Whole cores.
    pub(super) cpus: u32,
    /// Bytes of memory.
    pub(super) memory: u64,
}

/// Hands out the capacity.
#[derive(Debug)]
pub(super) struct Budget {
    capacity: Capacity,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    slots: usize,
    cpus: u32,
    memory: u64,
}

/// A share of the capacity, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    needs: Needs,
}

impl Budget {
    /// A budget of which nothing is used.
    pub(super) fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            used: Mutex::default(),
        }
    }

    /// Takes what `needs` says, if there is room. One replay always has room when
    /// there is no other: whether the host can hold it at all, the engine says.
    pub(super) fn take(self: &Arc<Self>, needs: Needs) -> Option<Share> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let cpus = used.cpus.saturating_add(needs.cpus);
        let memory = used.memory.saturating_add(needs.memory);
        let fits = used.slots < self.capacity.slots
            && cpus <= self.capacity.cpus
            && memory <= self.capacity.memory;
        if used.slots > 0 && !fits {
            return None;
        }
        *used = Used {
            slots: used.slots + 1,
            cpus,
            memory,
        };
        Some(Share {
            budget: Arc::clone(self),
            needs,
        })
    }

    /// How many replays have a share.
    pub(super) fn busy(&self) -> usize {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .slots
    }

    /// How many more could have one.
    pub(super) fn free_slots(&self) -> usize {
        self.capacity.slots.saturating_sub(self.busy())
    }

    /// What there is in all.
    pub(super) fn capacity(&self) -> Capacity {
        self.capacity
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut used = self
            .budget
            .used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        used.slots = used.slots.saturating_sub(1);
        used.cpus = used.cpus.saturating_sub(self.needs.cpus);
        used.memory = used.memory.saturating_sub(self.needs.memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(slots: usize) -> Arc<Budget> {
        Arc::new(Budget::new(Capacity {
            slots,
            cpus: 4,
            memory: 100,
        }))
    }

    fn needs(cpus: u32, memory: u64) -> Needs {
        Needs {
            cpus,
            memory,
            disk: 0,
        }
    }

    #[test]
    fn replays_run_together_while_slots_cores_and_memory_last() {
        for (second, fits) in [
            (needs(2, 50), true),
            (needs(3, 1), false),
            (needs(1, 51), false),
        ] {
            let budget = budget(2);
            let _first = budget.take(needs(2, 50)).unwrap();
            assert_eq!(budget.take(second).is_some(), fits, "{second:?}");
        }
        let budget = budget(1);
        let first = budget.take(needs(1, 1));
        assert!(budget.take(needs(1, 1)).is_none());
        drop(first);
        assert!(budget.take(needs(1, 1)).is_some());
    }

    #[test]
    fn a_replay_that_needs_more_than_there_is_runs_alone() {
        let budget = budget(4);
        let giant = budget.take(needs(9, 900)).unwrap();
        assert!(budget.take(needs(1, 1)).is_none());
        drop(giant);
        let _small = budget.take(needs(1, 1)).unwrap();
        assert!(budget.take(needs(9, 900)).is_none());
    }
}
