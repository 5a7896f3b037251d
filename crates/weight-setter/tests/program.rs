//! The program itself: its options, its exit status, its lock.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use protocol::hotkey::Keypair;
use weight_setter::lock::Lock;

const PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.path("hotkey"), PHRASE).unwrap();
        let local = format!(
            r#"{{"generated_at": "{}", "reward_policy": {{"validator_weights": {{"mode": "local"}}}}}}"#,
            time::OffsetDateTime::now_utc()
                .format(&time::format_description::well_known::Rfc3339)
                .unwrap()
        );
        std::fs::write(place.path("local.json"), local).unwrap();
        std::fs::write(place.path("bad.json"), r#"{"reward_policy": {}}"#).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, options: &[&str]) -> Output {
        // Nobody listens there: whatever ends well has asked no node.
        Command::new(env!("CARGO_BIN_EXE_weight-setter"))
            .args(["--netuid", "94", "--endpoint", "ws://127.0.0.1:1"])
            .args(["--wallet-file", "hotkey", "--lock-dir", "."])
            .args(options)
            .current_dir(self.0.path())
            .env_clear()
            .output()
            .unwrap()
    }
}

fn status(output: &Output) -> (Option<i32>, String) {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn take(directory: &Path) -> Lock {
    let hotkey = Keypair::from_mnemonic(PHRASE).unwrap().hotkey();
    Lock::take(directory, &hotkey).unwrap()
}

#[test]
fn a_policy_that_leaves_weights_to_validators_ends_well_and_asks_no_node() {
    let place = Place::new();
    let (code, text) = status(&place.run(&["--once", "--snapshot", "local.json"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("nothing was set"), "{text}");
    let output = place.run(&["--once", "--json", "--snapshot", "local.json"]);
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["status"], "local");
}

#[test]
fn a_refused_policy_has_a_status_of_its_own() {
    let place = Place::new();
    let (code, text) = status(&place.run(&["--once", "--snapshot", "bad.json"]));
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains("reward_policy.validator_weights is missing"),
        "{text}"
    );
}

#[test]
fn a_second_setter_for_the_hotkey_does_not_start_but_may_look() {
    let place = Place::new();
    let held = take(place.0.path());
    for how in ["--once", "--loop"] {
        let (code, text) = status(&place.run(&[how, "--snapshot", "local.json"]));
        assert_eq!(code, Some(2), "{text}");
        assert!(
            text.contains(&format!("process {}", std::process::id())),
            "{text}"
        );
    }
    let (code, text) = status(&place.run(&["--dry-run", "--snapshot", "local.json"]));
    assert_eq!(code, Some(0), "{text}");
    drop(held);
    let (code, text) = status(&place.run(&["--once", "--snapshot", "local.json"]));
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn wrong_options_are_named() {
    let place = Place::new();
    for (options, part) in [
        (&["--snapshot", "local.json"][..], "--dry-run"),
        (&["--once"], "--snapshot"),
        (
            &["--once", "--dry-run", "--snapshot", "x"],
            "cannot be used with",
        ),
        (
            &["--once", "--snapshot", "http://coordinator.example/x"],
            "has to be https",
        ),
        (
            &["--once", "--snapshot", "x", "--genesis", "0x12"],
            "--genesis",
        ),
        (
            &[
                "--once",
                "--snapshot",
                "x",
                "--endpoint",
                "ws://node.example",
            ],
            "without TLS",
        ),
        (
            &["--once", "--snapshot", "x", "--wallet-file", "nowhere"],
            "nowhere",
        ),
    ] {
        let (code, text) = status(&place.run(options));
        assert_eq!(code, Some(2), "{options:?}: {text}");
        assert!(text.contains(part), "{options:?}: {text}");
    }
}

#[test]
fn a_log_for_no_terminal_and_the_help_hold_neither_escapes_nor_the_environment() {
    let place = Place::new();
    let output = place.run(&["--once", "--snapshot", "local.json"]);
    assert!(!output.stderr.is_empty());
    assert!(!output.stderr.contains(&0x1b), "{output:?}");

    let help = Command::new(env!("CARGO_BIN_EXE_weight-setter"))
        .arg("--help")
        .env("WEIGHT_SETTER_ENDPOINTS", "wss://node.example/key-of-mine")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(
        help.contains("WEIGHT_SETTER_ENDPOINTS") && !help.contains("key-of-mine"),
        "{help}"
    );
}

#[test]
fn targets_that_are_wrong_are_not_told_to_be_missing() {
    let place = Place::new();
    for (targets, wrong) in [
        (r#"[{"uid": 1}]"#, "targets[0].weight is missing"),
        (r#""1""#, "targets is text, not a list"),
    ] {
        let policy = format!(
            r#"{{"reward_policy": {{"validator_weights": {{"mode": "targets", "targets": {targets}}}}}}}"#
        );
        std::fs::write(place.path("wrong.json"), policy).unwrap();
        let (code, text) = status(&place.run(&["--once", "--snapshot", "wrong.json"]));
        assert_eq!(code, Some(3), "{text}");
        assert!(
            text.contains(wrong) && !text.contains("has no target"),
            "{text}"
        );
    }
}
