//! `mine-once` and `loop`: programs and models as agents, measured by the real engine.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use super::coordinator::Coordinator;
use super::liar::answer;
use super::model;
use super::program::{Bench, Ran};
use super::repository::Repository;

struct Scene {
    coordinator: Coordinator,
    repository: Repository,
    bench: Bench,
}

impl Scene {
    async fn new() -> Self {
        let (coordinator, repository) = (Coordinator::start(), Repository::new());
        coordinator.task(&repository.path, "numbers", |_| {}).await;
        let bench = Bench::new(&coordinator.url);
        Self {
            coordinator,
            repository,
            bench,
        }
    }

    fn mine(&self, options: &[&str]) -> Ran {
        let path = self.repository.path.to_str().unwrap();
        let fixed = ["mine-once", "--task-slug", "numbers", "--repository", path];
        self.bench.run(&[&fixed[..], options].concat())
    }

    async fn active_claims(&self) -> Value {
        self.coordinator.get("/api/v1/claims?status=active").await
    }
}

/// An agent that writes a value that its first argument names, and says so.
const WRITE: &str = r#"
cd {repo_dir_quoted} && echo VALUE > src/value.txt
echo '{"summary": "larger", "claimed_metrics": {"score": 1e9}}' > {submission_path_quoted}
test -s {intro_path_quoted} && echo 'the agent says hello'
"#;

