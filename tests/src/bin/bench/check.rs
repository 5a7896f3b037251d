//! What a full check costs, in replays' worth of time.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::row::{Row, Target};
use crate::sample::Samples;
use crate::section::Bench;
use crate::tasks::Wanted;

/// A check prepares once and runs two replays at a time on two cores: each run
/// should cost less than a replay alone.
const MOST_REPLAYS_A_RUN: f64 = 1.0;

/// A replay and a full check of the same small task, in turn.
pub(crate) fn full(bench: &Bench, tell: &mut impl FnMut(Row)) -> Result<()> {
    let made = bench.workshop.task(&Wanted {
        name: "check",
        benchmark: "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done;",
        ..Wanted::default()
    })?;
    bench.program.replay(&made, None)?;
    let (mut alone, mut whole, mut runs) = (Samples::default(), Samples::default(), 0.0);
    for _ in 0..bench.effort.rounds.min(5) {
        alone.push(bench.program.replay(&made, None)?.wall);
        let started = Instant::now();
        runs = check(bench, &made.directory)?;
        whole.push(started.elapsed().as_secs_f64());
    }
    tell(Row::reference("one replay", alone.show("s").to_string()));
    let replays = whole.per(&alone);
    let what = format!("a full check, {runs} runs, in replays' worth of time");
    let shown = replays.show("×").to_string();
    let target = Target::AtMost(MOST_REPLAYS_A_RUN * runs);
    tell(Row::judged(what, replays.median(), shown, target, "×"));
    Ok(())
}

/// Checks the baseline, which is deterministic; how many runs that took.
fn check(bench: &Bench, task: &Path) -> Result<f64> {
    let output = Command::new(bench.program.binary())
        .arg("check")
        .arg(task)
        .args(["--format", "json", "--state"])
        .arg(bench.program.state())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    ensure!(
        output.status.success(),
        "the bench's own check ended with {}",
        output.status
    );
    let report: Value = serde_json::from_slice(&output.stdout).context("the check's report")?;
    report["tally"]["runs"].as_f64().context("how many runs")
}
