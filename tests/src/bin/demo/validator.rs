//! The validator of the demo: leases a job, replays it with the real engine,
//! posts what was observed with a signed receipt.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use protocol::hotkey::Keypair;
use protocol::{Report, Sha256Digest};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use system_tests::runner::Runner;

use crate::client::Client;

/// The seed of its hotkey; the engine's own key is bound to that.
fn seed() -> Sha256Digest {
    Sha256Digest::of(b"validator")
}

/// One validator, who may replay several jobs at once.
pub(crate) struct Validator {
    key: Keypair,
    runner: Runner,
    place: PathBuf,
}

/// A replay that was posted, and what the coordinator says of it now.
pub(crate) struct Done {
    pub(crate) submission_id: String,
    pub(crate) report: Report,
    pub(crate) decision: String,
}

/// What is posted. The report's numbers keep their digits.
#[derive(Serialize)]
struct Posted<'a> {
    submission_id: &'a str,
    status: protocol::Status,
    outcome_code: protocol::Code,
    fault: Option<protocol::Fault>,
    observed_metrics: &'a std::collections::BTreeMap<String, protocol::Decimal>,
    notes: &'a str,
    replay_log: String,
    spec_digest: Option<Sha256Digest>,
    image: Option<&'a str>,
    patched_tree: Option<protocol::TreeId>,
    receipt: Option<Box<RawValue>>,
}

impl Validator {
    pub(crate) fn key() -> Keypair {
        Keypair::from_seed(seed().as_bytes())
    }

    /// Lets the validator's hotkey vouch for the engine's key, once.
    pub(crate) fn new(runner: Runner, state: &Path, place: PathBuf) -> Result<Self> {
        fs::create_dir_all(&place)?;
        let hotkey = place.join("hotkey");
        fs::write(
            &hotkey,
            json!({"secretSeed": seed().to_string()}).to_string(),
        )?;
        let bound = Command::new(runner.binary())
            .args(["key", "--bind"])
            .arg(&hotkey)
            .arg("--state")
            .arg(state)
            .output()?;
        let errors = String::from_utf8_lossy(&bound.stderr);
        ensure!(bound.status.success(), "the key is not bound: {errors}");
        Ok(Self {
            key: Self::key(),
            runner,
            place,
        })
    }

    /// Replays one job; `None` if there is none.
    pub(crate) fn work(&self, client: &Client) -> Result<Option<Done>> {
        let leased = client.post(&self.key, "/api/v1/validator/jobs/claim", "{}".to_owned())?;
        if leased.status == 404 {
            return Ok(None);
        }
        let job = leased.success()?;
        let text = |name: &str| {
            let value = job[name].as_str().map(str::to_owned);
            value.with_context(|| format!("the job has no {name}"))
        };
        let (job_id, submission_id) = (text("job_id")?, text("submission_id")?);
        let place = self.place.join(&job_id);
        fs::create_dir_all(&place)?;
        let report = self.runner.replay_with(&arguments(&job, &place)?)?;
        let body = posted(&submission_id, &report, &place)?;
        let path = format!("/api/v1/validator/jobs/{job_id}/result");
        client.post(&self.key, &path, body)?.success()?;
        let now = client.get(&format!("/api/v1/submissions/{submission_id}"))?;
        Ok(Some(Done {
            decision: now["status"].as_str().unwrap_or_default().to_owned(),
            submission_id,
            report,
        }))
    }
}

/// Writes the job's files into `place`; the arguments that replay them.
fn arguments(job: &Value, place: &Path) -> Result<Vec<OsString>> {
    let submission = &job["submission"];
    let spec = &job["replay_spec"];
    let task = place.join("task.json");
    fs::write(&task, task_file(spec)?.to_string())?;
    let mut arguments: Vec<OsString> = vec![task.into()];
    let mut add = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    let commit = spec["base_commit_sha"].as_str().context("no base commit")?;
    add("--base-ref", commit.into());
    add("--receipt", receipt_in(place).into());
    if let Some(patch) = submission["patch"].as_str().filter(|text| !text.is_empty()) {
        let file = place.join("patch.diff");
        fs::write(&file, patch)?;
        add("--patch", file.into());
    }
    if let Some(uri) = submission["artifact_uri"].as_str() {
        add("--artifact", local(uri).into());
        let digest = submission["artifact_sha256"].as_str();
        add("--artifact-sha256", digest.unwrap_or_default().into());
        let size = submission["artifact_size_bytes"].to_string();
        add("--artifact-size", size.into());
    }
    Ok(arguments)
}

/// The rules of a job as a task file.
fn task_file(spec: &Value) -> Result<Value> {
    let mut task = spec.clone();
    let fields = task.as_object_mut().context("the rules are no object")?;
    fields.remove("base_commit_sha");
    fields.retain(|_, value| !value.is_null());
    fields.insert("slug".to_owned(), json!("job"));
    for file in fields
        .iter_mut()
        .filter(|(name, _)| matches!(name.as_str(), "private_inputs" | "baseline_artifact"))
        .flat_map(|(_, value)| match value {
            Value::Array(list) => list.iter_mut().collect(),
            one => vec![one],
        })
    {
        let uri = file["uri"].as_str().context("a file has no uri")?;
        file["uri"] = json!(local(uri));
    }
    Ok(task)
}

fn local(uri: &str) -> String {
    uri.strip_prefix("file://").unwrap_or(uri).to_owned()
}

fn receipt_in(place: &Path) -> PathBuf {
    place.join("receipt.json")
}

fn posted(submission_id: &str, report: &Report, place: &Path) -> Result<String> {
    let receipt = match fs::read_to_string(receipt_in(place)) {
        Ok(text) => Some(RawValue::from_string(text.trim().to_owned())?),
        // A replay whose spec could not be pinned has none.
        Err(_) => None,
    };
    let output = report.stages.iter().map(|stage| {
        let text = stage.output.trim_end();
        format!("--- {}, pass {}\n{text}\n", stage.name, stage.pass)
    });
    Ok(serde_json::to_string(&Posted {
        submission_id,
        status: report.status,
        outcome_code: report.code,
        fault: report.fault,
        observed_metrics: &report.observed_metrics,
        notes: &report.message,
        replay_log: output.collect(),
        spec_digest: report.spec_digest,
        image: report.image.as_deref(),
        patched_tree: report.patched_tree,
        receipt,
    })?)
}
