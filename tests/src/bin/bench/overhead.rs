//! What a replay costs beside its commands.

use anyhow::Result;

use crate::engine::{Bare, docker_run};
use crate::row::{Row, Target};
use crate::sample::Samples;
use crate::section::{Bench, Effort};
use crate::tasks::{Made, Noise, Wanted};

/// Stages, and the largest overhead in units of the reference.
const STAGES: [(usize, &str, f64); 3] = [
    (1, "one stage (benchmark)", 1.0),
    (2, "two stages (setup, benchmark)", 1.6),
    (3, "three stages (setup, benchmark, score)", 2.2),
];

/// One thing that is measured between two references.
#[derive(Default)]
struct Between {
    values: Samples,
    /// Without the start and the end of the program.
    inner: Samples,
    around: Vec<(f64, f64)>,
}

/// The overhead of replays with one, two and three stages.
pub(crate) fn stages(bench: &Bench, tell: &mut impl FnMut(Row)) -> Result<()> {
    let mut tasks = Vec::new();
    for (stages, ..) in STAGES {
        let name = format!("stages-{stages}");
        let made = bench.workshop.task(&Wanted {
            name: &name,
            stages,
            ..Wanted::default()
        })?;
        bench.program.replay(&made, None)?;
        tasks.push(made);
    }
    let mut bare = Bare::connect()?;
    bare.container()?;
    let mut bare_runs = Between::default();
    let mut replays = STAGES.map(|_| Between::default());
    let mut reference = Samples::default();
    let mut before = docker_run()?;
    for _ in 0..bench.effort.rounds {
        let mut next_reference = || -> Result<(f64, f64)> {
            let after = docker_run()?;
            reference.push(after);
            Ok((std::mem::replace(&mut before, after), after))
        };
        bare_runs.values.push(bare.container()?);
        bare_runs.around.push(next_reference()?);
        for (made, between) in tasks.iter().zip(&mut replays) {
            let timed = bench.program.replay(made, None)?;
            between.values.push(timed.overhead());
            between.inner.push(timed.report.timing.overhead_seconds);
            between.around.push(next_reference()?);
        }
    }
    let what = "docker run --rm --network none IMAGE true";
    tell(Row::reference(what, reference.show("s").to_string()));
    let ratio = bare_runs.values.per_neighbours(&bare_runs.around);
    let what = "the same four calls of the engine's API";
    tell(Row::reference(what, ratio.show("×").to_string()));
    for ((_, what, target), between) in STAGES.into_iter().zip(&replays) {
        let ratio = between.values.per_neighbours(&between.around);
        let target = Target::AtMost(target);
        tell(row(&format!("overhead, {what}"), &ratio, target));
        let inner = between.inner.per_neighbours(&between.around);
        let what = "  of it without starting the program";
        tell(Row::reference(what, inner.show("×").to_string()));
    }
    Ok(())
}

/// What a large repository and a large artifact add to the overhead.
pub(crate) fn sizes(bench: &Bench, tell: &mut impl FnMut(Row)) -> Result<()> {
    let Effort { quick, .. } = bench.effort;
    let (files, file_bytes) = if quick {
        (200, 10_000)
    } else {
        (2_000, 100_000)
    };
    let task = |name, files| {
        let wanted = Wanted {
            name,
            files,
            file_bytes,
            ..Wanted::default()
        };
        bench.workshop.task(&wanted)
    };
    let small = task("small", 0)?;
    let large = task("large", files)?;
    let artifact = bench.workshop.path("artifact.bin");
    let artifact_mib = if quick { 16 } else { 1024 };
    crate::artifact::write_noise(&artifact, artifact_mib, &mut Noise(2))?;
    // Three times: the seal of a file that has just been written is not yet believed.
    for _ in 0..3 {
        bench.program.replay(&large, None)?;
        bench.program.replay(&small, Some(&artifact))?;
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    let overhead = |made: &Made, artifact| -> Result<f64> {
        Ok(bench.program.replay(made, artifact)?.overhead())
    };
    let (mut repository, mut with_artifact) = (Between::default(), Between::default());
    let mut before = overhead(&small, None)?;
    for _ in 0..bench.effort.rounds {
        for (made, artifact, between) in [
            (&large, None, &mut repository),
            (&small, Some(artifact.as_path()), &mut with_artifact),
        ] {
            between.values.push(overhead(made, artifact)?);
            let after = overhead(&small, None)?;
            between.around.push((before, after));
            before = after;
        }
    }
    let megabytes = files * file_bytes / 1_000_000;
    let what = format!("overhead, {megabytes} MB in {files} files, to a small one's");
    let ratio = repository.values.per_neighbours(&repository.around);
    tell(row(&what, &ratio, Target::AtMost(1.3)));
    let what = format!("overhead, kept artifact of {artifact_mib} MiB, to none");
    let ratio = with_artifact.values.per_neighbours(&with_artifact.around);
    // Nothing, as far as a busy machine can tell.
    tell(row(&what, &ratio, Target::AtMost(1.1)));
    Ok(())
}

fn row(what: &str, ratio: &Samples, target: Target) -> Row {
    Row::judged(
        what,
        ratio.median(),
        ratio.show("×").to_string(),
        target,
        "×",
    )
}
