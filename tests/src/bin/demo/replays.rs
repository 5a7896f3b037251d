//! Replays what was submitted, a few at once, and shows each in its order.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

use anyhow::Result;
use protocol::Report;
use system_tests::fixtures::{Case, Fixture};
use system_tests::table::Table;
use system_tests::verdict::differences;

use crate::client::Client;
use crate::miners::Taken;
use crate::validator::{Done, Validator};

/// A submission and how the coordinator took it.
pub(crate) struct Entered<'a> {
    pub(crate) fixture: &'a Fixture,
    pub(crate) case: &'a Case,
    pub(crate) miner: &'static str,
    pub(crate) taken: Taken,
}

/// Replays everything that waits; how many submissions ended as expected.
pub(crate) fn all(
    client: &Client,
    validator: &Validator,
    entered: &[Entered<'_>],
    baselines: &BTreeMap<String, Report>,
    at_once: usize,
    table: Table,
) -> Result<usize> {
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..at_once {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some(result) = validator.work(client).transpose() {
                    let is_over = result.is_err();
                    if sender.send(result).is_err() || is_over {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut done = BTreeMap::new();
        let mut waiting = entered.iter().peekable();
        let mut as_expected = 0;
        let mut last_task = "";
        loop {
            while let Some(next) = waiting.peek() {
                let found = match &next.taken {
                    Taken::Refused { code } => shown_refusal(table, &mut last_task, next, code),
                    // Only ever the answer to one of several miners.
                    Taken::Repeated => false,
                    Taken::Pending { id } => match done.get(id) {
                        Some(done) => shown_replay(table, &mut last_task, next, done, baselines),
                        None => break,
                    },
                };
                as_expected += usize::from(found);
                waiting.next();
            }
            let Ok(result) = receiver.recv() else { break };
            let one = result?;
            done.insert(one.submission_id.clone(), one);
        }
        for lost in waiting {
            println!("{}", table.broken_row(lost.case, "nobody replayed it"));
        }
        Ok(as_expected)
    })
}

fn heading<'a>(table: Table, last_task: &mut &'a str, entered: &Entered<'a>) {
    if *last_task != entered.fixture.name {
        *last_task = &entered.fixture.name;
        println!(
            "{}",
            table.heading(&entered.fixture.name, &entered.fixture.task)
        );
    }
}

fn shown_refusal<'a>(
    table: Table,
    last_task: &mut &'a str,
    entered: &Entered<'a>,
    code: &str,
) -> bool {
    heading(table, last_task, entered);
    let expected = &entered.case.submission.expect;
    let mut found = Vec::new();
    if expected.code.as_str() != code {
        found.push(format!("expected {} {}", expected.status, expected.code));
    }
    println!("{}", table.refused_row(&by(entered), code, &found));
    found.is_empty()
}

fn shown_replay<'a>(
    table: Table,
    last_task: &mut &'a str,
    entered: &Entered<'a>,
    done: &Done,
    baselines: &BTreeMap<String, Report>,
) -> bool {
    heading(table, last_task, entered);
    let (task, report) = (&entered.fixture.task, &done.report);
    let expected = &entered.case.submission.expect;
    let baseline = baselines.get(&entered.fixture.name);
    let mut found = differences(expected, task, report, baseline);
    if done.decision != report.status.to_string() {
        found.push(format!("the coordinator says {}", done.decision));
    }
    println!("{}", table.row(&by(entered), task, report, &found));
    found.is_empty()
}

/// The case with its miner's name beside what it does.
fn by(entered: &Entered<'_>) -> Case {
    let mut case = entered.case.clone();
    case.submission.summary = format!("{}: {}", entered.miner, case.submission.summary);
    case
}
