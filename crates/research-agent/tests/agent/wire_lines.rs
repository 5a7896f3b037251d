//! The command lines of `WIRE.md` §5, as existing scripts write them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::coordinator::Coordinator;
use super::program::{ADDRESS, Bench, Ran, WORDS};
use super::repository::Repository;

/// Wallets that the network's own wallet wrote.
const WALLETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wallet/tests/data/wallets");

/// A script's surroundings: a task, a repository with changes, and variables.
struct Script {
    coordinator: Coordinator,
    repository: Repository,
    bench: Bench,
    task_id: String,
}

impl Script {
    async fn new() -> Self {
        let (coordinator, repository) = (Coordinator::start(), Repository::new());
        let task = coordinator
            .task(&repository.path, "numbers", |task| {
                task["competition_mode"] = json!("centerless");
            })
            .await;
        let bench = Bench::new(&coordinator.url);
        let file = json!({"summary": "s", "claimed_metrics": {"score": 2.0}, "proposed_idea": "i", "execution_log": "l"});
        fs::write(bench.path().join("submission.json"), file.to_string()).unwrap();
        Self {
            task_id: task["id"].as_str().unwrap().to_owned(),
            coordinator,
            repository,
            bench,
        }
    }

    /// Runs one line of a shell script.
    fn line(&self, line: &str) -> Ran {
        let program = Path::new(env!("CARGO_BIN_EXE_bitsota-research-agent"));
        let mut command = Command::new("/bin/sh");
        command
            .args(["-e", "-c", line])
            .current_dir(self.bench.path())
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", program.parent().unwrap().display()),
            )
            .env("HOME", self.bench.path().join("home"))
            .env("REPLAY_RUNNER_STATE", self.bench.path().join("state"))
            .env("URL", &self.coordinator.url)
            .env("TASK", &self.task_id)
            .env("REPO", &self.repository.path)
            .env("WORDS", WORDS)
            .env("WALLETS", WALLETS);
        Ran::of(command)
    }
}

/// Claims by a signed request, and gives the claim's id.
fn claim(script: &Script, wallet: &str) -> String {
    let line = format!(
        "bitsota-research-agent signed-request --coordinator-url $URL --method POST \
         --path /api/v1/tasks/$TASK/claim --body '{{\"claim_description\": \"a larger number\"}}' {wallet}"
    );
    let claim = script.line(&line).json(0);
    assert_eq!(claim["miner_hotkey"], ADDRESS);
    claim["id"].as_str().unwrap().to_owned()
}

const BY_WORDS: &str = "--hotkey-mnemonic \"$WORDS\"";
const BY_WALLET: &str = "--wallet-name miner --wallet-hotkey first --wallet-path $WALLETS";

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_script_that_lists_claims_and_submits_work_unchanged() {
    let script = Script::new().await;
    let listed = script
        .line("bitsota-research-agent list-tasks --coordinator-url $URL")
        .json(0);
    let task = script
        .coordinator
        .get(&format!("/api/v1/tasks/{}", script.task_id))
        .await;
    assert_eq!(listed, json!([task]));
    for (wallet, base, sent_base) in [
        (BY_WORDS, "", script.repository.commit.as_str()),
        (BY_WALLET, "--base-ref main", "main"),
    ] {
        let claim = claim(&script, wallet);
        let line = format!(
            "echo {wallet} | wc -c > $REPO/src/value.txt; bitsota-research-agent submit-workspace --coordinator-url $URL \
             --claim-id {claim} --repo-dir $REPO --submission-file submission.json {base} {wallet}"
        );
        let submitted = script.line(&line).json(0);
        assert_eq!(submitted["status"], "pending_verification");
        assert_eq!(submitted["base_ref"], sent_base);
        assert_eq!(submitted["claim_id"], claim);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_script_that_mines_loops_and_evaluates_work_unchanged() {
    let script = Script::new().await;
    let agent = "--agent-command 'cd {repo_dir_quoted} && echo $$ > src/value.txt \
        && cp {workspace_dir_quoted}/../../submission.json {submission_path_quoted} \
        && test -f {intro_path_quoted} && test ! -e {submission_result_path_quoted}'";
    let common = format!(
        "--coordinator-url $URL {BY_WALLET} --workspace-root work --participation-style pool {agent}"
    );
    let mined = script.line(&format!(
        "bitsota-research-agent mine-once --task-id $TASK {common}"
    ));
    assert_eq!(mined.json(0)["status"], "submitted", "{mined:#?}");

    let looped = script.line(&format!(
        "bitsota-research-agent loop --cycles 1 --interval-seconds 5 --allow-peer-evaluation --task-slug numbers {common}"
    ));
    assert_eq!(looped.status, 0, "{looped:#?}");
    let printed: Vec<Value> = serde_json::Deserializer::from_str(&looped.out)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let statuses: Vec<&str> = printed
        .iter()
        .map(|one| one["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["idle", "submitted"], "{looped:#?}");

    let peer = script.line(&format!("bitsota-research-agent peer-evaluate-once --participation-style direct --coordinator-url $URL {BY_WALLET}"));
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
