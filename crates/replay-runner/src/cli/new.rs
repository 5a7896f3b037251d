//! `replay-runner new TASK`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use replay_runner::scaffold::{self, Judge, ScaffoldError};

use super::{USAGE, output};

/// Start a task repository that is fit to post
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  replay-runner new my-task                          Python, judged in a score stage
  replay-runner new my-kernel --language c
  replay-runner new my-task --no-score               judged in the benchmark's own container

With a score stage the judge runs in a container that submitted code never sees. Without one the
two share a file system: keep to supervisor metrics, which nothing inside can write.

Exit status: 0 made, 1 error, 2 usage.")]
pub(crate) struct NewArgs {
    /// The directory to make; its name is the task's slug
    #[arg(value_name = "TASK")]
    task: PathBuf,

    /// What submissions are written in
    #[arg(long, value_enum, default_value_t = Language::Python)]
    language: Language,

    /// Judge in a score stage (the default)
    #[arg(long, overrides_with = "no_score")]
    score: bool,

    /// Judge in the benchmark's container
    #[arg(long, overrides_with = "score")]
    no_score: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Python,
    C,
}

pub(crate) fn run(args: &NewArgs) -> u8 {
    let language = match args.language {
        Language::Python => scaffold::Language::Python,
        Language::C => scaffold::Language::C,
    };
    let judge = if args.no_score {
        Judge::SameContainer
    } else {
        Judge::ScoreStage
    };
    match scaffold::write(&args.task, language, judge) {
        Ok(written) => {
            let paths: Vec<String> = written
                .iter()
                .map(|path| format!("{}\n", path.display()))
                .collect();
            let place = args.task.display();
            let shown = format!(
                "{}\nnext: replay-runner run {place}\n      {place}/README.md says the rest\n",
                paths.concat()
            );
            output::ended(&shown, 0)
        }
        Err(error) => {
            eprintln!("replay-runner: {error}");
            match error {
                ScaffoldError::Io { .. } => 1,
                ScaffoldError::NotEmpty(_) | ScaffoldError::Name(_) => USAGE,
            }
        }
    }
}
