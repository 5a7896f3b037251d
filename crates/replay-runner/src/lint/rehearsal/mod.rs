//! A rehearsal of what miners will try: standard forgeries as submissions to the
//! author's own task. Each is replayed like any other; one that scores is a
//! weakness of the task, and the author learns it first.

mod c;
mod patch;
mod python;
mod shell;

use protocol::task::{Direction, MetricRange, env};
use protocol::{Decimal, Fault, Report, Status, Task};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::pinned::{File, Tree};
use crate::failure::Failure;
use crate::host::Host;
use crate::patch::Patch;
use crate::progress::Silent;
use crate::replay::replay;
use crate::spec::Request;

/// Printed by an attack that could read private inputs.
const PRIVATE_MARK: &str = "rehearsal-read-a-private-input";
/// So many allowed files are patched at most.
const MOST_FILES: usize = 8;

/// A standard forgery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Forgery {
    /// Writes the result itself and ends the process.
    WritesResult,
    /// Writes the result when the process ends.
    WritesResultAtExit,
    /// Leaves a process behind that keeps writing the result.
    LeavesAProcess,
    /// Prints the metric and ends the process.
    PrintsMetric,
    /// Changes the libraries of the process that judges.
    PatchesLibrary,
    /// Adds a module that is imported in place of the library's.
    ShadowsModule,
    /// Reads the private inputs.
    ReadsPrivateInputs,
    /// Rewrites the benchmark while setup runs.
    RewritesHarnessInSetup,
}

impl Forgery {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::WritesResult,
        Self::WritesResultAtExit,
        Self::LeavesAProcess,
        Self::PrintsMetric,
        Self::PatchesLibrary,
        Self::ShadowsModule,
        Self::ReadsPrivateInputs,
        Self::RewritesHarnessInSetup,
    ];

    /// What it does, for a sentence.
    pub const fn does(self) -> &'static str {
        match self {
            Self::WritesResult => "writes the result itself and ends the process",
            Self::WritesResultAtExit => "writes the result when the process ends",
            Self::LeavesAProcess => "leaves a process behind that keeps writing the result",
            Self::PrintsMetric => "prints the metric and ends the process",
            Self::PatchesLibrary => "changes the libraries of the process that judges",
            Self::ShadowsModule => "adds a module that is imported in place of the library's",
            Self::ReadsPrivateInputs => "reads the private inputs",
            Self::RewritesHarnessInSetup => "rewrites the benchmark while setup runs",
        }
    }

    /// How to close the hole.
    pub const fn mend(self) -> &'static str {
        match self {
            Self::ReadsPrivateInputs => {
                "judge in a score_command: then no stage that runs submitted code sees private inputs"
            }
            Self::PrintsMetric => {
                "set result_path, and judge in a score_command; whoever prints last decides otherwise"
            }
            Self::RewritesHarnessInSetup => {
                "run the benchmark from files that git tracks outside allowed_patch_paths: those are restored after setup; judge in a score_command"
            }
            Self::ShadowsModule => {
                "judge in a score_command run as `python3 -I`, and allow no new files beside what is imported"
            }
            _ => "judge in a score_command: it runs in a container that submitted code never sees",
        }
    }
}

/// What came of one forgery.
#[derive(Debug, Clone, Serialize)]
pub struct Rehearsed {
    /// Which.
    pub forgery: Forgery,
    /// Whether it would score, or see what it must not.
    pub scores: bool,
    /// How its replay ended.
    pub ended: String,
}

/// What an attack writes and where, inside.
struct Target<'a> {
    task: &'a Task,
    /// Metric names with forged values.
    forged: Vec<(String, Decimal)>,
}

impl Target<'_> {
    /// The forged result as JSON.
    fn json(&self) -> String {
        let fields: Vec<String> = self
            .forged
            .iter()
            .map(|(name, value)| format!("{}: {value}", serde_json::Value::from(name.as_str())))
            .collect();
        format!("{{{}}}", fields.join(", "))
    }

    fn result_path(&self) -> Option<String> {
        let path = self.task.result_path.as_ref()?;
        Some(format!("{}/{path}", crate::sandbox::WORKSPACE))
    }

    /// The lines that a benchmark without a result file would print.
    fn printed(&self) -> String {
        let lines: Vec<String> = self
            .forged
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        lines.join("\n")
    }

    /// Absolute paths of what the benchmark command names.
    fn harness(&self) -> Vec<String> {
        let words = self.task.benchmark_command.split_whitespace();
        words
            .filter(|word| word.contains('/') || word.contains('.'))
            .map(|word| {
                format!(
                    "{}/{}",
                    crate::sandbox::WORKSPACE,
                    word.trim_start_matches("./")
                )
            })
            .collect()
    }

    /// Code in the language of `file` that does `forgery`, to be put before it.
    fn payload(&self, forgery: Forgery, file: &File) -> Option<String> {
        match file.extension() {
            "py" => python::payload(self, forgery),
            "sh" => shell::payload(self, forgery),
            "c" => c::payload(self, forgery),
            _ => None,
        }
    }
}

/// Rehearses every forgery that can be made; an empty list if no submitted code
/// runs at all. Fails where a replay ended for this host's reasons: whether the
/// task holds is not known then.
pub(crate) async fn rehearse(
    host: &Host,
    request: &Request,
    tree: &Tree,
    baseline: &Report,
    cancel: &CancellationToken,
) -> Result<Vec<Rehearsed>, Failure> {
    let task = &request.task;
    let target = Target {
        task,
        forged: forged(task, baseline),
    };
    let mut rehearsed = Vec::new();
    for forgery in Forgery::ALL {
        let Some(patch) = patch_for(&target, *forgery, tree) else {
            continue;
        };
        let mut attack = request.clone();
        attack.submission.patch = Some(patch);
        let report = replay(host, &attack, &Silent, cancel).await.report;
        rehearsed.push(Rehearsed {
            forgery: *forgery,
            scores: scores(&target, *forgery, &report, baseline)?,
            ended: format!("{} {}", report.status, report.code),
        });
    }
    Ok(rehearsed)
}

