//! `replay-runner completions SHELL`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  replay-runner completions bash > /etc/bash_completion.d/replay-runner"
)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut super::Cli::command(),
        "replay-runner",
        &mut script,
    );
    super::output::ended(&String::from_utf8_lossy(&script), 0)
}
