//! The coordinator: signed submissions against what verifying their signatures
//! alone allows, and the large reads when there are a hundred thousand
//! submissions; on both databases.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use system_tests::runner::beside_this_program;

use crate::row::{Row, Target};
use crate::section::Bench;

/// The reads that have a target, and those that are good to know.
const READS: [(&str, bool); 5] = [
    ("worklist", true),
    ("catalog", true),
    ("snapshot", true),
    ("submissions", false),
    ("dashboard", false),
];

/// The slowest of a hundred answers, in milliseconds.
const P99_MS: f64 = 50.0;

pub(crate) fn under_load(bench: &Bench, tell: &mut impl FnMut(Row)) -> Result<()> {
    for database in ["sqlite", "postgres"] {
        let report = measured(bench, database)?;
        let number = |value: &Value| value.as_f64().context("the load program's report");
        let verified = number(&report["verifications_per_second"])?;
        let submitted = number(&report["submissions_per_second"])?;
        let cores = &report["cores"];
        tell(Row::reference(
            format!("sr25519 verifications, {cores} threads"),
            format!("{verified:.0} /s"),
        ));
        tell(Row::judged(
            format!("signed submissions, {database}"),
            submitted / verified,
            format!("{:.2} × ({submitted:.0} /s)", submitted / verified),
            Target::AtLeast(0.5),
            "×",
        ));
        for (name, has_target) in READS {
            let read = &report[name];
            let (p50, p99) = (number(&read["p50_ms"])?, number(&read["p99_ms"])?);
            let what = format!("{name}, {} submissions, {database}", report["rows"]);
            let shown = format!("p50 {p50:.1} ms, p99 {p99:.1} ms");
            tell(if has_target {
                Row::judged(what, p99, shown, Target::AtMost(P99_MS), "ms")
            } else {
                Row::reference(what, shown)
            });
        }
    }
    Ok(())
}

/// What the load program says of one database.
fn measured(bench: &Bench, database: &str) -> Result<Value> {
    let program = beside_this_program("examples/load")?;
    ensure!(
        program.is_file(),
        "{} is not there; build it with `cargo build --release --workspace --examples`",
        program.display()
    );
    let mut command = Command::new(&program);
    command.arg(database);
    if bench.effort.quick {
        command.args(["--seconds", "1", "--rows", "10000"]);
    }
    let done = command
        .output()
        .with_context(|| program.display().to_string())?;
    let errors = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{database}: {errors}");
    Ok(serde_json::from_slice(&done.stdout)?)
}
