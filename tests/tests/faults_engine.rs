//! Section 10 of the corpus: the engine is away, goes away, comes back, or does
//! not answer. A socket in front of the real one plays its part.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use protocol::{Code, Fault};
use system_tests::corpus::engine::wait_until;
use system_tests::corpus::private_engine::PrivateEngine;
use system_tests::corpus::proxy::Proxy;
use system_tests::corpus::table::{honest_replay, problems};
use system_tests::corpus::{Lab, Row, Task, row};

#[test]
fn an_engine_that_is_absent_is_told_in_a_sentence() -> Result<()> {
    let lab = Lab::new()?;
    let nowhere = format!("unix://{}/no.sock", lab.path().display());
    let absent = row("C03", "no socket").runner_env("DOCKER_HOST", &nowhere);
    let absent = absent
        .errs(Code::SandboxEngineUnavailable, Fault::Validator)
        .and("the message says what to do", |seen| {
            ensure!(
                seen.report.message.contains("DOCKER_HOST"),
                "{:?}",
                seen.report.message
            );
            Ok(())
        });
    holds(&lab, &absent)
}

#[test]
fn an_engine_that_restarts_while_a_stage_runs_is_nobodys_rejection() -> Result<()> {
    let lab = Lab::new()?;
    let proxy = Arc::new(Proxy::at(&lab.path().join("engine.sock"))?);
    let engine = Arc::clone(&proxy);
    let restarted = behind(&proxy, "cut for a second, then back")
        .meanwhile(move |running| {
            running.wait_for_stage("benchmark")?;
            engine.cut();
            thread::sleep(Duration::from_secs(1));
            engine.mend();
            Ok(())
        })
        .errs(Code::SandboxEngineUnavailable, Fault::Validator);
    holds(&lab, &restarted)
}

#[test]
fn an_engine_that_goes_away_for_good_leaves_what_the_next_start_removes() -> Result<()> {
    let lab = Lab::new()?;
    let proxy = Arc::new(Proxy::at(&lab.path().join("engine.sock"))?);
    let engine = Arc::clone(&proxy);
    let gone = behind(&proxy, "cut for good")
        .meanwhile(move |running| {
            running.wait_for_stage("benchmark")?;
            engine.cut();
            Ok(())
        })
        .errs(Code::SandboxEngineUnavailable, Fault::Validator);
    let failures = problems(&lab, &gone);
    ensure!(failures.is_empty(), "{failures:?}");
    ensure!(
        !lab.residue()?.is_empty(),
        "nothing was left to clean up: the test proves nothing"
    );
    let failures = honest_replay(&lab, "with the engine back");
    ensure!(failures.is_empty(), "{failures:?}");
    nothing_is_left(&lab)
}

#[test]
fn a_real_engine_that_is_stopped_or_killed_while_a_stage_runs_is_nobodys_rejection() -> Result<()> {
    let lab = Lab::new()?;
    let Some(mut engine) = PrivateEngine::start(&lab.path().join("engine"), "replay-sandbox/c:1")?
    else {
        eprintln!(
            "not tested: dockerd is not on this machine; the tests with a socket in front of it stand in"
        );
        return Ok(());
    };
    let program = |program: &str| {
        row("C02", "behind a private engine")
            .of(Task::sh().budget(30))
            .miner(program)
            .runner_env("DOCKER_HOST", &engine.address())
    };
    let slow = program("sleep 20; echo '{\"score\": 3}' > result.json")
        .errs(Code::SandboxEngineUnavailable, Fault::Validator);
    let quick = program("echo '{\"score\": 3}' > result.json").scores("3");
    for signal in ["-TERM", "-KILL"] {
        let running = lab.start(&slow)?;
        wait_until("a container", Duration::from_mins(1), || {
            Ok(engine.containers()?.contains("-benchmark").then_some(()))
        })?;
        thread::sleep(Duration::from_secs(1));
        engine.stop(signal)?;
        let seen = running.see()?;
        let differences = slow.differences(&seen);
        ensure!(differences.is_empty(), "after {signal}: {differences:?}");
        engine.again()?;
        let failures = problems(&lab, &quick);
        ensure!(failures.is_empty(), "after {signal}: {failures:?}");
        ensure!(
            engine.containers()?.is_empty(),
            "after {signal}: {} are left",
            engine.containers()?
        );
    }
    drop(engine);
    nothing_is_left(&lab)
}

