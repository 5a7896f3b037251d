//! Standard output that is full, or whose reader has left.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Commands that need no engine to say something, with the exit status of each.
const COMMANDS: &[(&[&str], i32)] = &[
    (&["doctor"], 1),
    (&["doctor", "--json"], 1),
    (&["key"], 0),
    (&["new", "my-task"], 0),
    (&["completions", "bash"], 0),
    (&["verify", "receipt.json"], 3),
];

fn run(place: &Path, arguments: &[&str], out: impl Into<Stdio>) -> Output {
    std::fs::write(place.join("receipt.json"), "{}").unwrap();
    Command::new(env!("CARGO_BIN_EXE_replay-runner"))
        .args(arguments)
        .current_dir(place)
        .env("REPLAY_RUNNER_STATE", place.join("state"))
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .stdout(out)
        .stderr(Stdio::piped())
        .output()
        .unwrap()
}

#[test]
fn a_reader_that_leaves_ends_no_command_otherwise_than_it_would_end() {
    for (arguments, status) in COMMANDS {
        let place = tempfile::tempdir().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = run(place.path(), arguments, writer);
        assert_eq!(output.status.code(), Some(*status), "{output:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_told_and_is_an_error() {
    for (arguments, _) in COMMANDS {
        let place = tempfile::tempdir().unwrap();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = run(place.path(), arguments, full);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(
            told.contains("could not be written"),
            "{arguments:?}: {told}"
        );
    }
}
