//! Runs the candidate as often as the spec says, against the baseline where that
//! is needed, and says whose fault a failure is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use protocol::outcome::Control;
use protocol::report::{Spread, StageReport};
use protocol::{Code, Decimal, ReplaySpec, Sha256Digest};
use tokio_util::sync::CancellationToken;

use crate::control::{ControlCache, ControlRecord};
use crate::failure::Failure;
use crate::host::Host;
use crate::layout::{RunDir, Sides};
use crate::metrics::Samples;
use crate::progress::{Event, Progress};
use crate::sandbox::{Network, Sandbox};
use crate::spec::{PartialSpec, Prepared, blocking};
use crate::stages::{Evidence, Keep, Pass, SetUp, Side, Stages, seconds};
use crate::tree::page_in;
use crate::workspace::{View, WorkspaceError};

/// A ratio needs at least so many pairs of runs.
const FEWEST_PAIRS: u32 = 2;

/// What is known so far, whatever the end will be.
#[derive(Default)]
pub(crate) struct Observed {
    pub(crate) partial: PartialSpec,
    pub(crate) result_digest: Option<Sha256Digest>,
    pub(crate) stages: Vec<StageReport>,
    pub(crate) spread: BTreeMap<String, Spread>,
    pub(crate) notes: Vec<String>,
    /// What the last pass left, if it was to be kept.
    pub(crate) evidence: Option<Evidence>,
}

/// Everything that running stages needs.
pub(crate) struct Bench<'a> {
    pub(crate) host: &'a Host,
    pub(crate) prepared: &'a Prepared,
    pub(crate) sides: &'a Sides,
    pub(crate) sandbox: &'a Sandbox,
    pub(crate) room: &'a RunDir,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) cancel: &'a CancellationToken,
    /// What is kept of the candidate's passes.
    pub(crate) keep: Keep,
}

