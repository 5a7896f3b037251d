//! A replay from beginning to end: the only file that knows the whole order.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use protocol::outcome::Control;
use protocol::report::{Report, Spread, Timing};
use protocol::{Code, Decimal, Outcome, ReplaySpec, Sha256Digest, TreeId};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span};

use crate::artifact::{VerifiedArtifact, Watch};
use crate::control::{ControlCache, ControlRecord};
use crate::failure::Failure;
use crate::host::Host;
use crate::metrics::Samples;
use crate::patch::{PatchGate, PatchedTree};
use crate::progress::{Event, Progress};
use crate::sandbox::{Network, Sandbox};
use crate::spec::{PartialSpec, Prepared, Request, blocking, lay_out_private};
use crate::stages::{ARTIFACT_PATH, Pass, REJECTION_MARKER, SetUp, Side, Stages, seconds};
use crate::tree::{Pristine, Protected};
use crate::workspace::{Scratch, WorkspaceError};

/// A ratio needs at least so many pairs of runs.
const FEWEST_PAIRS: u32 = 2;

/// A replay that has ended.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// What was observed.
    pub report: Report,
    /// What was replayed; `None` if it could not be pinned.
    pub spec: Option<ReplaySpec>,
}

/// Replays `request` on `host`. There is always a report; cancelling gives one
/// with code `cancelled`, after the sandbox is gone.
pub async fn replay(
    host: &Host,
    request: &Request,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Replayed {
    let started = Instant::now();
    let mut seen = Observed::default();
    let result = observe(host, request, progress, cancel, &mut seen).instrument(debug_span!("replay")).await;
    let (outcome, message, metrics) = match result {
        Ok(metrics) => (Outcome::of(Code::Ok, None), "replayed to the end".to_owned(), metrics),
        Err(failure) => (Outcome::of(failure.code, failure.control), failure.message, BTreeMap::new()),
    };
    let total = started.elapsed().as_secs_f64();
    let inside: f64 = seen.stages.iter().map(|stage| stage.wall_seconds).sum();
    let report = Report {
        status: outcome.status,
        code: outcome.code,
        message,
        fault: outcome.fault,
        observed_metrics: metrics,
        spread: seen.spread,
        spec_digest: seen.partial.spec.as_ref().map(protocol::ReplaySpec::digest),
        base_commit: seen.partial.base_commit,
        patched_tree: seen.patched_tree,
        image: seen.partial.image,
        result_digest: seen.result_digest,
        stages: seen.stages,
        notes: seen.notes,
        timing: Timing { total_seconds: total, overhead_seconds: (total - inside).max(0.0) },
    };
    Replayed { report, spec: seen.partial.spec }
}

/// What is known so far, whatever the end will be.
#[derive(Default)]
struct Observed {
    partial: PartialSpec,
    patched_tree: Option<TreeId>,
    result_digest: Option<Sha256Digest>,
    stages: Vec<protocol::report::StageReport>,
    spread: BTreeMap<String, Spread>,
    notes: Vec<String>,
}

async fn observe(
    host: &Host,
    request: &Request,
    progress: &dyn Progress,
    cancel: &CancellationToken,
    seen: &mut Observed,
) -> Result<BTreeMap<String, Decimal>, Failure> {
    let watch = Watch::default().cancelled_by(cancel.clone());
    let prepared = request.prepare(host, &watch, progress, &mut seen.partial).instrument(debug_span!("prepare")).await?;
    seen.partial.spec = Some(prepared.spec.clone());
    let room = RunDir::make(host)?;
    progress.event(Event::Step("patch"));
    let trees = lay_out_trees(host, request, &prepared, &room).instrument(debug_span!("lay_out")).await?;
    seen.patched_tree = Some(trees.patched);
    let sides = Sides::new(request, &prepared, trees, &room)?;
    progress.event(Event::Step("cores"));
    let cores = tokio::select! {
        cores = host.cores.reserve(prepared.spec.limits.cpus).instrument(debug_span!("cores")) => cores?,
        () = cancel.cancelled() => return Err(crate::sandbox::SandboxError::Cancelled.into()),
    };
    let sandbox = sandbox(host, &prepared, &room, cores.cpuset());
    let bench = Bench { host, prepared: &prepared, sides: &sides, sandbox: &sandbox, room: &room, progress, cancel };
    let result = bench.candidate(seen).await;
    let result = match result {
        Err(failure) => Err(bench.attribute(failure, seen).await),
        Ok(metrics) => Ok(metrics),
    };
    drop(cores);
    result
}

/// A directory of this replay's own, removed with it.
struct RunDir {
    path: PathBuf,
    replay: String,
}

impl RunDir {
    fn make(host: &Host) -> Result<Self, Failure> {
        let replay = host.next_replay();
        let path = host.owner.run_dir().join(&replay);
        fs::create_dir_all(&path).map_err(WorkspaceError::io("making the run directory"))?;
        Ok(Self { path, replay })
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, "the run directory could not be removed; the next start will");
        }
    }
}

