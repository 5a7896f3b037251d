//! Replays good, broken and hostile submissions to three tasks with the real
//! runner and engine, and shows what came of each.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Parser;
use protocol::{Report, Task};
use system_tests::fixtures::{BASELINE, Case, Fixture};
use system_tests::runner::{Runner, replay_all};
use system_tests::table::Table;
use system_tests::verdict::differences;

/// What is shown unless all of it is asked for.
const SHOWN: &[(&str, &[&str])] = &[
    (
        "digits-frontier",
        &[
            BASELINE,
            "larger-steps",
            "principal-components",
            "slow-learner",
            "syntax-error",
            "patch-the-scorer",
            "rewrite-the-scorer",
            "forge-result-file",
            "plant-modules",
            "nan-model",
            "hunt-for-labels",
            "memory-bomb",
            "flood-output",
            "never-ends",
        ],
    ),
    (
        "matmul-kernel",
        &[
            BASELINE,
            "tiles",
            "twice",
            "exit-early",
            "one-wrong-element",
            "endless-include",
        ],
    ),
    (
        "compressed-model",
        &[BASELINE, "four-bits", "one-bit", "wrong-digest", "pickle"],
    ),
];

/// Replays submissions to the fixture tasks and shows what came of each.
#[derive(Debug, Parser)]
struct Arguments {
    /// Replay every submission, not a selection
    #[arg(long)]
    all: bool,
    /// Only this task: digits-frontier, matmul-kernel or compressed-model
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// How many replays run at once
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
}

fn main() -> ExitCode {
    match show(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Replays what was asked for; true if everything ended as expected.
fn show(arguments: &Arguments) -> Result<bool> {
    let runner = Runner::find()?;
    let fixtures = chosen(arguments)?;
    let tasks: BTreeMap<&str, &Task> = fixtures
        .iter()
        .map(|fixture| (fixture.name.as_str(), &fixture.task))
        .collect();
    let cases: Vec<Case> = fixtures
        .iter()
        .flat_map(|fixture| fixture.cases.clone())
        .collect();
    let table = Table::for_standard_output();
    let start = Instant::now();
    let mut baselines: BTreeMap<&str, Report> = BTreeMap::new();
    let mut as_expected = 0;
    replay_all(&runner, &cases, arguments.jobs.max(1), |case, result| {
        let task = tasks[case.task.as_str()];
        if case.name == BASELINE {
            println!("{}", table.heading(&case.task, task));
        }
        let report = match result {
            Ok(report) => report,
            Err(error) => return println!("{}", table.broken_row(case, &format!("{error:#}"))),
        };
        let baseline = baselines.get(case.task.as_str());
        let found = differences(&case.submission.expect, task, &report, baseline);
        println!("{}", table.row(case, task, &report, &found));
        as_expected += usize::from(found.is_empty());
        if case.name == BASELINE {
            baselines.insert(&case.task, report);
        }
    });
    println!(
        "{}",
        table.summary(as_expected, cases.len(), start.elapsed().as_secs_f64())
    );
    Ok(as_expected == cases.len())
}

/// The tasks, each with the cases to show.
fn chosen(arguments: &Arguments) -> Result<Vec<Fixture>> {
    let mut chosen = Vec::new();
    for (name, shown) in SHOWN {
        if arguments
            .task
            .as_deref()
            .is_some_and(|wanted| wanted != *name)
        {
            continue;
        }
        let mut fixture = Fixture::load(name)?;
        if !arguments.all {
            let mut all = std::mem::take(&mut fixture.cases);
            for wanted in *shown {
                let Some(at) = all.iter().position(|case| case.name == *wanted) else {
                    bail!("{name} has no submission {wanted}");
                };
                fixture.cases.push(all.swap_remove(at));
            }
        }
        chosen.push(fixture);
    }
    if chosen.is_empty() {
        let known: Vec<&str> = SHOWN.iter().map(|(name, _)| *name).collect();
        bail!("no such task; there are {}", known.join(", "));
    }
    Ok(chosen)
}
