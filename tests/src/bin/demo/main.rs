//! The whole system once, live: owners post tasks, miners submit by their command
//! line, validators' daemons replay with the real engine, the coordinator decides,
//! and what was earned becomes claims that the contract pays, and weights.

mod contract;
mod epoch;
mod live;
mod miners;
mod network;
mod owners;
mod plot;
mod results;
mod screen;
mod selection;
mod snapshot;
#[path = "../../../../crates/subtensor/tests/stand_in/mod.rs"]
mod stand_in;
mod style;
mod watch;
mod weights;
mod words;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::Parser;
use system_tests::fixtures::BASELINE;
use system_tests::leftovers;
use system_tests::runner::Runner;
use system_tests::stop::{Interrupted, Stop};

use miners::{Entry, Miners};
use network::Network;
use screen::{Columns, Screen};
use watch::Watch;

/// Starts a coordinator, validators and miners, each as processes, and shows what
/// they do and what comes of it.
#[derive(Debug, Parser)]
struct Arguments {
    /// Submit everything, not a selection
    #[arg(long)]
    all: bool,
    /// Only this task: digits-frontier, matmul-kernel or compressed-model
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// How many replays run at once; with 1 there is one validator, else two
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// Leave the coordinator and its dashboard running until Ctrl-C
    #[arg(long)]
    keep_serving: bool,
    /// Where the coordinator listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// 128 and SIGINT, as shells say it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match demonstrate(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("demo: interrupted; nothing of it is left");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Everything, in a place that is gone afterwards.
fn demonstrate(arguments: &Arguments) -> Result<bool> {
    let stop = Stop::on_signals()?;
    let place = tempfile::Builder::new().prefix("replay-demo-").tempdir()?;
    let shown = show(arguments, &stop, place.path());
    let left = leftovers::of_state(place.path())?;
    ensure!(left.is_empty(), "left behind: {left:?}");
    match shown {
        // What fails because everything is told to end is no failure.
        Err(_) if stop.is_set() => bail!(Interrupted),
        shown => shown,
    }
}

/// Shows it; true if everything ended as expected.
fn show(arguments: &Arguments, stop: &Stop, place: &Path) -> Result<bool> {
    // Before anything else: it is needed at the end.
    contract::executor()?;
    let fixtures = selection::chosen(arguments.all, arguments.task.as_deref())?;
    let mut screen = Screen::new(Columns::of(&fixtures));
    let style = screen.style;
    let mut network = Network::start(place, arguments.listen, arguments.jobs.max(1))?;
    let client = network.coordinator.client.clone();
    let dashboard = client.url("/dashboard");
    screen.say(&format!(
        "A coordinator, new and empty, listens; its dashboard is {dashboard}"
    ));
    screen
        .say(&style.part("Owners try their tasks and post them; miners submit; validators replay"));
    let runner = Runner::find()?.with_state(&place.join("owner")).until(stop);
    let validators = network.validators.len();
    let tasks = owners::post(&screen, &client, &runner, &fixtures, validators, place)?;
    let miners = Miners::new(&place.join("miners"), &client.url(""))?;
    let entries: Vec<Entry<'_>> = tasks
        .iter()
        .flat_map(|task| {
            let submitted = task.fixture.cases.iter();
            let submitted = submitted.filter(|case| case.name != BASELINE);
            submitted.map(move |case| Entry { task, case })
        })
        .collect();
    let mut watch = Watch::new(&network, &entries);
    thread::scope(|scope| {
        let submitted = miners.submit(scope, &entries, stop);
        watch.until_decided(&mut screen, &submitted, stop)
    })?;

    for task in &tasks {
        results::show(&screen, &client, &miners, task, &watch)?;
    }
    let hotkeys = snapshot::show(&screen, &client, &miners)?;
    let epoch = epoch::make(&screen, place, &client.url(""), &miners, &hotkeys)?;
    epoch::check(&screen, &miners, &epoch)?;
    let mut is_right = contract::claim(&screen, &miners, &epoch)?;
    is_right &= weights::show(&screen, &client, &miners, &network.validators[0], place)?;

    let fates = &watch.fates;
    let as_expected = fates.iter().filter(|fate| fate.is_as_expected()).count();
    let replays: usize = fates.iter().map(|fate| fate.replays.len()).sum();
    is_right &= as_expected == entries.len();
    let text = format!(
        "{as_expected} of {} submissions ended as expected, {replays} replays, in {:.0} s",
        entries.len(),
        screen.elapsed().as_secs_f64()
    );
    screen.say(&format!("\n{} {}", style.mark(is_right), style.bold(&text)));
    if arguments.keep_serving {
        screen.say(&format!("The dashboard is {dashboard} until Ctrl-C."));
        while network.coordinator.is_running()? && !stop.is_set() {
            thread::sleep(Duration::from_millis(100));
        }
    } else {
        let text = "With --keep-serving the dashboard stays to be looked at.";
        screen.say(&style.aside(text));
    }
    Ok(is_right)
}
