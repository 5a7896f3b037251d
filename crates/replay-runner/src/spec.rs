//! From a task and a submission to a spec in which nothing can move.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use protocol::spec::{Commands, Content, Metric, PatchRules, PrivateInput};
use protocol::task::{TaskFile, env_problem};
use protocol::{Code, CommitId, ReplaySpec, Task, TreeId};
use tracing::{Instrument as _, debug_span};

use crate::artifact::{ArtifactError, ArtifactSource, Declared, VerifiedArtifact, Watch};
use crate::checkout::Source;
use crate::engine::Image;
use crate::failure::Failure;
use crate::host::Host;
use crate::patch::{Patch, PatchGate, PatchedTree};
use crate::progress::{Event, Progress};

/// The image of tasks that name none.
pub const DEFAULT_IMAGE: &str = "replay-sandbox/python:1";

/// What a miner brings.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// The patch, if there is one.
    pub patch: Option<Patch>,
    /// Where the artifact is and what it is declared to be, if there is one.
    pub artifact: Option<(ArtifactSource, Declared)>,
    /// The artifact's address, which the benchmark may see; never a path of this host.
    pub artifact_uri: Option<String>,
}

/// One replay as it is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The task.
    pub task: Task,
    /// The directory against which the task's relative paths are resolved.
    pub directory: PathBuf,
    /// Where the repository is, if not where the task says.
    pub repository: Option<Source>,
    /// The commit, branch or tag, if not the one that the task says.
    pub base_ref: Option<String>,
    /// What to judge; empty for the baseline itself.
    pub submission: Submission,
}

/// A spec with everything that it names at hand.
pub(crate) struct Prepared {
    pub(crate) spec: ReplaySpec,
    pub(crate) source: Source,
    pub(crate) image: Image,
    /// The base with the patch on it, after the gate.
    pub(crate) patched: PatchedTree,
    pub(crate) artifact: Option<VerifiedArtifact>,
    pub(crate) baseline_artifact: Option<VerifiedArtifact>,
    pub(crate) private_inputs: Vec<(String, VerifiedArtifact)>,
    pub(crate) requires_artifact: bool,
}

impl Prepared {
    /// Whether the task runs with an artifact only and declares none for its
    /// baseline.
    pub(crate) fn needs_missing_artifact(&self) -> bool {
        self.requires_artifact && self.baseline_artifact.is_none()
    }
}

impl Request {
    /// The repository to check out.
    fn source(&self) -> Result<Source, Failure> {
        let source = match (&self.repository, &self.task.repository) {
            (Some(source), _) => source.clone(),
            (None, Some(text)) => Source::parse(text, &self.directory)?,
            (None, None) => Source::parse(".", &self.directory)?,
        };
        Ok(source.without(self.local_task_files()))
    }

    /// The files on this host that the task's owner brings. They may lie beside
    /// the code, and are for the scorer's eyes, or at another place.
    fn local_task_files(&self) -> Vec<PathBuf> {
        let task = &self.task;
        task.private_inputs
            .iter()
            .chain(&task.baseline_artifact)
            .filter(|file| !file.uri.contains("://"))
            .map(|file| self.directory.join(&file.uri))
            .collect()
    }

    /// Resolves everything that could move.
    pub(crate) async fn prepare(
        &self,
        host: &Host,
        watch: &Watch,
        progress: &dyn Progress,
        partial: &mut PartialSpec,
    ) -> Result<Prepared, Failure> {
        self.check()?;
        host.check_limits(&self.task.limits)?;
        let source = self.source()?;
        progress.event(Event::Step("checkout"));
        let commit = async {
            let commit = self
                .resolve(host, source.clone())
                .instrument(debug_span!("resolve"))
                .await?;
            partial.base_commit = Some(commit);
            progress.event(Event::Step("image"));
            Ok(commit)
        };
        let image = async {
            let image = self
                .image(host, progress)
                .instrument(debug_span!("image"))
                .await?;
            partial.image = Some(image.id.clone());
            Ok::<_, Failure>(image)
        };
        let (base_commit, image) = tokio::try_join!(commit, image)?;
        progress.event(Event::Step("inputs"));
        let private_inputs = self
            .private_inputs(host, watch)
            .instrument(debug_span!("private_inputs"))
            .await?;
        let baseline_artifact = match &self.task.baseline_artifact {
            Some(file) => Some(self.task_file(&host.artifacts, file, watch).await?),
            None => None,
        };
        let mut spec = self.spec(
            base_commit,
            &image,
            &private_inputs,
            baseline_artifact.as_ref(),
        );
        partial.spec = Some(spec.clone());
        // Before anything of the submission is fetched: an address that does not
        // answer must not excuse a patch that is refused.
        progress.event(Event::Step("patch"));
        let patched = self.review(host, &source, &spec).await?;
        partial.patched_tree = Some(patched.id());
        progress.event(Event::Step("artifact"));
        let artifact = self
            .artifact(host, watch, &spec, baseline_artifact.as_ref())
            .instrument(debug_span!("artifact"))
            .await?;
        spec.artifact = artifact.as_ref().map(content);
        Ok(Prepared {
            spec,
            source,
            image,
            patched,
            artifact,
            baseline_artifact,
            private_inputs,
            requires_artifact: self.task.requires_artifact(),
        })
    }

