//! Setup once, then as many passes as are asked for, each from a fresh work tree
//! on top of what setup left: benchmark, and score where the task has one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::report::StageReport;
use protocol::task::env;
use protocol::{Code, Decimal, ReplaySpec, Sha256Digest};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span};

use crate::check::FileDigests;
use crate::failure::Failure;
use crate::metrics::ResultFile;
use crate::progress::{Event, Progress};
use crate::sandbox::{Network, PRIVATE, Sandbox, Stage, StageEnd, StageRun};
use crate::tree::{Protected, Stale, write_blank_layer};
use crate::workspace::{FrozenLayer, Scratch, Workspace};

/// The variable that a benchmark prints when it refuses a submission by itself.
pub(crate) const REJECTION_MARKER: &str = "validator_rejection";

/// One variant of the repository to run: the candidate, or the baseline.
#[derive(Debug)]
pub(crate) struct Side {
    /// Appended to stage names.
    pub(crate) suffix: &'static str,
    /// The pristine tree; what a scorer sees.
    pub(crate) base: PathBuf,
    /// What the patch changes, if there is one.
    pub(crate) patch: Option<PathBuf>,
    /// The artifact at its place, if there is one.
    pub(crate) artifact: Option<PathBuf>,
    /// Its length.
    pub(crate) artifact_bytes: u64,
    /// The length of the patch.
    pub(crate) patch_bytes: u64,
    /// Where it came from, if that was an address.
    pub(crate) artifact_uri: Option<String>,
}

/// What is kept of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// What a replay reports.
    Metrics,
    /// What two replays are compared by, too.
    Evidence,
}

/// What a pass left, for a comparison with another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    /// The bytes of the result file.
    pub(crate) result: Option<Vec<u8>>,
    /// The declared outputs; without any, whatever the benchmark wrote.
    pub(crate) files: FileDigests,
}

/// Runs the stages of one side.
pub(crate) struct Stages<'a> {
    pub(crate) spec: &'a ReplaySpec,
    pub(crate) side: &'a Side,
    pub(crate) sandbox: &'a Sandbox,
    pub(crate) protected: &'a Protected,
    /// A directory of this side's own.
    pub(crate) dir: PathBuf,
    /// Private inputs, for the deciding stage.
    pub(crate) private: Option<&'a Path>,
    pub(crate) setup_network: Network,
    pub(crate) keep: Keep,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) progress: &'a dyn Progress,
    /// What every stage reported, in order.
    pub(crate) reports: Vec<StageReport>,
    /// How many work trees were made: each gets a directory of its own.
    pub(crate) trees: u32,
}

/// What setup left.
pub(crate) struct SetUp {
    /// Its layers, topmost first; empty if the task has no setup.
    layers: Vec<PathBuf>,
    /// What of the budget is left.
    budget: Duration,
    /// Protected files that it changed.
    pub(crate) changed: Vec<String>,
    /// What it left in memory, in bytes.
    bytes: u64,
    _frozen: Option<FrozenLayer>,
    _restored: Option<Scratch>,
}

/// What one pass observed.
#[derive(Debug)]
pub(crate) struct Pass {
    /// One value a metric, in the spec's order; `None` for those that need both sides.
    pub(crate) values: Vec<Option<Decimal>>,
    pub(crate) benchmark_wall: Duration,
    pub(crate) benchmark_cpu: Option<Duration>,
    /// The digest of the result file.
    pub(crate) result_digest: Option<Sha256Digest>,
    /// Protected files that the benchmark changed.
    pub(crate) changed: Vec<String>,
    /// What it left, if that was to be kept.
    pub(crate) evidence: Option<Evidence>,
}

/// What the deciding stage says.
struct Decided {
    values: Vec<Option<Decimal>>,
    /// The bytes of the result file, if there is one.
    result: Option<Vec<u8>>,
}