fn write(value: &str) -> String {
    WRITE.replace("VALUE", value)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_improvement_of_a_program_is_submitted_with_what_was_measured_not_what_was_claimed() {
    let scene = Scene::new().await;
    let ran = scene.mine(&["--agent-command", &write("7.25")]);
    let mined = ran.json(0);
    assert_eq!(mined["status"], "submitted");
    assert_eq!(mined["submission"]["claimed_metrics"]["score"], 7.25);
    assert!(ran.err.contains("the agent says hello"), "{}", ran.err);
    assert_eq!(scene.active_claims().await, json!([]));
    let result = format!(
        "{}/submission-result.json",
        mined["workspace"].as_str().unwrap()
    );
    let result: Value = serde_json::from_slice(&fs::read(result).unwrap()).unwrap();
    assert_eq!(result["status"], "submitted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_improvement_is_not_submitted_and_the_claim_is_given_back() {
    let scene = Scene::new().await;
    for (value, status) in [
        ("1.0", "nothing_changed"),
        ("0.5", "no_improvement"),
        ("1.00", "no_improvement"),
        ("'no number'", "rejected"),
    ] {
        let ran = scene.mine(&["--max-attempts", "1", "--agent-command", &write(value)]);
        let mined = ran.json(3);
        assert_eq!(mined["attempts"][0]["status"], status, "{value}: {ran:#?}");
        assert_eq!(mined["submission"], Value::Null);
    }
    // Better than the baseline, and not better than the best that validators saw.
    let first = scene.mine(&["--agent-command", &write("5")]).json(0);
    let id = first["submission"]["id"].as_str().unwrap();
    let accepted = json!({"status": "accepted", "observed_metrics": {"score": 5.0}, "notes": "", "replay_log": ""});
    scene.coordinator.judge(id, &accepted).await;
    let second = scene
        .mine(&["--max-attempts", "1", "--agent-command", &write("4")])
        .json(3);
    assert_eq!(second["attempts"][0]["status"], "no_improvement");
    let margin = scene
        .mine(&[
            "--max-attempts",
            "1",
            "--min-improvement",
            "0.5",
            "--agent-command",
            &write("6"),
        ])
        .json(3);
    assert_eq!(margin["attempts"][0]["status"], "no_improvement");
    assert_eq!(scene.active_claims().await, json!([]));
    assert_eq!(
        scene
            .coordinator
            .get("/api/v1/submissions")
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_fails_forges_or_breaks_rules_gets_another_attempt_and_is_told_why() {
    let scene = Scene::new().await;
    // Each attempt sees what came of the one before.
    let agent = r#"
cd {repo_dir_quoted}
echo '{"summary": "s"}' > {submission_path_quoted}
if ! test -e {submission_result_path_quoted}; then
  exit 9
elif grep -q agent_failed {submission_result_path_quoted}; then
  cp bench.py bench.kept; echo 'cheat' > bench.py
elif grep -q path_not_allowed {submission_result_path_quoted}; then
  mv bench.kept bench.py
  echo 0.9 > src/value.txt; echo '{"score": 999}' > result.json
else
  echo 3 > src/value.txt
fi
"#;
    let ran = scene.mine(&["--max-attempts", "4", "--agent-command", agent]);
    let mined = ran.json(0);
    let statuses: Vec<&str> = mined["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        statuses,
        ["agent_failed", "refused", "no_improvement", "submitted"],
        "{ran:#?}"
    );
    assert_eq!(mined["attempts"][2]["observed_metrics"]["score"], 0.9);
    assert_eq!(mined["submission"]["claimed_metrics"]["score"], 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_improves_in_its_second_attempt_after_reading_what_came_of_the_first() {
    let scene = Scene::new().await;
    let endpoint = model::endpoint(vec![
        model::change("bench.py", "print('cheating')"),
        model::change("src/value.txt", "0.25\n"),
        model::change("src/value.txt", "12\n"),
    ])
    .await;
    let url = format!("{}/v1", endpoint.url);
    let mut command = scene.bench.command(&[
        "mine-once",
        "--task-slug",
        "numbers",
        "--repository",
        scene.repository.path.to_str().unwrap(),
        "--llm-base-url",
        &url,
        "--llm-model",
        "a-model",
    ]);
    command.env("BITSOTA_LLM_API_KEY", "a-key");
    let ran = Ran::of(command);
    let mined = ran.json(0);
    assert_eq!(mined["submission"]["claimed_metrics"]["score"], 12.0);
    assert_eq!(mined["attempts"][0]["status"], "agent_failed");
    assert_eq!(mined["attempts"][1]["status"], "no_improvement");
    let asked = endpoint.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|one| one.path == "/v1/chat/completions"));
    assert!(
        asked
            .iter()
            .all(|one| one.headers["authorization"] == "Bearer a-key")
    );
    let first = model::prompt(&asked[0]);
    assert!(
        first.contains("src/value.txt") && first.contains("1.0") && !first.contains("import json"),
        "{first}"
    );
    assert!(model::prompt(&asked[1]).contains("not below an allowed path"));
    let third = model::prompt(&asked[2]);
    assert!(
        third.contains("no_improvement") && third.contains("score = 0.25"),
        "{third}"
    );
    assert!(!ran.err.contains("a-key") && !ran.out.contains("a-key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_cannot_write_outside_the_repository_and_a_busy_endpoint_is_asked_again() {
    let scene = Scene::new().await;
    std::os::unix::fs::symlink("/", scene.repository.path.join("src/root")).unwrap();
    for path in [
        "../escaped",
        "/tmp/escaped",
        "src/../../escaped",
        ".git/hooks/post-checkout",
        "src/.git/config",
    ] {
        let endpoint = model::endpoint(vec![model::change(path, "x")]).await;
        let ran = scene.mine(&[
            "--max-attempts",
            "1",
            "--llm-base-url",
            &endpoint.url,
            "--llm-model",
            "m",
        ]);
        let mined = ran.json(3);
        assert_eq!(
            mined["attempts"][0]["status"], "agent_failed",
            "{path}: {ran:#?}"
        );
        let workspace = mined["workspace"].as_str().unwrap();
        for escaped in [
            "../escaped",
            "escaped",
            "repo/../escaped",
            "repo/.git/hooks/post-checkout",
        ] {
            assert!(
                !std::path::Path::new(workspace).join(escaped).exists(),
                "{path} wrote {escaped}"
            );
        }
    }
    let busy = super::liar::Liar::start(|before, _| match before {
        0 => answer(429, &[("Retry-After", "0")], "{}"),
        1 => answer(500, &[("Retry-After", "0")], "{}"),
        _ => answer(401, &[], r#"{"error": {"message": "wrong key"}}"#),
    })
    .await;
    let ran = scene.mine(&[
        "--max-attempts",
        "1",
        "--llm-base-url",
        &busy.url,
        "--llm-model",
        "m",
    ]);
    let mined = ran.json(3);
    assert!(
        mined["attempts"][0]["message"]
            .as_str()
            .unwrap()
            .contains("wrong key"),
        "{ran:#?}"
    );
    assert_eq!(busy.asked().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_out_of_time_is_killed_and_an_interrupted_run_gives_its_claim_back() {
    let scene = Scene::new().await;
    let slow = "touch {workspace_dir_quoted}/started; sleep 1000";
    let ran = scene.mine(&[
        "--max-attempts",
        "1",
        "--agent-timeout-seconds",
        "1",
        "--agent-command",
        slow,
    ]);
    assert!(
        ran.json(3)["attempts"][0]["message"]
            .as_str()
            .unwrap()
            .contains("killed after 1 s")
    );

    let started = scene.bench.path().join("started");
    let slow = format!("touch {}; sleep 1000", started.display());
    let path = scene.repository.path.to_str().unwrap();
    let mut command = scene.bench.command(&[
        "mine-once",
        "--task-slug",
        "numbers",
        "--repository",
        path,
        "--agent-command",
        &slow,
    ]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !started.exists() {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.active_claims().await.as_array().unwrap().len(), 1);
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let ended = tokio::task::spawn_blocking(move || Ran::read(child.wait_with_output().unwrap()))
        .await
        .unwrap();
    ended.refused(130, "is given back");
    assert_eq!(scene.active_claims().await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_goes_on_after_a_cycle_that_failed_and_ends_after_its_cycles() {
    let scene = Scene::new().await;
    let path = scene.repository.path.to_str().unwrap();
    let counter = scene.bench.path().join("count");
    let agent = format!(
        "echo x >> {0}; n=$(wc -l < {0}); cd {{repo_dir_quoted}} && echo $((n * 10)) > src/value.txt; echo '{{\"summary\": \"s\"}}' > {{submission_path_quoted}}; test $n != 1",
        counter.display()
    );
    let ran = scene.bench.run(&[
        "loop",
        "--repository",
        path,
        "--cycles",
        "2",
        "--interval-seconds",
        "0",
        "--max-attempts",
        "1",
        "--agent-command",
        &agent,
    ]);
    assert_eq!(ran.status, 0, "{ran:#?}");
    let printed: Vec<Value> = serde_json::Deserializer::from_str(&ran.out)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap();
    let statuses: Vec<&str> = printed
        .iter()
        .map(|one| one["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["no_improvement", "submitted"], "{ran:#?}");
}

#[test]
fn whoever_names_no_agent_or_two_is_told() {
    let bench = Bench::new("http://127.0.0.1:1");
    bench.run(&["mine-once"]).refused(2, "--agent-command");
    bench
        .run(&["loop", "--cycles", "1"])
        .refused(2, "--agent-command");
    let both = bench.run(&[
        "mine-once",
        "--agent-command",
        "x",
        "--llm-base-url",
        "http://h",
        "--llm-model",
        "m",
    ]);
    assert_eq!(both.status, 2, "{both:#?}");
}
