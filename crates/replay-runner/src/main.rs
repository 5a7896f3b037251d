//! `replay-runner`: replays an untrusted submission against a pinned task and
//! says what it observed.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
