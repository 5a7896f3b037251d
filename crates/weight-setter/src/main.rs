//! `weight-setter`: sets a validator's weights as the published policy says.

mod cli;
mod page;
mod print;
mod repeat;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use weight_setter::lock::Lock;
use weight_setter::round::{Mode, Report};

use crate::cli::Cli;

/// Something is wrong with the options or the wallet.
const USAGE: u8 = 2;
/// The policy is refused.
const REFUSED: u8 = 3;
/// The rate limit has not passed.
const TOO_EARLY: u8 = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "weight_setter=info,subtensor=info".into()),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let cli = Cli::parse();
    let setter = match cli.setter().await {
        Ok(setter) => setter,
        Err(error) => return fail(&error, USAGE),
    };
    if cli.dry_run {
        return finish(&cli, setter.run(Mode::DryRun, None).await);
    }
    // Held to the end: whoever signs is alone.
    let _lock = match Lock::take(&cli.lock_dir, &setter.keypair.hotkey()) {
        Ok(lock) => lock,
        Err(error) => return fail(&error.into(), USAGE),
    };
    if cli.repeat {
        return match repeat::run(&cli, &setter).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, 1),
        };
    }
    finish(&cli, setter.run(Mode::Set, None).await)
}

fn finish(cli: &Cli, round: Result<Report, weight_setter::round::RoundError>) -> ExitCode {
    match round {
        Ok(report) => {
            print::report(&report, cli.json);
            match report {
                Report::TooEarly { .. } => ExitCode::from(TOO_EARLY),
                _ => ExitCode::SUCCESS,
            }
        }
        Err(error) => {
            let status = if error.is_refusal() { REFUSED } else { 1 };
            fail(&error.into(), status)
        }
    }
}

fn fail(error: &anyhow::Error, status: u8) -> ExitCode {
    eprintln!("weight-setter: {error:#}");
    ExitCode::from(status)
}
