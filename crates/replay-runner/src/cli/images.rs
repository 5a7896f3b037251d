//! `replay-runner images`.

use replay_runner::engine::{Deadlines, Engine};
use replay_runner::images::command::{self, ImagesCommand};

pub(crate) async fn run(images: &ImagesCommand) -> u8 {
    let engine = match Engine::connect(Deadlines::default()).await {
        Ok(engine) => engine,
        Err(error) => {
            eprintln!("replay-runner: {error}");
            return 1;
        }
    };
    match command::run(engine.client(), images, &|step| eprintln!("{step}")).await {
        Ok(report) => {
            print!("{report}");
            0
        }
        Err(error) => {
            eprintln!("replay-runner: {error}");
            1
        }
    }
}
