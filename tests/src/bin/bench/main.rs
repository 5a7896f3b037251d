//! Measures what the design promises, side by side in one run, and says what is
//! met and what is not.

mod artifact;
mod check;
mod coordinator;
mod daemon;
mod engine;
mod memory;
mod overhead;
mod phases;
mod program;
mod queue;
mod row;
mod sample;
mod section;
mod tasks;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum as _};

use artifact::verify_for_parent;
use row::{Verdict, print_heading};
use section::{Bench, Effort, Section};

/// Measures what the design promises, side by side in one run.
///
/// Ratios are of things done in turn, so that a busy machine slows both; the
/// seconds are of this machine, now.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure [default: everything]
    #[arg(value_enum)]
    sections: Vec<Section>,
    /// Small files and few rounds: to try the bench, not to quote it
    #[arg(long)]
    quick: bool,
    /// How many rounds of paired measurements
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Exit with status 1 if a target is missed
    #[arg(long)]
    strict: bool,
    /// Verify FILE with a cache at DIR and print how it went: for the bench itself
    #[arg(long, hide = true, num_args = 2)]
    verify_artifact: Option<Vec<PathBuf>>,
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what was asked for; false if a target is missed and that matters.
fn measure(arguments: &Arguments) -> Result<bool> {
    if let Some([file, cache]) = arguments.verify_artifact.as_deref() {
        verify_for_parent(file, cache)?;
        return Ok(true);
    }
    let usual = if arguments.quick { 3 } else { 15 };
    let bench = Bench::new(Effort {
        rounds: arguments.rounds.unwrap_or(usual).max(1),
        quick: arguments.quick,
    })?;
    let sections = if arguments.sections.is_empty() {
        Section::value_variants()
    } else {
        &arguments.sections
    };
    print_heading();
    let mut missed = 0;
    for section in sections {
        let rows = bench.run(*section)?;
        missed += rows
            .iter()
            .filter(|row| row.verdict == Verdict::Missed)
            .count();
    }
    match missed {
        0 => println!("\nall targets met"),
        1 => println!("\n1 target missed"),
        _ => println!("\n{missed} targets missed"),
    }
    Ok(missed == 0 || !arguments.strict)
}