#[test]
fn an_engine_that_never_answers_a_start_times_out_and_the_next_job_goes_on() -> Result<()> {
    never_answers(&["POST", "/start"])
}

#[test]
fn an_engine_that_never_answers_an_attach_times_out_and_the_next_job_goes_on() -> Result<()> {
    never_answers(&["POST", "/attach"])
}

#[test]
fn an_engine_that_never_answers_a_look_at_an_image_times_out() -> Result<()> {
    never_answers(&["GET", "/images/"])
}

#[test]
fn an_engine_that_never_tells_of_the_end_is_asked() -> Result<()> {
    let lab = Lab::new()?;
    let proxy = Proxy::at(&lab.path().join("engine.sock"))?;
    proxy.never_answer(&["POST", "/wait"]);
    let patient = row("T13", "the word of the end is lost")
        .of(Task::sh().budget(20))
        .miner("sleep 0.2; echo '{\"score\": 3}' > result.json")
        .runner_env("DOCKER_HOST", &proxy.address())
        .scores("3");
    holds(&lab, &patient)
}

#[test]
fn an_engine_that_never_answers_a_kill_does_not_stretch_the_budget() -> Result<()> {
    let lab = Lab::new()?;
    let proxy = Proxy::at(&lab.path().join("engine.sock"))?;
    proxy.never_answer(&["POST", "/kill"]);
    let stubborn = row("T13", "a kill that is not answered")
        .of(Task::sh().budget(2))
        .miner("trap '' TERM; (setsid sleep 60 &); sleep 60")
        .runner_env("DOCKER_HOST", &proxy.address())
        .rejects(Code::BenchmarkTimeout)
        .and("it is gone a second after its budget", |seen| {
            seen.every_container_was_gone_within(3.0)
        });
    holds(&lab, &stubborn)
}

#[test]
fn an_engine_that_never_tells_how_a_container_is_does_not_stretch_the_budget() -> Result<()> {
    let lab = Lab::new()?;
    let proxy = Proxy::at(&lab.path().join("engine.sock"))?;
    proxy.never_answer(&["GET", "/containers/", "/json"]);
    let endless = row("T13", "a look that is not answered")
        .of(Task::sh().budget(3))
        .miner("sleep 60")
        .runner_env("DOCKER_HOST", &proxy.address())
        .errs(Code::SandboxEngineTimeout, Fault::Validator)
        .and("it was dead a second after its budget", |seen| {
            let events = seen.events()?;
            let at = |action: &str| {
                events
                    .iter()
                    .find(|event| event.action == action)
                    .map(|event| event.at.as_secs_f64())
            };
            let lived =
                at("die").context("it never died")? - at("start").context("it never started")?;
            ensure!(lived < 5.0, "it lived for {lived} s");
            Ok(())
        });
    holds(&lab, &endless)
}

fn never_answers(words: &[&str]) -> Result<()> {
    let lab = Lab::new()?;
    let proxy = Proxy::at(&lab.path().join("engine.sock"))?;
    proxy.never_answer(words);
    let hangs = behind(&proxy, "a call that is never answered")
        .errs(Code::SandboxEngineTimeout, Fault::Validator);
    holds(&lab, &hangs)
}

/// A replay of some seconds through `proxy`.
fn behind(proxy: &Proxy, says: &'static str) -> Row {
    row("C02", says)
        .of(Task::sh().budget(20))
        .miner("sleep 4; echo '{\"score\": 3}' > result.json")
        .runner_env("DOCKER_HOST", &proxy.address())
}

fn holds(lab: &Lab, row: &Row) -> Result<()> {
    let mut failures = problems(lab, row);
    failures.extend(honest_replay(lab, "with the engine back"));
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    nothing_is_left(lab)
}

fn nothing_is_left(lab: &Lab) -> Result<()> {
    let left = lab.residue()?;
    ensure!(
        left.is_empty(),
        "{left:?} below {}",
        Path::new(lab.path()).display()
    );
    Ok(())
}
