//! Configuration files: an operator's own, and everything that can be wrong.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use replay_runner::daemon::config::{CLAIM_PATH, Config, WalletConfig, load};

fn read(name: &str, text: &str) -> Result<(Config, Vec<String>), String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    load(&path)
        .map(|loaded| (loaded.config, loaded.warnings))
        .map_err(|error| error.to_string())
}

/// Every key of `WIRE.md` §4, as an operator has it.
const OPERATORS: &str = r#"
coordinator_url: https://coordinator.example
claim_path: /api/v1/validator/jobs/claim
task_id:
task_slug: digits-frontier
wallet_name: validator
wallet_hotkey: default
wallet_path: ~/.bittensor/wallets/
wallet_file: ""
hotkey_mnemonic: ""
workspace_root: /srv/validator
cycles: 0
once: false
interval_seconds: 30
timeout_s: 60.0
dry_run: false
replay_sandbox_mode: docker
replay_sandbox_image: replay-sandbox/python:1
replay_sandbox_gpus: ""
replay_sandbox_setup_network_mode: bridge
replay_sandbox_benchmark_network_mode: none
replay_sandbox_memory_limit: "16g"
replay_sandbox_pids_limit: 512
replay_sandbox_cpus: 1.5
replay_sandbox_workspace_size_bytes: 1073741824
replay_sandbox_result_max_bytes: 1048576
allow_unsafe_host_replay: false
allow_local_artifacts: false
max_replay_log_chars: 20000
local_benchmark_env:
  CUDA_VISIBLE_DEVICES: "0"
  THREADS: 4
"#;

#[test]
fn an_operators_yaml_is_read_as_it_is_without_a_warning() {
    let (config, warnings) = read("validator.yaml", OPERATORS).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.coordinator.as_str(), "https://coordinator.example/");
    assert_eq!(config.work_path, CLAIM_PATH);
    assert_eq!(
        (config.task_id, config.task_slug.as_deref()),
        (None, Some("digits-frontier"))
    );
    assert!(matches!(config.wallet, WalletConfig::Named { ref name, .. } if name == "validator"));
    assert_eq!(config.state_dir, Some(PathBuf::from("/srv/validator")));
    assert_eq!(config.cycles, None);
    assert_eq!(config.interval, Duration::from_secs(30));
    assert_eq!(config.bounds.memory.unwrap().get(), 16 << 30);
    assert_eq!(
        (config.bounds.cpus, config.bounds.pids),
        (Some(2), Some(512))
    );
    assert!(config.bounds.setup_network);
    assert_eq!(config.max_log_chars, 20_000);
    assert_eq!(config.benchmark_env["THREADS"], "4");
}

#[test]
fn toml_has_the_same_keys() {
    let text = "coordinator_url = \"http://127.0.0.1:8080\"\nhotkey_mnemonic_file = \"words\"\n\
        once = true\nslots = 3\nlisten = \"127.0.0.1:9464\"\nartifact_cache = \"5g\"\n\
        [local_benchmark_env]\nA = \"b\"";
    let (config, warnings) = read("validator.toml", text).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!((config.cycles, config.slots), (Some(1), Some(3)));
    assert!(matches!(config.wallet, WalletConfig::MnemonicFile(_)));
    assert_eq!(config.caches.artifacts.get(), 5 << 30);
    assert_eq!(config.listen.unwrap().port(), 9464);
}

#[test]
fn a_wrong_value_is_told_with_its_field_and_its_mend() {
    for (line, field, mend) in [
        ("interval_seconds: soon", "interval_seconds", "seconds from"),
        (
            "interval_seconds: -1",
            "interval_seconds",
            "seconds from 0 to 86400",
        ),
        (
            "replay_sandbox_memory_limit: lots",
            "replay_sandbox_memory_limit",
            "\"16g\"",
        ),
        (
            "replay_sandbox_pids_limit: 3.5",
            "replay_sandbox_pids_limit",
            "whole number from 16",
        ),
        ("cycles: [1]", "cycles", "whole number"),
        ("once: maybe", "once", "true or false"),
        (
            "allow_unsafe_host_replay: true",
            "allow_unsafe_host_replay",
            "containers",
        ),
        (
            "replay_sandbox_mode: host",
            "replay_sandbox_mode",
            "there is no host mode",
        ),
        (
            "claim_path: ../../admin",
            "claim_path",
            "/api/v1/validator/jobs/claim",
        ),
        ("task_id: 7", "task_id", "UUID"),
        ("listen: everywhere", "listen", "127.0.0.1:9464"),
        (
            "local_benchmark_env: {\"A=B\": x}",
            "local_benchmark_env",
            "A=B",
        ),
    ] {
        let text = format!("coordinator_url: https://c.example\n{line}\n");
        let error = read("v.yaml", &text).expect_err(line);
        assert!(
            error.contains(&format!("{field}: ")) && error.contains(mend),
            "{line}: {error}"
        );
    }
}

#[test]
fn a_coordinator_url_is_an_address_and_nothing_more() {
    for url in [
        "",
        "coordinator",
        "ftp://c.example",
        "https://c.example/api",
        "https://c.example/?a=1",
    ] {
        let error = read("v.yaml", &format!("coordinator_url: {url:?}")).expect_err(url);
        assert!(
            error.contains("coordinator_url: ") && error.contains("write"),
            "{url}: {error}"
        );
    }
    let error = read("v.yaml", "coordinator_url: https://user:secret@c.example").unwrap_err();
    assert!(!error.contains("secret"), "{error}");
    let (_, warnings) = read("v.yaml", "coordinator_url: http://c.example").unwrap();
    assert!(warnings[0].contains("not https"), "{warnings:?}");
}

#[test]
fn all_wrong_values_are_told_at_once() {
    let error = read("v.yaml", "cycles: x\nonce: perhaps").unwrap_err();
    for field in ["coordinator_url", "cycles", "once"] {
        assert!(error.contains(&format!("{field}: ")), "{error}");
    }
}

#[test]
fn an_unknown_key_warns_with_the_one_that_was_meant() {
    let text = "coordinator_url: https://c.example\ninterval_second: 3\ncolour: red";
    let (_, warnings) = read("v.yaml", text).unwrap();
    assert_eq!(
        warnings,
        [
            "\"colour\" is no key of this file and is not used",
            "\"interval_second\" is no key of this file and is not used; did you mean interval_seconds?",
        ]
    );
}

#[test]
fn no_message_repeats_the_words_of_a_key() {
    let words = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
    let text = format!("coordinator_url: nothing\nhotkey_mnemonic: {words}");
    let error = read("v.yaml", &text).unwrap_err();
    assert!(!error.contains("bottom"), "{error}");
    for text in [
        format!("hotkey_mnemonic: {words}\n  : : {words}\n\t- {words}"),
        format!("hotkey_mnemonic: [\"{words}\"]"),
    ] {
        let error = read("v.yaml", &text).unwrap_err();
        assert!(!error.contains("bottom"), "{error}");
    }
    let error = read("v.toml", &format!("hotkey_mnemonic = \"{words}\" x")).unwrap_err();
    assert!(!error.contains("bottom"), "{error}");
    let (config, warnings) = read(
        "v.yaml",
        &format!("coordinator_url: https://c.example\nhotkey_mnemonic: {words}"),
    )
    .unwrap();
    assert!(!format!("{config:?}").contains("bottom"));
    assert!(
        warnings.iter().any(|warning| warning.contains("chmod 600")),
        "{warnings:?}"
    );
}