impl Stages<'_> {
    /// Runs setup, if the task has one, and keeps what it leaves.
    pub(crate) async fn set_up(&mut self) -> Result<SetUp, Failure> {
        let mut budget = Duration::from_secs(self.spec.time_budget_seconds);
        let Some(command) = &self.spec.commands.setup else {
            return Ok(SetUp {
                layers: Vec::new(),
                budget,
                changed: Vec::new(),
                bytes: 0,
                _frozen: None,
                _restored: None,
            });
        };
        let layers: Vec<&Path> = self
            .side
            .patch
            .iter()
            .map(PathBuf::as_path)
            .chain([self.side.base.as_path()])
            .collect();
        let tree = self.work_tree(&layers)?;
        let stage = Stage {
            name: "setup",
            command,
            workspace: tree.path(),
            private: None,
            env: Vec::new(),
            network: self.setup_network,
        };
        let run = self.run(&stage, &tree, budget, 1).await?;
        self.passed("setup", &run)?;
        budget = budget.saturating_sub(run.wall);
        let changed =
            debug_span!("integrity").in_scope(|| self.protected.changed(&tree.written()))?;
        let frozen = tree.freeze();
        let restored = self.restored(&changed)?;
        let layers = restored
            .iter()
            .map(|layer| layer.path().to_owned())
            .chain([frozen.path()])
            .collect();
        Ok(SetUp {
            layers,
            budget,
            changed,
            bytes: frozen.bytes(),
            _frozen: Some(frozen),
            _restored: restored,
        })
    }

    /// A layer that shows `changed` as they were.
    fn restored(&mut self, changed: &[String]) -> Result<Option<Scratch>, Failure> {
        if changed.is_empty() {
            return Ok(None);
        }
        // Whatever the task's limits are: that there is much to restore must not
        // become this host's fault.
        let layer = Scratch::mount(
            &self.next_dir(),
            self.protected.room_bytes(),
            self.protected.room_files(),
        )?;
        self.protected.restore(changed, layer.path())?;
        Ok(Some(layer))
    }

    /// One pass: benchmark, then score, then the metrics.
    pub(crate) async fn pass(&mut self, set_up: &SetUp, number: u32) -> Result<Pass, Failure> {
        let spec = self.spec;
        let layers: Vec<&Path> = self
            .side
            .artifact
            .iter()
            .chain(&set_up.layers)
            .chain(&self.side.patch)
            .chain([&self.side.base])
            .map(PathBuf::as_path)
            .collect();
        let (_blank, tree) = self.blanked_tree(&layers, &spec.outputs)?;
        let scored = spec.commands.score.is_some();
        let private = if scored { None } else { self.private };
        let stage = Stage {
            name: "benchmark",
            command: &spec.commands.benchmark,
            workspace: tree.path(),
            private,
            env: self.env(private),
            network: Network::None,
        };
        let mut benchmark = self.run(&stage, &tree, set_up.budget, number).await?;
        if let Some(usage) = &mut benchmark.usage {
            // What setup left in the work tree is memory that the benchmark uses.
            usage.peak_memory_bytes += set_up.bytes;
        }
        self.passed("benchmark", &benchmark)?;
        let changed =
            debug_span!("integrity").in_scope(|| self.protected.changed(&tree.written()))?;
        let left = set_up.budget.saturating_sub(benchmark.wall);
        let files = match self.keep {
            Keep::Evidence => FileDigests::of(&tree.written(), &spec.outputs)?,
            Keep::Metrics => FileDigests::default(),
        };
        let decided = match &spec.commands.score {
            Some(command) => self.score(command, tree, left, number, &benchmark).await?,
            None => self.values(&tree, &benchmark, &benchmark)?,
        };
        let result_digest = decided.result.as_deref().map(Sha256Digest::of);
        let evidence = (self.keep == Keep::Evidence).then_some(Evidence {
            result: decided.result,
            files,
        });
        Ok(Pass {
            values: decided.values,
            evidence,
            benchmark_wall: benchmark.wall,
            benchmark_cpu: benchmark.usage.map(|usage| usage.cpu),
            result_digest,
            changed,
        })
    }

    /// Judges the outputs in a tree that no submitted code ever touched.
    async fn score(
        &mut self,
        command: &str,
        benchmarked: Workspace,
        budget: Duration,
        number: u32,
        benchmark: &StageRun,
    ) -> Result<Decided, Failure> {
        let limits = &self.spec.limits;
        // Submitted code pays for its memory by the byte; a file full of holes, of
        // which a copy has none, must not make this host pay more.
        let outputs = Scratch::mount(
            &self.next_dir(),
            limits.workspace.get().min(limits.memory.get()),
            limits.workspace_files,
        )?;
        debug_span!("copy_outputs").in_scope(|| {
            benchmarked.copy_outputs(
                &self.spec.outputs,
                outputs.path(),
                self.protected,
                self.cancel,
            )
        })?;
        drop(benchmarked);
        // What the author committed at the place of an output is no output.
        let base = self.side.base.as_path();
        let stale = self.stale(&[base], &self.spec.outputs)?;
        let hidden = self.blank(&stale)?;
        let layers: Vec<&Path> = self
            .side
            .artifact
            .iter()
            .map(PathBuf::as_path)
            .chain([outputs.path()])
            .chain(hidden.as_ref().map(Scratch::path))
            .chain([self.side.base.as_path()])
            .collect();
        let (_blank, tree) = self.blanked_tree(&layers, &[])?;
        let stage = Stage {
            name: "score",
            command,
            workspace: tree.path(),
            private: self.private,
            env: self.env(self.private),
            network: Network::None,
        };
        let run = self.run(&stage, &tree, budget, number).await?;
        self.passed("score", &run)?;
        self.values(&tree, &run, benchmark)
    }

    /// Runs one stage and reports it.
    async fn run(
        &mut self,
        stage: &Stage<'_>,
        tree: &Workspace,
        budget: Duration,
        pass: u32,
    ) -> Result<StageRun, Failure> {
        let name = format!("{}{}", stage.name, self.side.suffix);
        self.progress.event(Event::StageStarted {
            name: &name,
            pass,
            budget,
        });
        let run = self
            .sandbox
            .run(stage, budget, self.cancel)
            .instrument(debug_span!("stage"))
            .await?;
        let report = StageReport {
            name,
            pass,
            exit_code: run.exit_code,
            wall_seconds: run.wall.as_secs_f64(),
            cpu_seconds: run.usage.unwrap_or_default().cpu.as_secs_f64(),
            peak_memory_bytes: run.usage.unwrap_or_default().peak_memory_bytes,
            timed_out: run.end == StageEnd::TimedOut,
            oom_killed: run.end == StageEnd::OutOfMemory,
            workspace_full: tree.is_full(),
            output_bytes: run.output_bytes,
            output_truncated: run.output_truncated,
            output: run.output.clone(),
        };
        self.progress.event(Event::StageEnded(&report));
        self.reports.push(report);
        Ok(run)
    }

    /// Whether a stage ended well. A command that is not there, or not
    /// executable, without any patch is a mistake in the task.
    fn passed(&self, stage: &str, run: &StageRun) -> Result<(), Failure> {
        let Some(failure) = stage_failure(stage, run) else {
            return Ok(());
        };
        let unpatched = self.spec.is_baseline() || !self.side.suffix.is_empty();
        let not_there = matches!(run.end, StageEnd::Exited(126 | 127))
            && failure.code != Code::BenchmarkRejected;
        if unpatched && not_there {
            let message =
                format!("the {stage} command cannot be found or executed, even without a patch");
            return Err(Failure::new(Code::SpecInvalid, message));
        }
        Err(failure)
    }

    /// The metrics of the spec, in order, after the deciding stage.
    fn values(
        &self,
        tree: &Workspace,
        deciding: &StageRun,
        benchmark: &StageRun,
    ) -> Result<Decided, Failure> {
        let _span = debug_span!("result").entered();
        let claims_needed = self
            .spec
            .metrics
            .iter()
            .any(|metric| !metric.is_supervised());
        let bytes = match &self.spec.result_path {
            Some(path) if claims_needed => Some(tree.read_result(path, self.spec.limits.result)?),
            _ => None,
        };
        let file = bytes.as_deref().map(ResultFile::parse).transpose()?;
        let value = |name: &str| -> Result<Option<Decimal>, Failure> {
            match (&file, name.starts_with("supervisor.")) {
                (_, true) => self.supervised(name, benchmark),
                (Some(file), false) => Ok(Some(file.metric(name)?)),
                (None, false) => printed(deciding, name).map(Some),
            }
        };
        let values: Result<Vec<_>, Failure> = self
            .spec
            .metrics
            .iter()
            .map(|metric| value(&metric.name))
            .collect();
        Ok(Decided {
            values: values?,
            result: bytes,
        })
    }

    fn supervised(&self, name: &str, benchmark: &StageRun) -> Result<Option<Decimal>, Failure> {
        let usage = || {
            benchmark.usage.ok_or_else(|| {
                Failure::new(
                    Code::Internal,
                    format!("this host's kernel does not tell {name}; run `replay-runner doctor`"),
                )
            })
        };
        Ok(match name {
            "supervisor.benchmark_seconds" => seconds(benchmark.wall),
            "supervisor.benchmark_cpu_seconds" => seconds(usage()?.cpu),
            "supervisor.peak_memory_bytes" => Some(usage()?.peak_memory_bytes.into()),
            "supervisor.artifact_bytes" => Some(self.side.artifact_bytes.into()),
            "supervisor.patch_bytes" => Some(self.side.patch_bytes.into()),
            _ => None,
        })
    }

    fn env(&self, private: Option<&Path>) -> Vec<(String, String)> {
        let mut variables: Vec<(String, String)> = self
            .spec
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut add = |name: &str, value: String| {
            variables.retain(|(known, _)| known != name);
            variables.push((name.to_owned(), value));
        };
        if self.side.artifact.is_some() {
            add(env::ARTIFACT_PATH, ARTIFACT_PATH.to_owned());
            add(env::ARTIFACT_BYTES, self.side.artifact_bytes.to_string());
            if let Some(uri) = &self.side.artifact_uri {
                add(env::ARTIFACT_URI, uri.clone());
            }
        }
        if private.is_some() {
            add(env::HELDOUT_ROOT, PRIVATE.to_owned());
            add(env::HELDOUT_MANIFEST, format!("{PRIVATE}/manifest.json"));
        }
        variables
    }

    /// A work tree in which neither the result nor any of `outputs` is there
    /// yet, whoever wrote an earlier one.
    fn blanked_tree(
        &mut self,
        layers: &[&Path],
        outputs: &[String],
    ) -> Result<(Option<Scratch>, Workspace), Failure> {
        let mut stale = self.stale(layers, outputs)?;
        if let Some(result) = &self.spec.result_path {
            stale.extend(Stale::find(layers, result, false)?);
        }
        let blank = self.blank(&stale)?;
        let layers: Vec<&Path> = blank
            .iter()
            .map(Scratch::path)
            .chain(layers.iter().copied())
            .collect();
        let tree = self.work_tree(&layers)?;
        Ok((blank, tree))
    }

    /// What `layers` have at the places of `outputs`. A directory of outputs in
    /// which the task protects files is left as it is.
    fn stale(&self, layers: &[&Path], outputs: &[String]) -> Result<Vec<Stale>, Failure> {
        let is_another = |output: &&String| {
            Some(*output) != self.spec.result_path.as_ref()
                && !self
                    .protected
                    .is_above(Path::new(output.trim_end_matches('/')))
        };
        let mut stale = Vec::new();
        for output in outputs.iter().filter(is_another) {
            stale.extend(Stale::find(layers, output, true)?);
        }
        Ok(stale)
    }

    /// A layer that hides `stale`, if there is anything to hide.
    fn blank(&mut self, stale: &[Stale]) -> Result<Option<Scratch>, Failure> {
        if stale.is_empty() {
            return Ok(None);
        }
        let blank = Scratch::mount(&self.next_dir(), 4 << 20, 4096)?;
        write_blank_layer(
            stale,
            blank.path(),
            self.sandbox.user,
            self.protected.seconds(),
        )?;
        Ok(Some(blank))
    }

    fn work_tree(&mut self, layers: &[&Path]) -> Result<Workspace, Failure> {
        let dir = self.next_dir();
        Ok(debug_span!("work_tree")
            .in_scope(|| Workspace::mount(&dir, layers, &self.spec.limits, self.sandbox.user))?)
    }

    fn next_dir(&mut self) -> PathBuf {
        self.trees += 1;
        self.dir.join(self.trees.to_string())
    }
}