/// The trees of a replay on disk.
struct Trees {
    pristine: PathBuf,
    patch: Option<Scratch>,
    patched: TreeId,
    protected: Protected,
}

/// Checks out the pinned commit, passes the patch through the gate and lays out
/// what it changes. Git is blocking work.
async fn lay_out_trees(host: &Host, request: &Request, prepared: &Prepared, room: &RunDir) -> Result<Trees, Failure> {
    let (mirrors, trees) = (host.mirrors.clone(), host.state.dir("trees")?);
    let (source, spec) = (prepared.source.clone(), prepared.spec.clone());
    let patch = request.submission.patch.clone();
    let layer_dir = room.path.join("patch");
    blocking(move || {
        let base = debug_span!("pinned").in_scope(|| mirrors.pinned(&source, spec.base_commit))?;
        let patched = match &patch {
            Some(patch) => debug_span!("gate").in_scope(|| PatchGate::new(&spec.patch_rules)?.review(&base, patch))?,
            None => PatchedTree::unpatched(&base),
        };
        let pristine = debug_span!("pristine").in_scope(|| Pristine::prepare(&trees, &base))?;
        let protected = debug_span!("protected").in_scope(|| Protected::of(&pristine, &protected_rules(&spec)))?;
        let layer = if patch.is_some() {
            let _span = debug_span!("patch_layer").entered();
            // Room for every changed byte, in pages, and for deep directories.
            let files = 64 * patched.changes().len() as u64 + 64;
            let bytes = spec.patch_rules.max_decoded_bytes.get() + files * 4096;
            let layer = Scratch::mount(&layer_dir, bytes, files)?;
            patched.write_layer(layer.path())?;
            Some(layer)
        } else {
            None
        };
        Ok(Trees { pristine: pristine.path(), patch: layer, patched: patched.id(), protected })
    })
    .await
}

/// What submitted code must leave alone: what a patch must, except what the
/// task itself says that stages write.
fn protected_rules(spec: &protocol::ReplaySpec) -> protocol::spec::PatchRules {
    let mut rules = spec.patch_rules.clone();
    rules.allowed_paths.extend(spec.result_path.iter().chain(&spec.outputs).cloned());
    rules
}

/// The candidate and the baseline it is compared with.
struct Sides {
    candidate: Side,
    baseline: Side,
    protected: Protected,
    private: Option<PathBuf>,
    _patch: Option<Scratch>,
}

impl Sides {
    fn new(request: &Request, prepared: &Prepared, trees: Trees, room: &RunDir) -> Result<Self, Failure> {
        let patch = request.submission.patch.as_ref();
        let layer = |artifact: &VerifiedArtifact| artifact.layer(ARTIFACT_PATH);
        let side = |suffix, artifact: Option<&VerifiedArtifact>| -> Result<Side, Failure> {
            Ok(Side {
                suffix,
                base: trees.pristine.clone(),
                patch: None,
                artifact: artifact.map(layer).transpose().map_err(WorkspaceError::io("laying out the artifact"))?,
                artifact_bytes: artifact.map_or(0, VerifiedArtifact::size_bytes),
                patch_bytes: 0,
                artifact_uri: None,
            })
        };
        let candidate = Side {
            patch: trees.patch.as_ref().map(|layer| layer.path().to_owned()),
            patch_bytes: patch.map_or(0, |patch| patch.text().len() as u64),
            artifact_uri: request.submission.artifact_uri.clone(),
            ..side("", prepared.artifact.as_ref())?
        };
        let baseline = side(" (baseline)", prepared.baseline_artifact.as_ref())?;
        let private = if prepared.private_inputs.is_empty() {
            None
        } else {
            let dir = room.path.join("private");
            lay_out_private(&dir, &prepared.private_inputs).map_err(WorkspaceError::io("laying out private inputs"))?;
            Some(dir)
        };
        Ok(Self { candidate, baseline, protected: trees.protected, private, _patch: trees.patch })
    }
}

