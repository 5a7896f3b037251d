//! Talks to a coordinator that is not trusted: every answer is bounded in bytes
//! and in time, and read field by field.

mod answers;
mod error;
mod transport;

use protocol::hotkey::Keypair;
use serde_json::json;

pub use answers::{JobStatus, RowView, WireJob, Work};
pub use error::{ClientError, Trouble};
pub use transport::Transport;

use super::config::{CLAIM_PATH, Config};

/// No answer but a worklist has more.
const SMALL: usize = 4 << 20;
/// A worklist, or a job with the largest patch that a task can allow, escaped.
const LARGE: usize = 80 << 20;
/// Jobs that are asked for at once.
const WORKLIST: u64 = 32;

/// A coordinator, as one validator sees it.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    work_path: String,
    task_id: Option<String>,
}

/// What a heartbeat brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beat {
    /// The job is still wanted. With the lease's end as the coordinator told it.
    Wanted(Option<String>),
    /// It is not: why.
    Lost(String),
    /// This coordinator has no heartbeats, or no lease of this job.
    Unknown,
}

impl Client {
    /// A client of the coordinator of `config`, signing with `keypair`.
    pub fn new(config: &Config, keypair: Keypair) -> Result<Self, ClientError> {
        Ok(Self {
            transport: Transport::new(&config.coordinator, config.request_timeout, keypair)?,
            work_path: config.work_path.clone(),
            task_id: config.task_id.clone(),
        })
    }

    /// The address of the signer.
    pub fn hotkey(&self) -> String {
        self.transport.hotkey()
    }

    /// Asks for work. Without any there is an empty list.
    pub async fn work(&self) -> Result<Work, ClientError> {
        let mut body = json!({"limit": WORKLIST});
        if let Some(id) = &self.task_id {
            body["task_id"] = json!(id);
        }
        match self
            .transport
            .post(&self.work_path, body.to_string(), LARGE)
            .await
        {
            Ok(answer) => answers::work(&answer),
            Err(error) if error.is_no_work() => Ok(Work::List(Vec::new())),
            Err(error) => Err(error),
        }
    }

    /// Leases the job of one submission: `None` if others have taken it.
    pub async fn lease(&self, submission_id: &str) -> Result<Option<WireJob>, ClientError> {
        let body = json!({"submission_id": submission_id});
        match self
            .transport
            .post(CLAIM_PATH, body.to_string(), LARGE)
            .await
        {
            Ok(answer) => Ok(match answers::work(&answer)? {
                Work::One(job) => Some(*job),
                Work::List(jobs) => jobs.into_iter().next(),
            }),
            Err(error) if error.is_no_work() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether asking for work leases it, so that a lost answer leaves a lease that
    /// nobody works on.
    pub fn leases_by_asking(&self) -> bool {
        self.work_path == CLAIM_PATH
    }

    /// What the coordinator says that this validator holds: jobs and their
    /// submissions.
    pub async fn held(&self) -> Result<Vec<(String, String)>, ClientError> {
        let path = "/api/v1/verifications";
        let answer = self.transport.get(path, "status=leased", LARGE).await?;
        answers::held(&answer, &self.hotkey())
    }

    /// Says that a job is being worked on.
    pub async fn heartbeat(&self, job_id: &str) -> Result<Beat, ClientError> {
        let path = format!("/api/v1/validator/jobs/{job_id}/heartbeat");
        match self.transport.post(&path, "{}".to_owned(), SMALL).await {
            Ok(answer) => Ok(Beat::Wanted(answers::lease_end(&answer))),
            Err(ClientError::Refused {
                status: 409,
                detail,
                ..
            }) => Ok(Beat::Lost(detail)),
            // No such route, or no lease to keep: whether the submission still
            // waits can be asked.
            Err(ClientError::Refused {
                status: 404 | 405, ..
            }) => Ok(Beat::Unknown),
            Err(error) => Err(error),
        }
    }

    /// Whether a submission still waits for validators.
    pub async fn is_pending(&self, submission_id: &str) -> Result<bool, ClientError> {
        let path = format!("/api/v1/submissions/{submission_id}");
        match self.transport.get(&path, "", LARGE).await {
            Ok(answer) => answers::is_pending(&answer),
            Err(ClientError::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Posts a result; the answer is the job's row.
    pub async fn post_result(&self, job_id: &str, body: String) -> Result<RowView, ClientError> {
        let path = format!("/api/v1/validator/jobs/{job_id}/result");
        answers::row(&self.transport.post(&path, body, LARGE).await?)
    }

    /// The row of a job, if the coordinator has one: for an answer that was lost.
    pub async fn row(
        &self,
        job_id: &str,
        submission_id: &str,
    ) -> Result<Option<RowView>, ClientError> {
        let query = format!("submission_id={submission_id}");
        let answer = self
            .transport
            .get("/api/v1/verifications", &query, LARGE)
            .await?;
        Ok(answers::rows(&answer)?
            .into_iter()
            .find(|row| row.id == job_id))
    }

    /// The id of the task with this slug.
    pub async fn task_by_slug(&self, slug: &str) -> Result<Option<String>, ClientError> {
        let answer = self.transport.get("/api/v1/tasks", "", LARGE).await?;
        answers::task_by_slug(&answer, slug)
    }

    /// The same client, asking for the work of one task alone.
    #[must_use]
    pub fn for_task(self, task_id: String) -> Self {
        Self {
            task_id: Some(task_id),
            ..self
        }
    }
}
