//! The whole system once: owners post tasks, miners claim and submit, a validator
//! replays with the real engine, and the coordinator says who is best and what is
//! to be paid.

mod client;
mod closing;
mod miners;
mod owner;
mod plot;
mod replays;
mod selection;
mod service;
mod validator;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Parser;
use protocol::Report;
use system_tests::fixtures::{BASELINE, Case, Fixture};
use system_tests::runner::{Runner, replay_all};
use system_tests::table::Table;
use system_tests::verdict::differences;

use miners::Miners;
use replays::Entered;
use service::Service;
use validator::Validator;

/// Posts the fixture tasks to a coordinator, submits to them, replays what was
/// submitted, and shows what came of it.
#[derive(Debug, Parser)]
struct Arguments {
    /// Submit everything, not a selection
    #[arg(long)]
    all: bool,
    /// Only this task: digits-frontier, matmul-kernel or compressed-model
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// How many replays run at once
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// Leave the coordinator and its dashboard running until Ctrl-C
    #[arg(long)]
    keep_serving: bool,
    /// Where the coordinator listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
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

/// Shows it; true if everything ended as expected.
fn show(arguments: &Arguments) -> Result<bool> {
    let began = Instant::now();
    let table = Table::for_standard_output();
    let jobs = arguments.jobs.max(1);
    let fixtures = selection::chosen(arguments.all, arguments.task.as_deref())?;
    let place = tempfile::Builder::new().prefix("replay-demo-").tempdir()?;
    let state = place.path().join("state");
    let runner = Runner::find()?.with_state(&state);
    let validator = Validator::new(runner.clone(), &state, place.path().join("jobs"))?;
    let mut service = Service::start(place.path(), arguments.listen, Validator::key().hotkey())?;
    let dashboard = service.client.url("/dashboard");
    println!("A coordinator, new and empty, listens; its dashboard is {dashboard}");

    println!("{}", table.part("Owners try their tasks, and post them"));
    let baselines = dry_runs(&runner, &fixtures, jobs, table)?;
    let mut tasks = Vec::new();
    for fixture in &fixtures {
        tasks.push(owner::post(&service, fixture, place.path())?);
    }

    println!(
        "{}",
        table.part("Miners claim and submit; a validator replays")
    );
    let mut miners = Miners::new();
    let mut entered = Vec::new();
    for (fixture, task_id) in fixtures.iter().zip(&tasks) {
        for case in fixture.cases.iter().filter(|case| case.name != BASELINE) {
            let (miner, taken) = miners.submit(&service.client, task_id, &fixture.task, case)?;
            entered.push(Entered {
                fixture,
                case,
                miner,
                taken,
            });
        }
    }
    let as_expected = replays::all(
        &service.client,
        &validator,
        &entered,
        &baselines,
        jobs,
        table,
    )?;

    for (fixture, task_id) in fixtures.iter().zip(&tasks) {
        closing::leaders(&service, &miners, fixture, task_id, table)?;
    }
    closing::rewards(&service, &miners, table)?;
    let seconds = began.elapsed().as_secs_f64();
    println!("{}", table.summary(as_expected, entered.len(), seconds));
    if arguments.keep_serving {
        println!("The dashboard is {dashboard} until Ctrl-C.");
        service.wait()?;
    } else {
        let text = "With --keep-serving the dashboard stays to be looked at.";
        println!("{}", table.aside(text));
    }
    Ok(as_expected == entered.len())
}

/// Replays each task without a submission, as its owner would.
fn dry_runs(
    runner: &Runner,
    fixtures: &[Fixture],
    jobs: usize,
    table: Table,
) -> Result<BTreeMap<String, Report>> {
    let cases: Vec<Case> = fixtures
        .iter()
        .filter_map(|fixture| fixture.cases.iter().find(|case| case.name == BASELINE))
        .cloned()
        .collect();
    let mut baselines = BTreeMap::new();
    let mut failed = Vec::new();
    replay_all(runner, &cases, jobs, |case, result| {
        let Some(fixture) = fixtures.iter().find(|one| one.name == case.task) else {
            return;
        };
        let named = Case {
            name: case.task.clone(),
            ..case.clone()
        };
        match result {
            Ok(report) => {
                let found = differences(&case.submission.expect, &fixture.task, &report, None);
                println!("{}", table.row(&named, &fixture.task, &report, &found));
                failed.extend(found);
                baselines.insert(case.task.clone(), report);
            }
            Err(error) => failed.push(format!("{error:#}")),
        }
    });
    if failed.is_empty() {
        return Ok(baselines);
    }
    bail!("a task does not work: {}", failed.join("; "))
}
