//! Running the program under test.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The words of the hotkey that every test's miner has.
pub(crate) const WORDS: &str =
    "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
pub(crate) const ADDRESS: &str = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV";

/// A directory to work in, with a home and an engine's state of its own.
pub(crate) struct Bench {
    pub(crate) directory: tempfile::TempDir,
    url: String,
}

impl Bench {
    pub(crate) fn new(url: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("home")).unwrap();
        Self {
            directory,
            url: url.to_owned(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The program in this directory, with a coordinator and a hotkey from the environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command
            .env("BITSOTA_COORDINATOR_URL", &self.url)
            .env("HOTKEY_MNEMONIC", WORDS);
        command
    }

    /// The program, told nothing by the environment.
    pub(crate) fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bitsota-research-agent"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_remove("BITSOTA_LLM_API_KEY")
            .env("HOME", self.path().join("home"))
            .env("REPLAY_RUNNER_STATE", self.path().join("state"))
            .stdin(Stdio::null());
        command
    }

    /// What a person sees who types this at a terminal.
    pub(crate) fn at_terminal(&self, line: &str) -> String {
        let program = env!("CARGO_BIN_EXE_bitsota-research-agent");
        let mut command = Command::new("script");
        command
            .args([
                "--quiet",
                "--return",
                "--command",
                &format!("'{program}' {line}"),
                "/dev/null",
            ])
            .current_dir(self.path())
            .env("HOME", self.path().join("home"))
            .env("BITSOTA_COORDINATOR_URL", &self.url)
            .env("TERM", "dumb")
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments))
    }
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(mut command: Command) -> Self {
        Self::read(command.output().unwrap())
    }

    pub(crate) fn read(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The JSON that it printed, if it ended with this status.
    #[track_caller]
    pub(crate) fn json(&self, status: i32) -> Value {
        assert_eq!(self.status, status, "{self:#?}");
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:#?}"))
    }

    /// That it ended with this status and said this on standard error, and nothing else on output.
    #[track_caller]
    pub(crate) fn refused(&self, status: i32, words: &str) {
        assert_eq!(self.status, status, "{self:#?}");
        assert!(self.err.contains(words), "{words:?} is not in {self:#?}");
        assert_eq!(self.out, "", "{self:#?}");
    }
}
