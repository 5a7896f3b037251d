//! What replays of the task itself show: that it runs, how long it takes, and
//! which way its metric goes.

use protocol::report::StageReport;
use protocol::task::{Direction, MetricRange};
use protocol::{Report, Status, Task};

use super::finding::{Findings, Rule};
use crate::sandbox::output::escape;

/// How many times the measured time a budget should be.
const HEADROOM: f64 = 3.0;

/// Looks at a replay of the baseline; whether it was accepted.
pub(super) fn baseline(task: &Task, report: &Report, found: &mut Findings) -> bool {
    if report.status != Status::Accepted {
        let last = report
            .stages
            .last()
            .map(|stage| stage.output.lines().last().unwrap_or_default());
        let said = last
            .filter(|line| !line.is_empty())
            .map(|line| format!("; it printed {line:?} last"));
        found.error(
            Rule::BaselineRuns,
            format!(
                "{}: {}{}",
                report.code,
                escape(report.message.as_bytes()),
                said.unwrap_or_default()
            ),
            "`replay-runner run TASK` must be accepted; it shows the output",
        );
        return false;
    }
    headroom(task, report, found);
    range(task, report, found);
    true
}

#[expect(clippy::cast_precision_loss, reason = "a day of seconds")]
fn headroom(task: &Task, report: &Report, found: &mut Findings) {
    let budget = task.time_budget_seconds as f64;
    let taken = one_pass(task, report, |stage| stage.wall_seconds);
    let busy =
        one_pass(task, report, |stage| stage.cpu_seconds) / f64::from(task.limits.cpus.max(1));
    let told = format!("the baseline takes {taken:.2} s of {budget} s here");
    let mend = |seconds: f64| {
        let wanted = (HEADROOM * seconds).ceil();
        format!("time_budget_seconds = {wanted:.0} or more: other hosts are slower and busier")
    };
    if budget >= HEADROOM * taken {
        found.ok(Rule::Headroom, told);
    } else if budget < HEADROOM * busy || !host_is_busy() {
        found.error(Rule::Headroom, told, mend(taken));
    } else {
        // It waited for cores that others had: no fault of the task.
        found.warning(
            Rule::Headroom,
            format!("{told}, on a host that is busy with something else, and {busy:.2} s of processor time"),
            "lint again when the host is idle",
        );
    }
}

/// What setup and one pass of the other stages take together.
fn one_pass(task: &Task, report: &Report, of: impl Fn(&StageReport) -> f64) -> f64 {
    let sum = |setup: bool| -> f64 {
        let stages = report.stages.iter();
        let stages = stages.filter(|stage| (stage.name == "setup") == setup);
        stages.map(&of).sum()
    };
    sum(true) + sum(false) / f64::from(task.repeats.max(1))
}

/// Whether more threads want to run than there are cores.
fn host_is_busy() -> bool {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text
        .split(' ')
        .next()
        .and_then(|word| word.parse::<f64>().ok());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    load.zip(u32::try_from(cores).ok())
        .is_some_and(|(load, cores)| load > f64::from(cores))
}

fn range(task: &Task, report: &Report, found: &mut Findings) {
    let ranges = [&task.metric_range, &task.secondary_metric_range];
    for (name, range) in task.metric_names().zip(ranges) {
        if *range == MetricRange::default() {
            let value = report
                .observed_metrics
                .get(name)
                .map_or("", |value| value.as_str());
            found.warning(
                Rule::MetricRange,
                format!("metric {name:?} (here {value}) has no range, so that an absurd value would be a record"),
                "declare metric_range = { min = …, max = … }",
            );
        }
    }
}

/// Which of the two an example is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Better,
    Worse,
}

/// Compares a submission of the author's with the baseline.
pub(super) fn direction(
    task: &Task,
    baseline: &Report,
    example: &Report,
    expected: Expected,
    found: &mut Findings,
) {
    let word = if expected == Expected::Better {
        "better"
    } else {
        "worse"
    };
    if example.status != Status::Accepted {
        found.error(
            Rule::Direction,
            format!("the {word} submission ends with {}", example.code),
            "give one that is accepted; `replay-runner run TASK --patch FILE` shows more",
        );
        return;
    }
    let name = task.metric_name.as_str();
    let value = |report: &Report| report.observed_metrics.get(name).cloned();
    let (Some(before), Some(after)) = (value(baseline), value(example)) else {
        return;
    };
    let is_better = match task.metric_direction {
        Direction::Maximize => after.compare(&before).is_gt(),
        Direction::Minimize => after.compare(&before).is_lt(),
    };
    if is_better == (expected == Expected::Better) && !after.compare(&before).is_eq() {
        found.ok(
            Rule::Direction,
            format!("{name} goes from {before} to {after} for the {word} submission"),
        );
    } else {
        found.error(
            Rule::Direction,
            format!(
                "{name} goes from {before} to {after} for the submission that should be {word}"
            ),
            "turn metric_direction round, or look at what the metric computes",
        );
    }
}
