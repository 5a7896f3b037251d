//! The demo as a stranger starts it: coordinator, validators, miners, pool, the
//! contract's code and weights, from a submission to a claim, in one run.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The demo with `arguments`, no terminal before it.
fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(arguments).stdin(Stdio::null());
    command
}

#[test]
fn what_miners_earned_by_replays_is_paid_by_the_contract_once() -> Result<()> {
    let ended = demo(&["--task", "compressed-model"]).output()?;
    let shown = String::from_utf8(ended.stdout)?;
    let errors = String::from_utf8_lossy(&ended.stderr);
    ensure!(
        ended.status.code() == Some(0),
        "{}: {errors}\n{shown}",
        ended.status
    );
    ensure!(!shown.contains('✗'), "{shown}");
    // One line of each part, in their order: whatever is left out was not reached.
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines = shown.lines().map(words);
    for part in [
        "mallory submits wrong-digest",
        "✓ four-bits alice accepted ok",
        "pool verify: epoch 1 follows from its inputs",
        "its proof leads to the root",
        "one rao too many ProofInvalid 0.000000000 tokens",
        "the proof as it is paid 500.000000000 tokens",
        "the same again AlreadyClaimed 0.000000000 tokens",
        "✓ set_weights would give UID 0 (the subnet's owner) 65535",
        "✓ 4 of 4 submissions ended as expected",
    ] {
        ensure!(
            lines.any(|line| line.contains(part)),
            "{part:?} is not shown, or not there:\n{shown}"
        );
    }
    Ok(())
}

#[test]
fn a_demo_that_is_interrupted_ends_what_it_started() -> Result<()> {
    let mut running = demo(&["--task", "digits-frontier"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (dashboard, replaying) = first_replay(&mut running)?;
    kill(Pid::from_raw(running.id().try_into()?), Signal::SIGINT)?;
    let mut errors = String::new();
    let mut stderr = running.stderr.take().context("its errors")?;
    stderr.read_to_string(&mut errors)?;
    let status = running.wait()?;
    ensure!(replaying, "it ended before anything was replayed: {errors}");
    ensure!(status.code() == Some(130), "{status}: {errors}");
    ensure!(errors.contains("nothing of it is left"), "{errors}");
    ensure!(
        reqwest::blocking::get(&dashboard).is_err(),
        "a coordinator still answers at {dashboard}"
    );
    Ok(())
}

/// Reads up to the first replay. Where the dashboard is, and whether it came to one.
fn first_replay(running: &mut Child) -> Result<(String, bool)> {
    let mut lines = BufReader::new(running.stdout.take().context("its output")?).lines();
    let first = lines.next().context("a first line")??;
    let dashboard = first.split_whitespace().last().context("an address")?;
    for line in lines.by_ref() {
        if line?.contains("replays") {
            // Who is told nothing any more would end by that, not by the signal.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok((dashboard.to_owned(), true));
        }
    }
    Ok((dashboard.to_owned(), false))
}

#[test]
fn a_task_that_there_is_not_is_answered_with_those_there_are() -> Result<()> {
    let ended = demo(&["--task", "riches"]).output()?;
    let errors = String::from_utf8(ended.stderr)?;
    ensure!(ended.status.code() == Some(1), "{}", ended.status);
    ensure!(
        errors.contains("digits-frontier, matmul-kernel, compressed-model"),
        "{errors}"
    );
    ensure!(ended.stdout.is_empty(), "it began all the same");
    Ok(())
}
