//! A job of the wire, checked, as a replay that this host is willing to make.
//!
//! The coordinator is not trusted. What it may decide is what to replay, within
//! the bounds of a task and of the operator; never where this host reads or
//! writes, nor what leaves it.

mod bounds;
mod document;
mod pinned;
mod places;

use protocol::spec::Content;
use protocol::task::{Redactor, Task};
use protocol::{Code, ReplaySpec, Sha256Digest};

use crate::artifact::{ArtifactSource, Declared};
use crate::failure::Failure;
use crate::patch::Patch;
use crate::spec::{Request, Submission};

use super::config::{Access, Config};

use document::{Document, Submitted};

/// A job that can be replayed.
#[derive(Debug, Clone)]
pub struct Job {
    /// What to replay.
    pub request: Request,
    /// The spec as the coordinator froze it, if it froze one.
    pub frozen: Option<ReplaySpec>,
    /// The place that the repository comes from: the breaker's name for it.
    pub repository: String,
    /// The host that the artifact comes from.
    pub artifact_host: Option<String>,
    /// What the replay may need at once.
    pub needs: Needs,
    /// Takes secrets out of what leaves this host.
    pub redactor: Redactor,
}

/// What one replay may need at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Whole cores.
    pub cpus: u32,
    /// Bytes of memory, the work tree included.
    pub memory: u64,
    /// Bytes of disk for what it fetches.
    pub disk: u64,
}

impl Job {
    /// Reads the job `text` under the operator's `config`.
    ///
    /// # Errors
    /// The outcome to report: `coordinator.protocol` for what no coordinator
    /// should send, `spec.invalid` for a task that is wrong,
    /// `sandbox.limits_unsatisfiable` for one that asks for too much, and what a
    /// submission without any content deserves.
    pub fn read(text: &str, config: &Config) -> Result<Self, Failure> {
        let Document {
            mut task,
            base_ref,
            frozen,
            submitted,
            has_limits,
        } = Document::read(text)?;
        if let Some(frozen) = &frozen {
            pinned::apply(frozen, &mut task)?;
        }
        let base_ref = frozen
            .as_ref()
            .map(|spec| spec.base_commit.to_string())
            .or(base_ref);
        let has_limits = has_limits || frozen.is_some();
        bounds::apply(&config.bounds, has_limits, &mut task)?;
        task.validator_benchmark_env
            .extend(config.benchmark_env.clone());
        if task.image.is_none() {
            task.image.clone_from(&config.bounds.image);
        }
        let redactor = Redactor::of(&task);
        let source = places::repository(&task, &config.access)?;
        for file in task
            .private_inputs
            .iter_mut()
            .chain(&mut task.baseline_artifact)
        {
            file.uri = places::local(&file.uri, &config.access);
        }
        let submission = submission(&submitted, frozen.as_ref(), &config.access)?;
        let needs = needs(&task, &submission);
        Ok(Self {
            repository: task.repository.clone().unwrap_or_default(),
            artifact_host: host_of(submitted.artifact_uri.as_deref()),
            request: Request {
                task,
                // Nothing is relative to anything here.
                directory: std::path::PathBuf::new(),
                repository: Some(source),
                base_ref,
                submission,
            },
            frozen,
            needs,
            redactor,
        })
    }

    /// What makes this replay what it is, once `image` is known: two jobs with
    /// the same key have the same answer. `None` where two replays of the same
    /// thing need not agree, or where the coordinator froze nothing.
    pub fn content_key(&self, image: &str) -> Option<String> {
        let spec = self.frozen.as_ref()?;
        let measured = |name: &str| {
            name.starts_with("supervisor.")
                && !matches!(name, "supervisor.artifact_bytes" | "supervisor.patch_bytes")
        };
        if spec.metrics.iter().any(|metric| measured(&metric.name)) || spec.repeats > 1 {
            return None;
        }
        let env = serde_json::to_string(&self.request.task.validator_benchmark_env).ok()?;
        let text = format!("{}\n{image}\n{env}", spec.digest());
        Some(Sha256Digest::of(text.as_bytes()).to_string())
    }
}

fn protocol(message: impl Into<String>) -> Failure {
    Failure::new(Code::CoordinatorProtocol, message)
}

fn submission(
    submitted: &Submitted,
    frozen: Option<&ReplaySpec>,
    access: &Access,
) -> Result<Submission, Failure> {
    let patch = submitted
        .patch
        .as_deref()
        .map(|text| Patch::new(text.as_bytes()));
    let artifact = match &submitted.artifact_uri {
        None => None,
        Some(uri) => {
            let source = ArtifactSource::parse(&places::local(uri, access))?;
            let declared = Declared::parse(
                submitted.artifact_sha256.as_deref(),
                submitted.artifact_size_bytes.as_deref(),
            )?;
            Some((source, declared))
        }
    };
    if patch.is_none() && artifact.is_none() {
        let message = "the submission has neither a patch nor an artifact";
        return Err(Failure::new(Code::ArtifactMissing, message));
    }
    if let Some(frozen) = frozen {
        let declared = artifact.as_ref().and_then(|(_, declared)| {
            Some(Content {
                sha256: declared.sha256?,
                size_bytes: declared.size_bytes?,
            })
        });
        if patch.as_ref().map(Patch::content) != frozen.patch {
            return Err(protocol("the patch is not the one of the job's spec"));
        }
        if declared != frozen.artifact {
            return Err(protocol("the artifact is not the one of the job's spec"));
        }
    }
    Ok(Submission {
        patch,
        artifact,
        artifact_uri: submitted
            .artifact_uri
            .clone()
            .filter(|uri| uri.starts_with("https://")),
    })
}

fn needs(task: &Task, submission: &Submission) -> Needs {
    let artifact = submission
        .artifact
        .as_ref()
        .and_then(|(_, declared)| declared.size_bytes)
        .unwrap_or(0)
        .min(task.artifact.max_bytes.get());
    let files = task.private_inputs.iter().chain(&task.baseline_artifact);
    let files = files.filter_map(|file| file.size_bytes);
    Needs {
        cpus: task.limits.cpus,
        memory: task
            .limits
            .memory
            .get()
            .saturating_add(task.limits.workspace.get()),
        disk: files.fold(artifact, u64::saturating_add),
    }
}

fn host_of(uri: Option<&str>) -> Option<String> {
    let url = url::Url::parse(uri?).ok()?;
    url.host_str().map(str::to_owned)
}
