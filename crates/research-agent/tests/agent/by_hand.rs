//! From the catalog to a decided submission, command by command.

use std::fs;
use std::process::Stdio;

use serde_json::json;

use super::coordinator::{Coordinator, key};
use super::program::{ADDRESS, Bench, Ran};
use super::repository::Repository;

/// A workspace for the task `numbers`, as `init` makes it.
async fn workspace(coordinator: &Coordinator, repository: &Repository) -> Bench {
    coordinator.task(&repository.path, "numbers", |_| {}).await;
    let bench = Bench::new(&coordinator.url);
    let made = bench
        .run(&[
            "init",
            "numbers",
            "--repository",
            repository.path.to_str().unwrap(),
        ])
        .json(0);
    assert_eq!(made["base_commit"], repository.commit);
    bench
}

fn write_submission(bench: &Bench) {
    let text = json!({"summary": "a larger value", "claimed_metrics": {"score": 2.0}});
    fs::write(
        bench.path().join("numbers/submission.json"),
        text.to_string(),
    )
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_gets_from_the_catalog_to_an_accepted_submission() {
    let (coordinator, repository) = (Coordinator::start(), Repository::new());
    let bench = workspace(&coordinator, &repository).await;
    let numbers = bench.path().join("numbers");
    for file in [
        "ONBOARDING.md",
        "submission.json",
        "task.json",
        "repo/bench.py",
    ] {
        assert!(numbers.join(file).is_file(), "{file}");
    }
    bench
        .run(&["init", "numbers"])
        .refused(3, "is a workspace already");

    bench
        .run(&["dry-run", "numbers"])
        .refused(3, "nothing is changed");
    let baseline = bench.run(&["dry-run", "numbers", "--baseline"]).json(0);
    assert_eq!(baseline["observed_metrics"]["score"], 1.0);
    fs::write(numbers.join("repo/src/value.txt"), "2.5\n").unwrap();
    // What a benchmark leaves behind is no part of the patch.
    fs::write(numbers.join("repo/result.json"), "{}").unwrap();
    let tried = bench.run(&["dry-run", "numbers"]);
    assert_eq!(tried.json(0)["observed_metrics"]["score"], 2.5);
    assert!(
        tried.err.contains("left out: \"result.json\""),
        "{}",
        tried.err
    );

    bench
        .run(&["submit", "numbers"])
        .refused(3, "summary: is empty");
    write_submission(&bench);
    let submitted = bench.run(&["submit", "numbers"]);
    assert!(submitted.err.contains("isclaimer"), "{}", submitted.err);
    let submitted = submitted.json(0);
    assert_eq!(submitted["miner_hotkey"], ADDRESS);
    assert_eq!(submitted["base_ref"], repository.commit);
    let patch = submitted["patch"].as_str().unwrap();
    assert!(
        patch.contains("+2.5") && !patch.contains("result.json"),
        "{patch}"
    );

    let id = submitted["id"].as_str().unwrap();
    let watching = bench.run(&[
        "watch",
        id,
        "--interval-seconds",
        "1",
        "--patience-seconds",
        "1",
    ]);
    watching.refused(1, "is not decided");
    let accepted = json!({"status": "accepted", "observed_metrics": {"score": 2.5}, "notes": "", "replay_log": ""});
    coordinator.judge(id, &accepted).await;
    let decided = bench.run(&["watch", id]);
    assert!(decided.err.contains("validator 5"), "{}", decided.err);
    assert_eq!(decided.json(0)["status"], "accepted");
    let best = coordinator
        .get(&format!(
            "/api/v1/tasks/{}/best",
            submitted["task_id"].as_str().unwrap()
        ))
        .await;
    assert_eq!(best["best"]["id"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gate_would_refuse_is_refused_before_anything_is_claimed_or_signed() {
    let (coordinator, repository) = (Coordinator::start(), Repository::new());
    let bench = workspace(&coordinator, &repository).await;
    write_submission(&bench);
    let repo = bench.path().join("numbers/repo");
    let original = fs::read(repo.join("bench.py")).unwrap();
    let refused = |words: &str| {
        bench.run(&["submit", "numbers"]).refused(3, words);
        // The same by the engine: a rejection with the same code.
        let report = bench.run(&["dry-run", "numbers"]).json(3);
        assert_eq!(report["code"], words.split(':').next().unwrap());
    };
    fs::write(repo.join("bench.py"), "print('cheating')\n").unwrap();
    refused("patch.path_not_allowed: \"bench.py\"");
    fs::write(repo.join("bench.py"), original).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", repo.join("src/link")).unwrap();
    refused("patch.symlink");
    fs::remove_file(repo.join("src/link")).unwrap();
    fs::write(repo.join("src/large.txt"), "x\n".repeat(200_000)).unwrap();
    refused("patch.too_large");
    let claims = coordinator.get("/api/v1/claims").await;
    assert_eq!(claims, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_listed_cancelled_and_given_back_when_a_submission_is_refused() {
    let (coordinator, repository) = (Coordinator::start(), Repository::new());
    let bench = workspace(&coordinator, &repository).await;
    let task: serde_json::Value =
        serde_json::from_slice(&fs::read(bench.path().join("numbers/task.json")).unwrap()).unwrap();
    let path = format!("/api/v1/tasks/{}/claim", task["id"].as_str().unwrap());
    let claim = bench
        .run(&[
            "signed-request",
            "--path",
            &path,
            "--body",
            r#"{"claim_description": "mine"}"#,
        ])
        .json(0);
    coordinator
        .post(
            &key(1),
            &path,
            &json!({"claim_description": "another's"}),
            201,
        )
        .await;
    let mine = bench.run(&["claims"]).json(0);
    assert_eq!(mine.as_array().unwrap().len(), 1);
    assert_eq!(mine[0]["id"], claim["id"]);
    assert_eq!(
        bench
            .run(&["claims", "--all"])
            .json(0)
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let id = claim["id"].as_str().unwrap();
    assert_eq!(bench.run(&["cancel", id]).json(0)["status"], "cancelled");
    bench.run(&["cancel", id]).refused(3, "409");
    let theirs = &bench.run(&["claims", "--all"]).json(0)[0]["id"];
    bench
        .run(&["cancel", theirs.as_str().unwrap()])
        .refused(3, "403");

    // The coordinator knows better than we what it takes: it refuses this idea.
    write_submission(&bench);
    let file = json!({"summary": "s", "implemented_submission_id": "67e55044-10b1-426f-9247-bb680e5fe0c8"});
    fs::write(
        bench.path().join("numbers/submission.json"),
        file.to_string(),
    )
    .unwrap();
    fs::write(bench.path().join("numbers/repo/src/value.txt"), "3\n").unwrap();
    let refused = bench.run(&["submit", "numbers"]);
    refused.refused(3, "implemented_submission_id");
    assert!(refused.err.contains("is given back"), "{}", refused.err);
    assert_eq!(bench.run(&["claims"]).json(0), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_a_terminal_gets_a_table_and_a_script_gets_json() {
    let (coordinator, repository) = (Coordinator::start(), Repository::new());
    coordinator.task(&repository.path, "numbers", |_| {}).await;
    let bench = Bench::new(&coordinator.url);
    let table = bench.at_terminal("list-tasks");
    let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
    assert!(
        lines[0].starts_with("SLUG") && lines[0].ends_with("TITLE"),
        "{table}"
    );
    assert!(
        lines[1].starts_with("numbers  live") && lines[1].contains("score ↑"),
        "{table}"
    );
    let json = bench.at_terminal("list-tasks --json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json, bench.run(&["list-tasks"]).json(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_replay_ends_its_sandbox_and_leaves_nothing() {
    let (coordinator, repository) = (Coordinator::start(), Repository::new());
    coordinator
        .task(&repository.path, "sleeper", |task| {
            task["benchmark_command"] = json!("sleep 600");
            task["time_budget_seconds"] = json!(600);
        })
        .await;
    let bench = Bench::new(&coordinator.url);
    bench
        .run(&[
            "init",
            "sleeper",
            "--repository",
            repository.path.to_str().unwrap(),
        ])
        .json(0);
    let state = bench
        .path()
        .join("state")
        .canonicalize()
        .unwrap_or(bench.path().join("state"));
    let mounts = || {
        let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let place = state.display().to_string();
        // A work tree is mounted when its container is about to start.
        all.lines().filter(|line| line.contains(&place)).count()
    };
    let mut command = bench.command(&["dry-run", "sleeper", "--baseline"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while mounts() < 2 {
        tokio::task::yield_now().await;
    }
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let ended = tokio::task::spawn_blocking(move || Ran::read(child.wait_with_output().unwrap()))
        .await
        .unwrap();
    assert_eq!(ended.status, 130, "{ended:#?}");
    assert_eq!(mounts(), 0);
    let runs: Vec<_> = fs::read_dir(state.join("runs")).unwrap().collect();
    assert!(runs.is_empty(), "{runs:?}");
}
