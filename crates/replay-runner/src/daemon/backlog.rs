//! The worklist as it is worked off: one job of each task in turn, so that a task
//! with a thousand submissions holds up no other.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::client::WireJob;

/// More tasks than this are not remembered.
const MOST_TASKS: usize = 10_000;

/// Jobs that were offered and not taken yet.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: BTreeMap<String, VecDeque<WireJob>>,
    /// When each task had its last turn, as a running number.
    served: HashMap<String, u64>,
    turns: u64,
}

impl Backlog {
    /// What is offered now, oldest first, replaces what was.
    pub(super) fn replace(&mut self, mut jobs: Vec<WireJob>) {
        self.waiting.clear();
        jobs.sort_by(|a, b| (a.created_at, &a.job_id).cmp(&(b.created_at, &b.job_id)));
        jobs.dedup_by(|a, b| a.job_id == b.job_id);
        for job in jobs {
            self.waiting
                .entry(job.task_id.clone())
                .or_default()
                .push_back(job);
        }
    }

    /// The oldest job of the task that waited longest for a turn.
    pub(super) fn next(&mut self) -> Option<WireJob> {
        let task = self
            .waiting
            .iter()
            .min_by_key(|(task, jobs)| {
                let age = jobs.front().map_or(0, |job| job.created_at);
                (self.served.get(*task).copied().unwrap_or(0), age)
            })
            .map(|(task, _)| task.clone())?;
        let jobs = self.waiting.get_mut(&task)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.waiting.remove(&task);
        }
        self.turns += 1;
        if self.served.len() >= MOST_TASKS {
            self.served.clear();
        }
        self.served.insert(task, self.turns);
        job
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many jobs are left.
    pub(super) fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// When the oldest was submitted, in Unix seconds.
    pub(super) fn oldest(&self) -> Option<u64> {
        let all = self.waiting.values().flatten();
        all.map(|job| job.created_at).filter(|at| *at > 0).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(task: &str, created_at: u64) -> WireJob {
        WireJob {
            job_id: format!("{task}{created_at}"),
            submission_id: String::new(),
            document: String::new(),
            task_id: task.to_owned(),
            created_at,
            lease_expires_at: None,
        }
    }

    fn order(backlog: &mut Backlog) -> Vec<String> {
        std::iter::from_fn(|| backlog.next())
            .map(|job| job.job_id)
            .collect()
    }

    #[test]
    fn tasks_take_turns_and_each_gives_its_oldest_job() {
        let mut backlog = Backlog::default();
        backlog.replace(vec![
            job("a", 3),
            job("a", 1),
            job("a", 2),
            job("b", 9),
            job("c", 4),
        ]);
        assert_eq!(backlog.oldest(), Some(1));
        assert_eq!(order(&mut backlog), ["a1", "c4", "b9", "a2", "a3"]);
    }

    #[test]
    fn a_task_that_had_its_turn_waits_in_the_next_worklist_too() {
        let mut backlog = Backlog::default();
        backlog.replace(vec![job("a", 1)]);
        assert_eq!(order(&mut backlog), ["a1"]);
        backlog.replace(vec![job("a", 2), job("b", 8)]);
        assert_eq!(order(&mut backlog), ["b8", "a2"]);
    }
}
