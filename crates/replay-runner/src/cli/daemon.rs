//! `replay-runner daemon`.

use std::path::PathBuf;

use clap::Args;
use replay_runner::daemon::{self, Overrides, Start, config};
use replay_runner::state::State;

use super::{Global, USAGE};

/// Validate: fetch jobs, replay them, post what was observed
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  replay-runner daemon                                    the configuration is ./validator.toml
  replay-runner daemon --config validator.yaml            a file that the network's validators have already
  replay-runner daemon --config validator.toml --dry-run --once
  replay-runner status                                    what it is doing now

A minimal validator.toml:
  coordinator_url = \"https://coordinator.example\"
  wallet_name = \"validator\"
  wallet_hotkey = \"default\"

Signals: SIGTERM and Ctrl-C take no new work, let replays end within grace_seconds and hand
back the others (a second one hands back at once); SIGHUP reads the configuration again.
Exit status: 0 ended as asked, 1 error, or results are left to be posted by the next start, or
with --once no work could be asked for, 2 the configuration cannot be used.")]
pub(crate) struct DaemonArgs {
    /// The configuration: TOML, or the YAML that validators of the network have
    #[arg(
        long,
        value_name = "FILE",
        default_value = "validator.toml",
        env = "REPLAY_RUNNER_CONFIG"
    )]
    config: PathBuf,

    /// Ask for work once, do it, post it and end
    #[arg(long)]
    once: bool,

    /// Replay, but lease and post nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: &DaemonArgs, global: &Global) -> u8 {
    if let Err(error) = daemon::seal_process() {
        eprintln!(
            "replay-runner: core dumps, which would hold the key, cannot be forbidden: {error}"
        );
        return 1;
    }
    let start = match start(args, global) {
        Ok(start) => start,
        Err(message) => {
            eprintln!("replay-runner: {message}");
            return USAGE;
        }
    };
    match daemon::run(start).await {
        Ok(ended) => {
            if let Some(shortfall) = &ended.shortfall {
                eprintln!("replay-runner: {shortfall}");
            }
            let count = ended.unposted;
            if count > 0 {
                eprintln!(
                    "replay-runner: {count} results are in the spool; the next start posts them"
                );
            }
            u8::from(ended.shortfall.is_some() || count > 0)
        }
        Err(error) => {
            eprintln!("replay-runner: {error}");
            1
        }
    }
}

fn start(args: &DaemonArgs, global: &Global) -> Result<Start, String> {
    let loaded = config::load(&args.config).map_err(|error| error.to_string())?;
    for warning in &loaded.warnings {
        eprintln!("replay-runner: {}: {warning}", args.config.display());
    }
    let config = loaded.config;
    config
        .access
        .read_root_certificate()
        .map_err(|error| format!("{}: {error}", args.config.display()))?;
    let keypair = daemon::read_key(&config.wallet, config.wallet_password_file.as_deref())
        .map_err(|error| error.to_string())?;
    // The command line comes before the file.
    let root = global
        .state
        .clone()
        .or_else(|| config.state_dir.clone())
        .unwrap_or_else(State::default_root);
    let state = State::open(&root).map_err(|error| error.to_string())?;
    Ok(Start {
        config,
        config_file: args.config.clone(),
        overrides: Overrides {
            once: args.once,
            dry_run: args.dry_run,
        },
        keypair,
        state,
    })
}