    fn check(&self) -> Result<(), Failure> {
        let invalid = |message: String| Failure::new(Code::SpecInvalid, message);
        let problems = self.task.problems();
        if !problems.is_empty() {
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            return Err(invalid(texts.join("; ")));
        }
        for (name, value) in &self.task.validator_benchmark_env {
            if let Some(problem) = env_problem(name, value) {
                return Err(invalid(format!("environment variable {name:?}: {problem}")));
            }
        }
        Ok(())
    }

    async fn resolve(&self, host: &Host, source: Source) -> Result<CommitId, Failure> {
        let mirrors = host.mirrors.clone();
        let reference = self.base_ref.clone().or_else(|| self.task.base_ref.clone());
        blocking(move || Ok(mirrors.resolve(&source, reference.as_deref())?)).await
    }

    /// Passes the patch through the gate. Git is blocking work. A patch that our
    /// own parser does not survive is the miner's doing, not this host's.
    async fn review(
        &self,
        host: &Host,
        source: &Source,
        spec: &ReplaySpec,
    ) -> Result<PatchedTree, Failure> {
        let mirrors = host.mirrors.clone();
        let (source, spec) = (source.clone(), spec.clone());
        let patch = self.submission.patch.clone();
        blocking(move || {
            let base =
                debug_span!("pinned").in_scope(|| mirrors.pinned(&source, spec.base_commit))?;
            let _span = debug_span!("gate").entered();
            let Some(patch) = &patch else {
                return Ok(PatchedTree::unpatched(&base));
            };
            let gate = PatchGate::new(&spec.patch_rules)?;
            match std::panic::catch_unwind(AssertUnwindSafe(|| gate.review(&base, patch))) {
                Ok(reviewed) => Ok(reviewed?),
                Err(_) => Err(Failure::new(
                    Code::PatchUnparseable,
                    "the patch cannot be read",
                )),
            }
        })
        .await
    }

    async fn image(&self, host: &Host, progress: &dyn Progress) -> Result<Image, Failure> {
        let reference = self.task.image.as_deref().unwrap_or(DEFAULT_IMAGE);
        let told = |done: u64, total: u64| {
            progress.event(Event::Bytes {
                done,
                total: (total > 0).then_some(total),
            });
        };
        Ok(host.engine.image(reference, &told).await?)
    }

    async fn private_inputs(
        &self,
        host: &Host,
        watch: &Watch,
    ) -> Result<Vec<(String, VerifiedArtifact)>, Failure> {
        let mut inputs = Vec::new();
        for file in &self.task.private_inputs {
            let verified = self.task_file(&host.private_inputs, file, watch).await?;
            inputs.push((file.name.clone(), verified));
        }
        Ok(inputs)
    }

    /// A file that the task's owner brings. Whatever is wrong with it is not
    /// the submission's fault.
    async fn task_file(
        &self,
        cache: &crate::artifact::Artifacts,
        file: &TaskFile,
        watch: &Watch,
    ) -> Result<VerifiedArtifact, Failure> {
        let the_owners = |error: ArtifactError| {
            let code = match error.code() {
                Code::ArtifactUnavailable => Code::CheckoutFetchFailed,
                code if code.as_str().starts_with("artifact.") => Code::SpecInvalid,
                code => code,
            };
            Failure::new(code, format!("task file {:?}: {error}", file.name))
        };
        let source = if file.uri.contains("://") {
            ArtifactSource::parse(&file.uri).map_err(the_owners)?
        } else {
            ArtifactSource::local(self.directory.join(&file.uri))
        };
        let declared = Declared {
            sha256: file.sha256,
            size_bytes: file.size_bytes,
        };
        cache
            .verify(&source, declared, LARGEST_TASK_FILE, watch)
            .await
            .map_err(the_owners)
    }

