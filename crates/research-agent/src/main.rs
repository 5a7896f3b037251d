//! `bitsota-research-agent`: from "what is there to do?" to a verified submission.

mod agent;
mod cli;
mod client;
mod compare;
mod failure;
mod gate;
mod lab;
mod mining;
mod submission_file;
mod task;
mod terminal;
mod workspace;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