fn sandbox(host: &Host, prepared: &Prepared, room: &RunDir, cpuset: String) -> Sandbox {
    let spec = &prepared.spec;
    // Shorter values are words such as "1" and "true", which are no secrets.
    let mut secrets: Vec<String> = spec.env.values().filter(|value| value.len() >= 4).cloned().collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let mut markers = vec![REJECTION_MARKER.to_owned()];
    if spec.result_path.is_none() {
        markers.extend(spec.metrics.iter().filter(|metric| !metric.is_supervised()).map(|metric| metric.name.clone()));
    }
    Sandbox {
        engine: host.engine.clone(),
        systemd_cgroups: host.facts.systemd_cgroups,
        owner: host.owner.id().to_owned(),
        replay: room.replay.clone(),
        image: prepared.image.clone(),
        limits: spec.limits.clone(),
        cpuset,
        hosts_file: host.hosts_file.clone(),
        secrets,
        markers,
    }
}

/// Everything that running stages needs.
struct Bench<'a> {
    host: &'a Host,
    prepared: &'a Prepared,
    sides: &'a Sides,
    sandbox: &'a Sandbox,
    room: &'a RunDir,
    progress: &'a dyn Progress,
    cancel: &'a CancellationToken,
}

impl Bench<'_> {
    fn stages<'b>(&'b self, side: &'b Side, dir: &str) -> Stages<'b> {
        let spec = &self.prepared.spec;
        let network = spec.setup_network && self.host.options.allow_setup_network;
        Stages {
            spec,
            side,
            sandbox: self.sandbox,
            protected: &self.sides.protected,
            dir: self.room.path.join(dir),
            private: self.sides.private.as_deref(),
            setup_network: if network { Network::Bridge } else { Network::None },
            cancel: self.cancel,
            progress: self.progress,
            reports: Vec::new(),
            trees: 0,
        }
    }

    /// Runs the candidate as often as the spec says, against the baseline in
    /// turn where a metric compares the two, and decides every metric.
    async fn candidate(&self, seen: &mut Observed) -> Result<BTreeMap<String, Decimal>, Failure> {
        let mut stages = self.stages(&self.sides.candidate, "candidate");
        let result = self.passes(&mut stages, seen).await;
        // Kept in order of time; the baseline's were added as they came.
        let mut reports = std::mem::take(&mut stages.reports);
        reports.append(&mut seen.stages);
        seen.stages = reports;
        let samples = result?;
        let spec = &self.prepared.spec;
        for (metric, samples) in spec.metrics.iter().zip(&samples) {
            if samples.values().len() > 1 {
                seen.spread.insert(metric.name.clone(), samples.spread());
            }
        }
        let decide = spec.metrics.iter().zip(&samples).map(|(metric, samples)| {
            Ok((metric.name.clone(), samples.decide(metric, spec.tolerance.as_ref())?))
        });
        decide.collect()
    }

    async fn passes(&self, stages: &mut Stages<'_>, seen: &mut Observed) -> Result<Vec<Samples>, Failure> {
        let spec = &self.prepared.spec;
        let paired = spec.metrics.iter().any(protocol::spec::Metric::is_ratio);
        let count = if paired { spec.repeats.max(FEWEST_PAIRS) } else { spec.repeats };
        let set_up = stages.set_up().await?;
        self.check_integrity("setup", &set_up.changed, seen).await?;
        let mut baseline = if paired { Some(self.paired_baseline(seen).await?) } else { None };
        let mut samples: Vec<Samples> = Vec::new();
        for number in 1..=count {
            let pass = stages.pass(&set_up, number).await?;
            self.check_integrity("benchmark", &pass.changed, seen).await?;
            seen.result_digest = pass.result_digest;
            let partner = match &mut baseline {
                Some((stages, set_up)) => {
                    let pass = stages.pass(set_up, number).await.map_err(Failure::of_baseline);
                    seen.stages.append(&mut stages.reports);
                    Some(pass?)
                }
                None => None,
            };
            let values = values(spec, &pass, partner.as_ref())?;
            if samples.is_empty() {
                samples = values.into_iter().map(Samples::new).collect();
            } else {
                samples.iter_mut().zip(values).for_each(|(samples, value)| samples.push(value));
            }
        }
        Ok(samples)
    }

    async fn paired_baseline(&self, seen: &mut Observed) -> Result<(Stages<'_>, SetUp), Failure> {
        let mut stages = self.stages(&self.sides.baseline, "baseline");
        let set_up = stages.set_up().await.map_err(Failure::of_baseline);
        seen.stages.append(&mut stages.reports);
        Ok((stages, set_up?))
    }

    /// Protected files that a stage changed are the submission's doing, unless
    /// the baseline changes them, too. Where a scorer works on the pristine tree
    /// a change by the benchmark has no effect and is told only.
    async fn check_integrity(&self, stage: &str, changed: &[String], seen: &mut Observed) -> Result<(), Failure> {
        let Some(first) = changed.first() else { return Ok(()) };
        let is_baseline = self.prepared.spec.is_baseline();
        let scored = stage == "benchmark" && self.prepared.spec.commands.score.is_some();
        let usual = if is_baseline || scored { changed.to_vec() } else { self.control(seen).await?.changed };
        if changed.iter().all(|path| usual.contains(path)) {
            seen.notes.push(format!("{stage} changed protected files, which were restored: {first:?}"));
            return Ok(());
        }
        let more = if changed.len() > 1 { format!(" and {} more", changed.len() - 1) } else { String::new() };
        let message = format!("the {stage} stage changed {first:?}{more}, outside the allowed paths");
        Err(Failure::new(Code::IntegrityProtectedPathModified, message))
    }

    /// Whose fault `failure` is: for a stage that ran submitted code the
    /// unpatched baseline decides.
    async fn attribute(&self, failure: Failure, seen: &mut Observed) -> Failure {
        if !failure.code.needs_control() || failure.control.is_some() || self.prepared.spec.is_baseline() {
            return failure;
        }
        match self.control(seen).await {
            Ok(record) => {
                let message = match record.control() {
                    Control::Passed => failure.message,
                    Control::Failed => format!("{}; so does the unpatched baseline ({})", failure.message, record.code),
                };
                Failure { message, control: Some(record.control()), ..failure }
            }
            // Nothing was learnt about the submission.
            Err(ours) => ours,
        }
    }

    /// What the baseline does on this host: remembered, or observed now.
    async fn control(&self, seen: &mut Observed) -> Result<ControlRecord, Failure> {
        let cache = ControlCache::new(&self.host.state.dir("controls")?, &self.prepared.spec);
        if let Some(record) = cache.get() {
            return Ok(record);
        }
        self.progress.event(Event::Step("control"));
        let mut stages = self.stages(&self.sides.baseline, "control");
        let record = self.observe_control(&mut stages).await;
        seen.stages.append(&mut stages.reports);
        let record = record?;
        cache.put(&record);
        Ok(record)
    }

    async fn observe_control(&self, stages: &mut Stages<'_>) -> Result<ControlRecord, Failure> {
        let mut changed = Vec::new();
        let run = async {
            let set_up = stages.set_up().await?;
            changed.clone_from(&set_up.changed);
            let pass = stages.pass(&set_up, 1).await?;
            changed.extend(pass.changed);
            let spec = &self.prepared.spec;
            for (metric, value) in spec.metrics.iter().zip(pass.values) {
                if let Some(value) = value {
                    Samples::new(value).decide(metric, None)?;
                }
            }
            Ok(())
        };
        match run.await {
            Ok(()) => Ok(ControlRecord { code: Code::Ok, changed }),
            Err(failure @ Failure { .. }) if failure.code.needs_control() || failure.code == Code::BenchmarkRejected => {
                Ok(ControlRecord { code: failure.code, changed })
            }
            Err(ours) => Err(ours),
        }
    }
}

/// The metrics of one pass, with the ratios that its partner makes possible.
fn values(spec: &protocol::ReplaySpec, pass: &Pass, partner: Option<&Pass>) -> Result<Vec<Decimal>, Failure> {
    let missing = |name: &str| Failure::new(Code::Internal, format!("this host could not measure {name}"));
    let ratio = |name: &str| -> Option<Decimal> {
        let partner = partner?;
        let (ours, theirs) = match name {
            "supervisor.benchmark_cpu_ratio" => (pass.benchmark_cpu?, partner.benchmark_cpu?),
            _ => (pass.benchmark_wall, partner.benchmark_wall),
        };
        seconds(std::time::Duration::from_secs_f64(ours.as_secs_f64() / theirs.as_secs_f64().max(1e-6)))
    };
    spec.metrics
        .iter()
        .zip(&pass.values)
        .map(|(metric, value)| match value {
            Some(value) => Ok(value.clone()),
            None => ratio(&metric.name).ok_or_else(|| missing(&metric.name)),
        })
        .collect()
}