    async fn artifact(
        &self,
        host: &Host,
        watch: &Watch,
        spec: &ReplaySpec,
        baseline: Option<&VerifiedArtifact>,
    ) -> Result<Option<VerifiedArtifact>, Failure> {
        if let Some((source, declared)) = &self.submission.artifact {
            let max = self.task.artifact.max_bytes.get();
            return Ok(Some(
                host.artifacts.verify(source, *declared, max, watch).await?,
            ));
        }
        let is_baseline = spec.patch.is_none();
        if self.task.requires_artifact() && !is_baseline {
            return Err(Failure::new(
                Code::ArtifactMissing,
                "the task requires an artifact and none was submitted",
            ));
        }
        Ok(baseline.cloned())
    }

    fn spec(
        &self,
        base_commit: CommitId,
        image: &Image,
        private_inputs: &[(String, VerifiedArtifact)],
        baseline_artifact: Option<&VerifiedArtifact>,
    ) -> ReplaySpec {
        let task = &self.task;
        let declared = self.submission.artifact.as_ref().and_then(|(_, declared)| {
            Some(Content {
                sha256: declared.sha256?,
                size_bytes: declared.size_bytes?,
            })
        });
        let public_url = task.repository.clone().filter(|text| text.contains("://"));
        ReplaySpec {
            spec_version: ReplaySpec::VERSION,
            repository: public_url.unwrap_or_default(),
            base_commit,
            patch: self.submission.patch.as_ref().map(Patch::content),
            artifact: declared,
            baseline_artifact: baseline_artifact.map(content),
            private_inputs: private_inputs
                .iter()
                .map(|(name, file)| PrivateInput {
                    name: name.clone(),
                    content: content(file),
                })
                .collect(),
            image: image.id.clone(),
            commands: Commands {
                setup: task.setup_command.clone(),
                benchmark: task.benchmark_command.clone(),
                score: task.score_command.clone(),
            },
            env: task.validator_benchmark_env.clone(),
            patch_rules: PatchRules {
                allowed_paths: task.allowed_patch_paths.clone(),
                protected_paths: task.protected_paths.clone(),
                max_bytes: task.max_patch_bytes,
                max_files: task.max_patch_files,
                max_decoded_bytes: task.max_decoded_bytes,
                allow_binary: task.allow_binary_patch,
                allow_executable: task.allow_executable,
            },
            result_path: task.result_path.clone(),
            outputs: task.outputs.clone(),
            metrics: metrics(task),
            tolerance: task.metric_tolerance.clone(),
            repeats: task.repeats,
            time_budget_seconds: task.time_budget_seconds,
            setup_network: task.setup_network,
            limits: task.limits.clone(),
        }
    }
}

/// What is known of a spec when preparing it fails.
#[derive(Debug, Default)]
pub(crate) struct PartialSpec {
    pub(crate) base_commit: Option<CommitId>,
    pub(crate) image: Option<String>,
    pub(crate) spec: Option<ReplaySpec>,
    pub(crate) patched_tree: Option<TreeId>,
}

/// Larger than any private input or baseline that a host should be asked to keep.
const LARGEST_TASK_FILE: u64 = 64 << 30;

fn metrics(task: &Task) -> Vec<Metric> {
    let first = Metric {
        name: task.metric_name.clone(),
        direction: task.metric_direction,
        range: task.metric_range.clone(),
    };
    let second = task.secondary_metric_name.clone().map(|name| Metric {
        name,
        direction: task
            .secondary_metric_direction
            .unwrap_or(task.metric_direction),
        range: task.secondary_metric_range.clone(),
    });
    std::iter::once(first).chain(second).collect()
}

fn content(file: &VerifiedArtifact) -> Content {
    Content {
        sha256: file.sha256(),
        size_bytes: file.size_bytes(),
    }
}

/// Runs blocking work, such as git's, away from the reactor.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(result) => result,
        Err(panic) => {
            tracing::error!(%panic, "blocking work panicked");
            Err(Failure::new(
                Code::Internal,
                "a step of the engine panicked; see its log",
            ))
        }
    }
}

/// The directory of private inputs that a deciding stage sees: readable copies
/// with a manifest, in a directory that nobody else can enter.
pub(crate) fn lay_out_private(
    dir: &Path,
    inputs: &[(String, VerifiedArtifact)],
) -> std::io::Result<()> {
    std::fs::create_dir(dir)?;
    let mut manifest = Vec::new();
    for (name, file) in inputs {
        let target = dir.join(name);
        std::fs::copy(file.path(), &target)?;
        std::fs::set_permissions(&target, std::os::unix::fs::PermissionsExt::from_mode(0o444))?;
        manifest.push(serde_json::json!({
            "name": name,
            "path": format!("{}/{name}", crate::sandbox::PRIVATE),
            "sha256": file.sha256(),
            "size_bytes": file.size_bytes(),
        }));
    }
    let text = serde_json::Value::Array(manifest).to_string();
    crate::readable::write_readable(&dir.join("manifest.json"), text.as_bytes())
}
