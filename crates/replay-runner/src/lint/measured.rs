//! What replays of the task itself show: that it runs, how long it takes, and
//! which way its metric goes.

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
    // Setup is paid once, the other stages in every pass.
    let seconds = |setup: bool| -> f64 {
        let stages = report
            .stages
            .iter()
            .filter(|stage| (stage.name == "setup") == setup);
        stages.map(|stage| stage.wall_seconds).sum()
    };
    let taken = seconds(true) + seconds(false) / f64::from(task.repeats.max(1));
    let budget = task.time_budget_seconds as f64;
    if budget < HEADROOM * taken {
        found.error(
            Rule::Headroom,
            format!("the baseline takes {taken:.2} s of {budget} s here"),
            format!(
                "time_budget_seconds = {:.0} or more: other hosts are slower and busier",
                (HEADROOM * taken).ceil()
            ),
        );
    } else {
        found.ok(
            Rule::Headroom,
            format!("the baseline takes {taken:.2} s of {budget} s here"),
        );
    }
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
