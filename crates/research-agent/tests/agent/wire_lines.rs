//! The command lines of `WIRE.md` §5, as existing scripts write them.

use std::fs;

use serde_json::{Value, json};

use super::coordinator::Coordinator;
use super::program::{ADDRESS, Bench, Ran, WORDS};
use super::repository::Repository;

/// Wallets that the network's own wallet wrote.
const WALLETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wallet/tests/data/wallets");

#[tokio::test(flavor = "multi_thread")]
async fn every_command_line_that_scripts_have_works_unchanged() {
    let (coordinator, repository) = (Coordinator::start(), Repository::new());
    let task = coordinator
        .task(&repository.path, "numbers", |task| {
            task["competition_mode"] = json!("centerless")
        })
        .await;
    let (task_id, url) = (task["id"].as_str().unwrap(), coordinator.url.as_str());
    let bench = Bench::new(url);
    let run = |line: &[&str]| Ran::of(bench.bare(line));

    // list-tasks: a JSON array on standard output.
    let listed = run(&["list-tasks", "--coordinator-url", url]).json(0);
    assert_eq!(listed[0]["slug"], "numbers");
    assert_eq!(
        listed[0],
        coordinator.get(&format!("/api/v1/tasks/{task_id}")).await
    );

    // signed-request, with each way to name a hotkey.
    let claim_path = format!("/api/v1/tasks/{task_id}/claim");
    let body = r#"{"claim_description": "a larger number"}"#;
    let by_words = ["--hotkey-mnemonic", WORDS];
    let by_wallet = [
        "--wallet-name",
        "miner",
        "--wallet-hotkey",
        "first",
        "--wallet-path",
        WALLETS,
    ];
    let mut claims = Vec::new();
    for wallet in [&by_words[..], &by_wallet[..]] {
        let line = [
            "signed-request",
            "--coordinator-url",
            url,
            "--method",
            "POST",
            "--path",
            &claim_path,
            "--body",
            body,
        ];
        let claim = run(&[&line[..], wallet].concat()).json(0);
        assert_eq!(claim["miner_hotkey"], ADDRESS);
        claims.push(claim["id"].as_str().unwrap().to_owned());
    }

    // submit-workspace: the repository as it is, with and without --base-ref.
    fs::write(repository.path.join("src/value.txt"), "2\n").unwrap();
    let file = json!({"summary": "s", "claimed_metrics": {"score": 2.0}, "proposed_idea": "i", "execution_log": "l"});
    fs::write(bench.path().join("submission.json"), file.to_string()).unwrap();
    let repo = repository.path.to_str().unwrap();
    let line = [
        "submit-workspace",
        "--coordinator-url",
        url,
        "--claim-id",
        &claims[0],
        "--repo-dir",
        repo,
        "--submission-file",
        "submission.json",
    ];
    let submitted = run(&[&line[..], &by_words].concat()).json(0);
    assert_eq!(submitted["status"], "pending_verification");
    fs::write(repository.path.join("src/value.txt"), "3\n").unwrap();
    let line = [
        "submit-workspace",
        "--coordinator-url",
        url,
        "--claim-id",
        &claims[1],
        "--repo-dir",
        repo,
        "--submission-file",
        "submission.json",
        "--base-ref",
        "main",
    ];
    let submitted = run(&[&line[..], &by_wallet].concat()).json(0);
    assert_eq!(submitted["base_ref"], "main");

    // mine-once and loop, with everything that is common to them.
    let agent = "cd {repo_dir_quoted} && echo 9 > src/value.txt && cp {workspace_dir_quoted}/../../submission.json {submission_path_quoted} && test -f {intro_path_quoted} && test ! -e {submission_result_path_quoted}";
    let common = [
        "--coordinator-url",
        url,
        "--wallet-name",
        "miner",
        "--wallet-hotkey",
        "first",
        "--wallet-path",
        WALLETS,
        "--workspace-root",
        "work",
        "--participation-style",
        "pool",
        "--agent-command",
        agent,
        "--repository",
        repo,
    ];
    let mined = run(&[&["mine-once", "--task-id", task_id][..], &common].concat());
    assert_eq!(mined.json(0)["status"], "submitted", "{mined:#?}");
    let looped = run(&[
        &[
            "loop",
            "--cycles",
            "1",
            "--interval-seconds",
            "5",
            "--allow-peer-evaluation",
            "--task-slug",
            "numbers",
            "--max-attempts",
            "1",
        ][..],
        &common,
    ]
    .concat());
    assert_eq!(looped.status, 0, "{looped:#?}");
    let printed: Vec<Value> = serde_json::Deserializer::from_str(&looped.out)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(printed[0]["status"], "idle", "{looped:#?}");
    assert_eq!(printed[1]["status"], "submitted", "{looped:#?}");

    // peer-evaluate-once: nothing waits, and that is no error.
    let peer = run(&[
        &["peer-evaluate-once", "--participation-style", "direct"][..],
        &common[..8],
    ]
    .concat());
    assert_eq!(peer.json(0)["status"], "idle");
}

/// Scripts give the common options to every command, whether it needs them or not.
#[test]
fn the_common_options_are_options_of_every_command_of_the_wire() {
    let bench = Bench::new("http://127.0.0.1:1");
    for command in [
        "list-tasks",
        "signed-request",
        "submit-workspace",
        "mine-once",
        "peer-evaluate-once",
        "loop",
    ] {
        let help = Ran::of(bench.bare(&[command, "--help"]));
        for option in [
            "--coordinator-url",
            "--hotkey-mnemonic",
            "--wallet-name",
            "--wallet-hotkey",
            "--wallet-path",
            "--task-id",
            "--task-slug",
            "--participation-style",
            "--workspace-root",
            "--agent-command",
            "--llm-base-url",
            "--llm-model",
            "--llm-api-key",
        ] {
            assert!(help.out.contains(option), "{command} has no {option}");
        }
        assert!(help.out.contains("~/.bittensor/wallets/"), "{command}");
        assert!(help.out.contains("Example"), "{command} has no example");
    }
}
