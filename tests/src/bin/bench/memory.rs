//! The runner's own memory while a submission prints more than anyone can read.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::program::{finish, peak_memory_bytes};
use crate::row::{Row, Target};
use crate::section::Bench;
use crate::tasks::Wanted;

/// The peak memory of a runner whose benchmark floods both its outputs.
pub(crate) fn flood(bench: &Bench, tell: &mut impl FnMut(Row)) -> Result<()> {
    let megabytes: u64 = if bench.effort.quick { 100 } else { 2_000 };
    let benchmark = format!("yes 'one line after the other' | head -c {megabytes}000000;");
    let made = bench.workshop.task(&Wanted {
        name: "flood",
        benchmark: &benchmark,
        ..Wanted::default()
    })?;
    let started = Instant::now();
    let running = bench.program.start(&made, None)?;
    let watching = watch(running.id());
    let timed = finish(running, started)?;
    let peak = watching.join().map_err(|_| anyhow!("watching memory"))?;
    let printed: u64 = timed.report.stages.iter().map(|run| run.output_bytes).sum();
    anyhow::ensure!(
        printed >= megabytes * 1_000_000,
        "{printed} bytes were printed"
    );
    let mib = mib(peak);
    let what = format!("runner's peak memory, output of {megabytes} MB");
    tell(Row::judged(
        what,
        mib,
        format!("{mib:.0} MiB"),
        Target::AtMost(100.0),
        "MiB",
    ));
    Ok(())
}

/// Looks at the process's high-water mark until it is gone.
fn watch(process: u32) -> JoinHandle<u64> {
    let id = process.to_string();
    thread::spawn(move || {
        let mut peak = 0;
        while let Some(now) = peak_memory_bytes(&id) {
            peak = now;
            thread::sleep(Duration::from_millis(5));
        }
        peak
    })
}

#[expect(clippy::cast_precision_loss, reason = "a number for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
