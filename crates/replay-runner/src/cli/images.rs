//! `replay-runner images`.

use replay_runner::engine::{Deadlines, Engine};
use replay_runner::images::command::{self, ImagesCommand};

use super::output;

/// Below the list of its commands.
pub(super) const EXAMPLES: &str = "\
Examples:
  replay-runner images list                           are they here?
  replay-runner images build                          build what is not
  replay-runner images build replay-sandbox/c --locked   exactly the packages that the lock records

Exit status: 0 done, 1 error, 2 usage.";

pub(crate) async fn run(images: &ImagesCommand) -> u8 {
    let engine = match Engine::connect(Deadlines::default()).await {
        Ok(engine) => engine,
        Err(error) => {
            eprintln!("replay-runner: {error}");
            return 1;
        }
    };
    match command::run(engine.client(), images, &|step| eprintln!("{step}")).await {
        Ok(report) => output::ended(&report, 0),
        Err(error) => {
            eprintln!("replay-runner: {error}");
            1
        }
    }
}