fn patch_for(target: &Target<'_>, forgery: Forgery, tree: &Tree) -> Option<Patch> {
    let task = target.task;
    let makes_sense = match forgery {
        Forgery::PrintsMetric => task.result_path.is_none(),
        Forgery::ReadsPrivateInputs => !task.private_inputs.is_empty(),
        Forgery::RewritesHarnessInSetup => task.setup_command.is_some(),
        _ => true,
    };
    if !makes_sense {
        return None;
    }
    let allowed = || tree.files.iter().filter(|file| file.is_allowed);
    let mut text = String::new();
    if forgery == Forgery::ShadowsModule {
        for path in python::shadows(tree) {
            text.push_str(&patch::new_file(
                &path,
                &python::payload(target, Forgery::WritesResult)?,
            ));
        }
    } else {
        for file in allowed().take(MOST_FILES) {
            if let (Some(payload), Some(before)) = (target.payload(forgery, file), file.text()) {
                text.push_str(&patch::prepended(&file.path, before, &payload));
            }
        }
    }
    (!text.is_empty()).then(|| Patch::new(text.into_bytes()))
}

/// A value for each metric that is honest by its range, and as good as can be.
fn forged(task: &Task, baseline: &Report) -> Vec<(String, Decimal)> {
    let first = (task.metric_direction, &task.metric_range);
    let second = (
        task.secondary_metric_direction
            .unwrap_or(task.metric_direction),
        &task.secondary_metric_range,
    );
    task.metric_names()
        .zip([first, second])
        .filter(|(name, _)| !name.starts_with("supervisor."))
        .filter_map(|(name, (direction, range))| {
            let usual = baseline
                .observed_metrics
                .get(name)
                .map_or(0.0, Decimal::value);
            Some((name.to_owned(), best(direction, range, usual)?))
        })
        .collect()
}

fn best(direction: Direction, range: &MetricRange, usual: f64) -> Option<Decimal> {
    let (bound, away) = match direction {
        Direction::Maximize => (&range.max, usual + usual.abs() + 1.0),
        Direction::Minimize => (&range.min, usual - usual.abs() - 1.0),
    };
    let beyond = Decimal::from_f64(away).filter(|value| range.contains(value));
    bound.clone().or(beyond)
}

/// Whether `report` shows that the forgery worked. A replay that this host could
/// not bring to its end shows nothing, least of all that the task holds.
fn scores(
    target: &Target<'_>,
    forgery: Forgery,
    report: &Report,
    baseline: &Report,
) -> Result<bool, Failure> {
    if report.fault == Some(Fault::Validator) {
        let message = format!(
            "the rehearsal is not over: a submission that {} could not be replayed: {}",
            forgery.does(),
            report.message
        );
        return Err(Failure::new(report.code, message));
    }
    if forgery == Forgery::ReadsPrivateInputs {
        return Ok(report
            .stages
            .iter()
            .any(|stage| stage.output.contains(PRIVATE_MARK)));
    }
    if report.status != Status::Accepted {
        return Ok(false);
    }
    if let Some((name, value)) = target.forged.first() {
        let seen = report.observed_metrics.get(name);
        return Ok(seen.is_some_and(|seen| seen.compare(value).is_eq()));
    }
    // What the supervisor measures cannot be written, but work can be left out.
    let value = |report: &Report| {
        Some(
            report
                .observed_metrics
                .get(&target.task.metric_name)?
                .value(),
        )
    };
    Ok(match (value(report), value(baseline)) {
        (Some(after), Some(before)) => match target.task.metric_direction {
            Direction::Minimize => after < before / 2.0,
            Direction::Maximize => after > before * 2.0,
        },
        _ => false,
    })
}

/// The variable that names the directory of private inputs.
const HELDOUT_ROOT: &str = env::HELDOUT_ROOT;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use protocol::outcome::Control;
    use protocol::report::Timing;
    use protocol::{Code, Outcome};

    use super::*;
    use crate::scaffold::{Judge, Language};

    fn report(code: Code) -> Report {
        let outcome = Outcome::of(code, Some(Control::Passed));
        Report {
            status: outcome.status,
            code,
            message: "told".to_owned(),
            fault: outcome.fault,
            observed_metrics: BTreeMap::new(),
            spread: BTreeMap::new(),
            spec_digest: None,
            base_commit: None,
            patched_tree: None,
            image: None,
            result_digest: None,
            stages: Vec::new(),
            notes: Vec::new(),
            timing: Timing::default(),
        }
    }

    #[test]
    fn a_forgery_that_was_not_replayed_to_its_end_has_not_been_held() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("forged");
        crate::scaffold::write(&dir, Language::Python, Judge::ScoreStage).unwrap();
        let task = crate::task::load(&dir).unwrap().task;
        let target = Target {
            task: &task,
            forged: Vec::new(),
        };
        for forgery in Forgery::ALL {
            let judge = |code| scores(&target, *forgery, &report(code), &report(Code::Ok));
            for code in [
                Code::Cancelled,
                Code::SandboxEngineUnavailable,
                Code::SandboxStorageFull,
                Code::Internal,
            ] {
                let failure = judge(code).unwrap_err();
                assert_eq!(failure.code, code);
                assert!(
                    failure.message.contains(forgery.does()),
                    "{}",
                    failure.message
                );
            }
            assert_eq!(judge(Code::BenchmarkFailed), Ok(false));
        }
    }
}
