//! The owners of the tasks: they try them, and post them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use system_tests::fixtures::{BASELINE, Case, Fixture};
use system_tests::network::{Client, post_fixture};
use system_tests::runner::{Runner, replay_all};
use system_tests::verdict::{Decision, differences};

use crate::screen::{Columns, Screen};
use crate::words::observed;

/// The task that every validator has to agree about, where there are several: its
/// replays are short.
const DECIDED_BY_ALL: &str = "compressed-model";

/// A task that is posted.
pub(crate) struct Posted<'a> {
    pub(crate) fixture: &'a Fixture,
    /// At the coordinator.
    pub(crate) id: String,
    /// How many validators decide.
    pub(crate) quorum: usize,
    /// What the task scores without a submission.
    pub(crate) baseline: Decision,
}

/// Replays each task without a submission, and posts it.
pub(crate) fn post<'a>(
    screen: &Screen,
    client: &Client,
    runner: &Runner,
    fixtures: &'a [Fixture],
    validators: usize,
    directory: &Path,
) -> Result<Vec<Posted<'a>>> {
    let name = screen.columns.name;
    let mut baselines = dry_runs(screen, runner, fixtures)?;
    let mut posted = Vec::new();
    for fixture in fixtures {
        let quorum = if fixture.name == DECIDED_BY_ALL {
            validators
        } else {
            1
        };
        let (task, files) = (&fixture.task, &fixture.directory);
        let id = post_fixture(client, task, files, directory, u32::try_from(quorum)?)?;
        let baseline = baselines.remove(&fixture.name).context("a baseline")?;
        screen.event(&format!(
            "owner    posts    {:name$}  {}",
            fixture.name,
            observed(task, &baseline.metrics)
        ));
        posted.push(Posted {
            fixture,
            id,
            quorum,
            baseline,
        });
    }
    Ok(posted)
}

fn dry_runs(
    screen: &Screen,
    runner: &Runner,
    fixtures: &[Fixture],
) -> Result<BTreeMap<String, Decision>> {
    let cases: Vec<Case> = fixtures
        .iter()
        .filter_map(|fixture| fixture.cases.iter().find(|case| case.name == BASELINE))
        .cloned()
        .collect();
    let Columns { name, code } = screen.columns;
    let mut baselines = BTreeMap::new();
    let mut failed = Vec::new();
    replay_all(runner, &cases, 2, |case, result| {
        let Some(fixture) = fixtures.iter().find(|one| one.name == case.task) else {
            return;
        };
        match result {
            Ok(report) => {
                let decision = Decision::from(&report);
                let expected = &case.submission.expect;
                let found = differences(expected, &fixture.task, &decision, None);
                screen.event(&format!(
                    "owner    tries    {:name$}  {} {:code$} {:5.1} s",
                    case.task,
                    screen.style.status(report.status),
                    report.code.as_str(),
                    report.timing.total_seconds,
                ));
                failed.extend(found);
                baselines.insert(case.task.clone(), decision);
            }
            Err(error) => failed.push(format!("{error:#}")),
        }
    });
    if failed.is_empty() {
        return Ok(baselines);
    }
    bail!("a task does not work: {}", failed.join("; "))
}
