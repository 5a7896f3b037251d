//! Many replays at once on two cores.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::program::finish;
use crate::row::{Row, Target};
use crate::sample::Samples;
use crate::section::Bench;
use crate::tasks::{Made, Wanted};

const REPLAYS: usize = 8;

/// Eight replays one at a time, and all queued at once, in turn.
pub(crate) fn eight(bench: &Bench, tell: &mut impl FnMut(Row)) -> Result<()> {
    let seconds = if bench.effort.quick { 0.2 } else { 1.0 };
    let work = busy_loop(rounds_for(seconds)?);
    let benchmark = format!("{work};");
    let made = bench.workshop.task(&Wanted {
        name: "queue",
        benchmark: &benchmark,
        ..Wanted::default()
    })?;
    let warm = bench.program.replay(&made, None)?;
    let inside: f64 = warm.report.stages.iter().map(|run| run.wall_seconds).sum();
    let cores = std::thread::available_parallelism()?.get();
    let (mut alone, mut queued) = (Samples::default(), Samples::default());
    let (mut bare_alone, mut bare_queued) = (Samples::default(), Samples::default());
    for _ in 0..bench.effort.rounds.min(3) {
        alone.push(one_at_a_time(bench, &made)?);
        queued.push(all_at_once(bench, &made)?);
        bare_alone.push(bare(&work, 1)?);
        bare_queued.push(bare(&work, cores)?);
    }
    let what = format!("{REPLAYS} replays of {inside:.1} s, one at a time");
    tell(Row::reference(what, alone.show("s").to_string()));
    let ideal = bare_alone.per(&bare_queued).show("×").to_string();
    tell(Row::reference(
        "throughput of the bare commands, one a core",
        ideal,
    ));
    let speed = alone.per(&queued);
    let shown = speed.show("×").to_string();
    let what = format!("throughput, all queued at once on {cores} cores");
    tell(Row::judged(
        what,
        speed.median(),
        shown,
        Target::AtLeast(1.8),
        "×",
    ));
    Ok(())
}

fn one_at_a_time(bench: &Bench, made: &Made) -> Result<f64> {
    let started = Instant::now();
    for _ in 0..REPLAYS {
        bench.program.replay(made, None)?;
    }
    Ok(started.elapsed().as_secs_f64())
}

fn all_at_once(bench: &Bench, made: &Made) -> Result<f64> {
    let started = Instant::now();
    let start = |_| bench.program.start(made, None);
    let running: Vec<_> = (0..REPLAYS).map(start).collect::<Result<_>>()?;
    for child in running {
        finish(child, started)?;
    }
    Ok(started.elapsed().as_secs_f64())
}

/// Seconds of the same work outside any container, so many at once: what the
/// machine can give while others use it, too.
fn bare(work: &str, at_once: usize) -> Result<f64> {
    let started = Instant::now();
    for _ in 0..REPLAYS / at_once.min(REPLAYS) {
        let start = |_| Command::new("sh").args(["-c", work]).spawn();
        let running: Vec<_> = (0..at_once.min(REPLAYS))
            .map(start)
            .collect::<Result<_, _>>()?;
        for mut child in running {
            ensure!(child.wait()?.success(), "the shell cannot count");
        }
    }
    Ok(started.elapsed().as_secs_f64())
}

/// One thread that counts, in the shell that every image has.
fn busy_loop(rounds: u64) -> String {
    format!("i=0; while [ $i -lt {rounds} ]; do i=$((i+1)); done")
}

/// How far this machine's shell counts in so many seconds of processor time:
/// the least of three tries, since others may be at work.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a length for a loop"
)]
fn rounds_for(seconds: f64) -> Result<u64> {
    const TRIED: u64 = 200_000;
    let mut least = f64::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        let status = Command::new("sh")
            .args(["-c", &busy_loop(TRIED)])
            .status()?;
        ensure!(status.success(), "the shell cannot count");
        least = least.min(started.elapsed().as_secs_f64());
    }
    Ok((TRIED as f64 * seconds / least) as u64)
}
