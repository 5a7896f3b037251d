//! `pool verify`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use pool::{Blobs, verify};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The epoch file.
    file: PathBuf,
    /// The directory of its inputs, by default the file's own.
    #[arg(long)]
    inputs: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let bytes = std::fs::read(&options.file)
        .with_context(|| format!("cannot read {}", options.file.display()))?;
    let beside = options.file.parent().unwrap_or(Path::new("."));
    let blobs = Blobs::in_directory(options.inputs.as_deref().unwrap_or(beside));
    match verify::history(&blobs, &bytes) {
        Ok(files) => {
            for file in files.iter().rev() {
                println!(
                    "epoch {} follows from its inputs: {}",
                    file.epoch, file.root
                );
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if error.is_proof() => {
            println!("WRONG: {error}");
            Ok(ExitCode::from(3))
        }
        Err(error) => Err(error).context("undecided"),
    }
}