/// Where a benchmark finds the artifact, relative to the work tree.
pub(crate) const ARTIFACT_PATH: &str = ".autoresearch-submission/artifact";

/// A duration as a metric: microseconds are as fine as the clock is good for.
pub(crate) fn seconds(duration: Duration) -> Option<Decimal> {
    format!("{:.6}", duration.as_secs_f64()).parse().ok()
}

/// A metric that a task without a result file prints.
fn printed(run: &StageRun, name: &str) -> Result<Decimal, Failure> {
    let text = run.markers.get(name).ok_or_else(|| {
        Failure::new(
            Code::ResultMetricMissing,
            format!("the output has no line \"{name}: …\""),
        )
    })?;
    let value: f64 = text.parse().map_err(|_| {
        Failure::new(
            Code::ResultMetricNotANumber,
            format!("the output's last {name:?} is not a number"),
        )
    })?;
    let exact = || text.parse().ok().or_else(|| Decimal::from_f64(value));
    exact().ok_or_else(|| {
        Failure::new(
            Code::ResultMetricNotFinite,
            format!("the output's last {name:?} is not finite"),
        )
    })
}

/// The failure that the end of a stage stands for, if any.
fn stage_failure(stage: &str, run: &StageRun) -> Option<Failure> {
    let codes = match stage {
        "setup" => [
            Code::SetupFailed,
            Code::BenchmarkTimeout,
            Code::SetupOutOfMemory,
        ],
        "score" => [
            Code::ScoreFailed,
            Code::ScoreTimeout,
            Code::ScoreOutOfMemory,
        ],
        _ => [
            Code::BenchmarkFailed,
            Code::BenchmarkTimeout,
            Code::BenchmarkOutOfMemory,
        ],
    };
    match run.end {
        StageEnd::Exited(0) => None,
        StageEnd::Exited(_) if stage != "setup" && run.markers.contains_key(REJECTION_MARKER) => {
            Some(Failure::new(
                Code::BenchmarkRejected,
                format!("the {stage} refused the submission"),
            ))
        }
        StageEnd::Exited(status) => Some(Failure::new(
            codes[0],
            format!("the {stage} command exited with status {status}"),
        )),
        StageEnd::TimedOut => Some(Failure::new(
            codes[1],
            format!("the time budget ended during {stage}"),
        )),
        StageEnd::OutOfMemory => Some(Failure::new(
            codes[2],
            format!("the {stage} command ran out of memory"),
        )),
    }
}
