//! The coordinator's routes that a miner needs, one method each (`WIRE.md` §2).

use protocol::hotkey::{Hotkey, Keypair};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answers::{Claim, Metrics, PeerEvaluation, Submission, Verification, best_metrics};
use super::{Call, Client, ClientError, Id};

/// The most pages of a list that are read: more is no catalog but a trap.
const MOST_PAGES: usize = 50;

impl Client {
    /// The catalog, entry by entry as it is served.
    pub(crate) async fn tasks(&self) -> Result<Vec<Value>, ClientError> {
        self.list("/api/v1/tasks", String::new()).await
    }

    /// One task as it is served.
    pub(crate) async fn task(&self, id: Id) -> Result<Value, ClientError> {
        self.send(Call::get(format!("/api/v1/tasks/{id}")))
            .await?
            .json()
    }

    /// The onboarding page in Markdown.
    pub(crate) async fn onboarding(&self, task: Id) -> Result<String, ClientError> {
        self.send(Call::get(format!("/api/v1/tasks/{task}/onboard.md")))
            .await?
            .text()
    }

    /// The metrics of the best submission, or of the frontier; nobody may be best.
    pub(crate) async fn best(&self, task: Id) -> Result<Vec<Metrics>, ClientError> {
        let call = Call::get(format!("/api/v1/tasks/{task}/best"));
        match self.send(call).await {
            Ok(answer) => Ok(best_metrics(&answer.json()?)),
            Err(error) if error.is_status(404) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Announces a submission.
    pub(crate) async fn claim(
        &self,
        task: Id,
        description: &str,
        signer: &Keypair,
    ) -> Result<Claim, ClientError> {
        let body = json!({"claim_description": description});
        let claim: Claim = self
            .send(Call::post(
                format!("/api/v1/tasks/{task}/claim"),
                &body,
                signer,
            ))
            .await?
            .json()?;
        if claim.task_id != task || claim.miner_hotkey != signer.hotkey() {
            return Err(ClientError::Unexpected {
                what: format!("the claim on {task}"),
                problem: "it is for another task or another hotkey".to_owned(),
            });
        }
        Ok(claim)
    }

    /// Claims, newest first.
    pub(crate) async fn claims(
        &self,
        task: Option<Id>,
        status: Option<&str>,
    ) -> Result<Vec<Value>, ClientError> {
        self.list("/api/v1/claims", filter(task, status)).await
    }

    /// Gives up a claim of one's own.
    pub(crate) async fn cancel_claim(
        &self,
        claim: Id,
        signer: &Keypair,
    ) -> Result<Claim, ClientError> {
        let call = Call::post(format!("/api/v1/claims/{claim}/cancel"), &json!({}), signer);
        self.send(call).await?.json()
    }

    /// Submits. A submission whose answer was lost is found again by its claim,
    /// which takes one submission and no second.
    pub(crate) async fn submit(
        &self,
        body: &Value,
        claim: Id,
        signer: &Keypair,
    ) -> Result<Value, ClientError> {
        let mut attempts_made = 1;
        let sent = self
            .send(Call::post("/api/v1/submissions", body, signer))
            .await
            .inspect(|answer| attempts_made = answer.attempts);
        match sent {
            Ok(answer) => answer.json(),
            Err(error)
                if error.is_status(409) || matches!(error, ClientError::Unavailable { .. }) =>
            {
                match self.submission_of(claim, signer.hotkey()).await {
                    Ok(Some(found)) => Ok(found),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn submission_of(&self, claim: Id, hotkey: Hotkey) -> Result<Option<Value>, ClientError> {
        let first_page = self.send(Call::get("/api/v1/submissions")).await?;
        let rows: Vec<Value> = first_page.json()?;
        Ok(rows.into_iter().find(|row| {
            row["claim_id"] == claim.to_string() && row["miner_hotkey"] == hotkey.to_string()
        }))
    }

    /// One submission with its patch.
    pub(crate) async fn submission(&self, id: Id) -> Result<Submission, ClientError> {
        let found: Submission = self
            .send(Call::get(format!("/api/v1/submissions/{id}")))
            .await?
            .json()?;
        same_id(id, found.id)?;
        Ok(found)
    }

    /// What every validator holds or said of a submission.
    pub(crate) async fn verifications(
        &self,
        submission: Id,
    ) -> Result<Vec<Verification>, ClientError> {
        let query = format!("submission_id={submission}");
        self.list("/api/v1/verifications", query).await
    }

    /// Submissions that wait, oldest first.
    pub(crate) async fn pending(&self, task: Id) -> Result<Vec<Submission>, ClientError> {
        let query = filter(Some(task), Some("pending_verification"));
        let mut found: Vec<Submission> = self.list("/api/v1/submissions", query).await?;
        found.reverse();
        Ok(found)
    }

    /// What peers said of a submission.
    pub(crate) async fn peer_evaluations(
        &self,
        submission: Id,
    ) -> Result<Vec<PeerEvaluation>, ClientError> {
        self.list(
            "/api/v1/peer-evaluations",
            format!("submission_id={submission}"),
        )
        .await
    }

    /// Says what a replay of another miner's submission showed.
    pub(crate) async fn peer_evaluate(
        &self,
        submission: Id,
        status: &str,
        metrics: &Metrics,
        notes: &str,
        signer: &Keypair,
    ) -> Result<Value, ClientError> {
        let body = json!({"status": status, "observed_metrics": metrics, "notes": notes});
        let path = format!("/api/v1/submissions/{submission}/peer-evaluate");
        self.send(Call::post(path, &body, signer)).await?.json()
    }

    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: String,
    ) -> Result<Vec<T>, ClientError> {
        let mut all = Vec::new();
        let mut query = Some(query);
        for _ in 0..MOST_PAGES {
            let Some(page) = query else { return Ok(all) };
            let answer = self.send(Call::get(path).query(page)).await?;
            let rows: Vec<T> = answer.json()?;
            query = answer.next_query.filter(|_| !rows.is_empty());
            all.extend(rows);
        }
        eprintln!("{path}: only the first {MOST_PAGES} pages were read");
        Ok(all)
    }
}

fn filter(task: Option<Id>, status: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(task) = task {
        query.append_pair("task_id", &task.to_string());
    }
    if let Some(status) = status {
        query.append_pair("status", status);
    }
    query.finish()
}

fn same_id(asked: Id, answered: Id) -> Result<(), ClientError> {
    if asked == answered {
        return Ok(());
    }
    Err(ClientError::Unexpected {
        what: format!("the question for {asked}"),
        problem: format!("it is about {answered}"),
    })
}
