//! `bitsota-research-agent`: from "what is there to do?" to a verified submission.

mod agent;
mod cli;
mod client;
mod compare;
mod failure;
mod gate;
mod lab;
mod mining;
mod progress;
mod rewards;
mod submission_file;
mod task;
mod terminal;
mod workspace;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // The hotkey is in memory: a crash shall not write it to a disk, and no other
    // process of this user shall read it. Where the kernel refuses, so be it.
    let _ = nix::sys::prctl::set_dumpable(false);
    cli::run(cli::Cli::parse())
}
