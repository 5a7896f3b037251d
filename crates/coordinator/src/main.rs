//! The coordinator's command line.

use std::process::ExitCode;

use clap::Parser as _;

mod cli;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "coordinator: {}",
                protocol::text::with_causes(error.as_ref())
            );
            ExitCode::FAILURE
        }
    }
}