impl Bench<'_> {
    fn stages<'b>(&'b self, side: &'b Side, dir: &str) -> Stages<'b> {
        let spec = &self.prepared.spec;
        Stages {
            spec,
            side,
            sandbox: self.sandbox,
            protected: &self.sides.protected,
            dir: self.room.path.join(dir),
            private: self.sides.private.as_ref().map(View::path),
            setup_network: self.setup_network(),
            keep: Keep::Metrics,
            cancel: self.cancel,
            progress: self.progress,
            reports: Vec::new(),
            trees: 0,
        }
    }

    fn setup_network(&self) -> Network {
        let both_say_so = self.prepared.spec.setup_network && self.host.options.allow_setup_network;
        if both_say_so {
            Network::Bridge
        } else {
            Network::None
        }
    }

    /// Runs the candidate as often as the spec says, against the baseline in
    /// turn where a metric compares the two, and decides every metric.
    pub(crate) async fn candidate(
        &self,
        seen: &mut Observed,
    ) -> Result<BTreeMap<String, Decimal>, Failure> {
        let mut stages = Stages {
            keep: self.keep,
            ..self.stages(&self.sides.candidate, "candidate")
        };
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
            Ok((
                metric.name.clone(),
                samples.decide(metric, spec.tolerance.as_ref())?,
            ))
        });
        let decided = decide.collect::<Result<_, Failure>>()?;
        self.check_displaced(seen).await?;
        Ok(decided)
    }

    /// Where an output takes the place of tracked files, the scorer has them from
    /// the benchmark or not at all. One that needs a file of its own there fails
    /// unless the submission brings one, and would then be the submission's.
    async fn check_displaced(&self, seen: &mut Observed) -> Result<(), Failure> {
        let Some(first) = self.sides.protected.displaced().first() else {
            return Ok(());
        };
        if self.prepared.spec.is_baseline() {
            return Ok(());
        }
        let invalid = |why: &str| {
            let message = format!(
                "the task's outputs take the place of {first:?}, which the repository tracks, and {why}; name it in protected_paths, or remove it from the repository"
            );
            Failure::new(Code::SpecInvalid, message)
        };
        if self.prepared.needs_missing_artifact() {
            return Err(invalid(
                "no baseline_artifact shows that the task does without it",
            ));
        }
        match self.control(1, seen).await?.control() {
            Control::Passed => Ok(()),
            Control::Failed => Err(invalid("the unpatched baseline does not pass without it")),
        }
    }

    async fn passes(
        &self,
        stages: &mut Stages<'_>,
        seen: &mut Observed,
    ) -> Result<Vec<Samples>, Failure> {
        let spec = &self.prepared.spec;
        let paired = spec.metrics.iter().any(protocol::spec::Metric::is_ratio);
        let count = if paired {
            spec.repeats.max(FEWEST_PAIRS)
        } else {
            spec.repeats
        };
        let set_up = stages.set_up().await?;
        self.check_integrity("setup", &set_up.changed, seen).await?;
        let mut baseline = if paired {
            Some(self.paired_baseline(seen).await?)
        } else {
            None
        };
        let mut samples: Vec<Samples> = Vec::new();
        for number in 1..=count {
            if paired {
                self.page_in().await?;
            }
            let mut pass = stages.pass(&set_up, number).await?;
            seen.evidence = pass.evidence.take();
            self.check_integrity("benchmark", &pass.changed, seen)
                .await?;
            seen.result_digest = pass.result_digest;
            let partner = match &mut baseline {
                Some((stages, set_up)) => {
                    self.page_in().await?;
                    let pass = stages
                        .pass(set_up, number)
                        .await
                        .map_err(Failure::of_baseline);
                    seen.stages.append(&mut stages.reports);
                    Some(pass?)
                }
                None => None,
            };
            let values = values(spec, &pass, partner.as_ref())?;
            if samples.is_empty() {
                samples = values.into_iter().map(Samples::new).collect();
            } else {
                samples
                    .iter_mut()
                    .zip(values)
                    .for_each(|(samples, value)| samples.push(value));
            }
        }
        Ok(samples)
    }

    /// Both sides begin with the same files in memory, whatever the other did.
    async fn page_in(&self) -> Result<(), Failure> {
        let sides = [&self.sides.candidate, &self.sides.baseline];
        let mut places: Vec<PathBuf> = sides
            .into_iter()
            .flat_map(|side| side.artifact.iter().chain([&side.base]).cloned())
            .collect();
        places.dedup();
        blocking(move || {
            for place in places {
                page_in(&place).map_err(WorkspaceError::io("reading the base tree"))?;
            }
            Ok(())
        })
        .await
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
    async fn check_integrity(
        &self,
        stage: &str,
        changed: &[String],
        seen: &mut Observed,
    ) -> Result<(), Failure> {
        let Some(first) = changed.first() else {
            return Ok(());
        };
        let is_baseline = self.prepared.spec.is_baseline();
        let scored = stage == "benchmark" && self.prepared.spec.commands.score.is_some();
        let usual = if is_baseline || scored {
            changed.to_vec()
        } else {
            self.control(1, seen).await?.changed
        };
        if changed.iter().all(|path| usual.contains(path)) {
            seen.notes.push(format!(
                "{stage} changed protected files, which were restored: {first:?}"
            ));
            return Ok(());
        }
        let more = if changed.len() > 1 {
            format!(" and {} more", changed.len() - 1)
        } else {
            String::new()
        };
        let message =
            format!("the {stage} stage changed {first:?}{more}, outside the allowed paths");
        Err(Failure::new(Code::IntegrityProtectedPathModified, message))
    }

    /// Whose fault `failure` is: for a stage that ran submitted code the
    /// unpatched baseline decides.
    pub(crate) async fn attribute(&self, failure: Failure, seen: &mut Observed) -> Failure {
        if !failure.code.needs_control()
            || failure.control.is_some()
            || self.prepared.spec.is_baseline()
        {
            return failure;
        }
        if self.prepared.needs_missing_artifact() {
            // Nothing can be run without a submission, so nothing could excuse one.
            seen.notes.push(
                "the task declares no baseline_artifact, so that no control could be run"
                    .to_owned(),
            );
            return Failure {
                control: Some(Control::Passed),
                ..failure
            };
        }
        // Whether repeats agree can only be asked of repeats.
        let repeats = self.prepared.spec.repeats;
        let passes = if failure.code == Code::ResultNotReproducible {
            repeats
        } else {
            1
        };
        match self.control(passes, seen).await {
            Ok(record) => {
                let message = match record.control() {
                    Control::Passed => failure.message,
                    Control::Failed => format!(
                        "{}; so does the unpatched baseline ({})",
                        failure.message, record.code
                    ),
                };
                Failure {
                    message,
                    control: Some(record.control()),
                    ..failure
                }
            }
            // Nothing was learnt about the submission.
            Err(ours) => ours,
        }
    }

    /// What the baseline does on this host in so many passes: remembered, or
    /// observed now. It fails only if it does so twice: a neighbour's mischief, or
    /// a bad moment of this host, should excuse nobody.
    async fn control(&self, passes: u32, seen: &mut Observed) -> Result<ControlRecord, Failure> {
        let dir = self.host.state.dir("controls")?;
        let cache = ControlCache::new(&dir, &self.prepared.spec, passes, self.setup_network());
        if let Some(record) = cache.get() {
            return Ok(record);
        }
        let mut record = None;
        for attempt in ["control", "control-again"] {
            self.progress.event(Event::Step("control"));
            let mut stages = self.stages(&self.sides.baseline, attempt);
            let observed = self.observe_control(&mut stages, passes).await;
            seen.stages.append(&mut stages.reports);
            let observed = observed?;
            let passed = observed.control() == Control::Passed;
            record = Some(observed);
            if passed {
                break;
            }
        }
        let record = record.ok_or_else(|| Failure::new(Code::Internal, "no control was run"))?;
        cache.put(&record);
        Ok(record)
    }

    async fn observe_control(
        &self,
        stages: &mut Stages<'_>,
        passes: u32,
    ) -> Result<ControlRecord, Failure> {
        let mut changed = Vec::new();
        let run = async {
            let set_up = stages.set_up().await?;
            changed.clone_from(&set_up.changed);
            let spec = &self.prepared.spec;
            let mut samples: Vec<Option<Samples>> = vec![None; spec.metrics.len()];
            for number in 1..=passes {
                let pass = stages.pass(&set_up, number).await?;
                changed.extend(pass.changed);
                for (samples, value) in samples.iter_mut().zip(pass.values) {
                    match (samples, value) {
                        (Some(samples), Some(value)) => samples.push(value),
                        (samples, Some(value)) => *samples = Some(Samples::new(value)),
                        // A ratio needs a partner, which a control has not.
                        (_, None) => {}
                    }
                }
            }
            for (metric, samples) in spec.metrics.iter().zip(samples) {
                samples
                    .map(|samples| samples.decide(metric, spec.tolerance.as_ref()))
                    .transpose()?;
            }
            Ok::<_, Failure>(())
        };
        match run.await {
            Ok(()) => Ok(ControlRecord {
                code: Code::Ok,
                changed,
            }),
            Err(failure)
                if failure.code.needs_control() || failure.code == Code::BenchmarkRejected =>
            {
                Ok(ControlRecord {
                    code: failure.code,
                    changed,
                })
            }
            Err(ours) => Err(ours),
        }
    }
}

/// The metrics of one pass, with the ratios that its partner makes possible.
fn values(spec: &ReplaySpec, pass: &Pass, partner: Option<&Pass>) -> Result<Vec<Decimal>, Failure> {
    let missing = |name: &str| {
        Failure::new(
            Code::Internal,
            format!("this host could not measure {name}"),
        )
    };
    let ratio = |name: &str| -> Option<Decimal> {
        let partner = partner?;
        let (ours, theirs) = match name {
            "supervisor.benchmark_cpu_ratio" => (pass.benchmark_cpu?, partner.benchmark_cpu?),
            _ => (pass.benchmark_wall, partner.benchmark_wall),
        };
        seconds(std::time::Duration::from_secs_f64(
            ours.as_secs_f64() / theirs.as_secs_f64().max(1e-6),
        ))
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
