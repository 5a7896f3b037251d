//! The attempts that run at the moment.

use std::collections::HashMap;

use tokio::task::{Id, JoinSet};

use super::spool::Spool;

/// The attempts that run, and whose jobs they are.
#[derive(Default)]
pub(super) struct Running {
    attempts: JoinSet<()>,
    jobs: HashMap<Id, String>,
    /// Jobs whose attempt is over, until the spool says so, too.
    over: Vec<String>,
}

impl Running {
    /// Starts an attempt.
    pub(super) fn start(
        &mut self,
        job_id: String,
        attempt: impl Future<Output = ()> + Send + 'static,
    ) {
        let handle = self.attempts.spawn(attempt);
        self.jobs.insert(handle.id(), job_id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }

    /// Notes attempts that are over, without waiting.
    pub(super) fn note_ended(&mut self) {
        while let Some(ended) = self.attempts.try_join_next_with_id() {
            self.note(ended);
        }
    }

    /// Waits for the end of one attempt; false if there is none.
    pub(super) async fn wait_for_one(&mut self) -> bool {
        match self.attempts.join_next_with_id().await {
            Some(ended) => {
                self.note(ended);
                true
            }
            None => false,
        }
    }

    fn note(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "an attempt panicked");
                error.id()
            }
        };
        self.over.extend(self.jobs.remove(&id));
    }

    /// Makes sure that no job is left as running without an attempt.
    pub(super) async fn release(&mut self, spool: &Spool) {
        let mut left = Vec::new();
        for job_id in std::mem::take(&mut self.over) {
            if let Err(error) = spool.release(&job_id).await {
                tracing::error!(job_id, %error, "the spool cannot be written");
                left.push(job_id);
            }
        }
        self.over = left;
    }
}
