//! `peer-evaluate-once`: another miner's submission, replayed by the real engine.

use serde_json::{Value, json};

use super::coordinator::{Coordinator, key};
use super::liar::{Liar, answer};
use super::program::{ADDRESS, Bench};
use super::repository::Repository;

fn patch(value: &str) -> String {
    format!(
        "diff --git a/src/value.txt b/src/value.txt\n--- a/src/value.txt\n+++ b/src/value.txt\n@@ -1 +1 @@\n-1.0\n+{value}\n"
    )
}

async fn submit(coordinator: &Coordinator, miner: u8, task: &Value, patch: &str) -> Value {
    let path = format!("/api/v1/tasks/{}/claim", task["id"].as_str().unwrap());
    let claim = coordinator
        .post(&key(miner), &path, &json!({"claim_description": "x"}), 201)
        .await;
    let body = json!({"claim_id": claim["id"], "base_ref": "main", "patch": patch, "summary": "s", "claimed_metrics": {}});
    coordinator
        .post(&key(miner), "/api/v1/submissions", &body, 201)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_submitted_is_replayed_oldest_first_and_said_once() {
    let (coordinator, repository) = (Coordinator::start(), Repository::new());
    let task = coordinator
        .task(&repository.path, "by-peers", |task| {
            task["competition_mode"] = json!("peer_evaluation");
            task["min_peer_evaluations"] = json!(2);
        })
        .await;
    let good = submit(&coordinator, 1, &task, &patch("4.5")).await;
    let bad = submit(&coordinator, 2, &task, &patch("not a number")).await;
    let bench = Bench::new(&coordinator.url);
    let evaluate = || {
        bench.run(&[
            "peer-evaluate-once",
            "--repository",
            repository.path.to_str().unwrap(),
        ])
    };

    let first = evaluate().json(0);
    assert_eq!(
        (&first["submission_id"], &first["status"]),
        (&good["id"], &json!("accepted"))
    );
    assert_eq!(first["evaluation"]["observed_metrics"]["score"], 4.5);
    assert_eq!(first["evaluation"]["evaluator_hotkey"], ADDRESS);
    let second = evaluate().json(0);
    assert_eq!(
        (&second["submission_id"], &second["status"]),
        (&bad["id"], &json!("rejected"))
    );
    assert_eq!(evaluate().json(0)["status"], "idle");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_whose_digest_or_artifact_is_a_lie_is_neither_replayed_nor_judged() {
    let (task_id, id) = (
        "67e55044-10b1-426f-9247-bb680e5fe0c8",
        "00000000-0000-4000-8000-000000000000",
    );
    let repository = Repository::new();
    for (field, value, words) in [
        ("patch_sha256", json!("0".repeat(64)), "digest"),
        ("artifact_uri", json!("/etc/shadow"), "https"),
        ("artifact_uri", json!("http://169.254.169.254/"), "https"),
        ("patch", json!(""), "neither"),
    ] {
        let mut submission = json!({"id": id, "task_id": task_id, "status": "pending_verification",
            "miner_hotkey": key(1).hotkey(), "patch": patch("2")});
        submission[field] = value.clone();
        let task = json!({"id": task_id, "slug": "by-peers", "benchmark_command": "python3 bench.py", "result_path": "result.json",
            "allowed_patch_paths": ["src"], "metric_name": "score", "metric_direction": "maximize", "title": "t-t",
            "competition_mode": "peer_evaluation", "time_budget_seconds": 5, "base_commit_sha": repository.commit});
        let liar = Liar::start(move |_, asked| {
            let body = match asked.path.as_str() {
                "/api/v1/tasks" => json!([task]),
                "/api/v1/submissions" => json!([submission]),
                "/api/v1/peer-evaluations" => json!([]),
                _ => submission.clone(),
            };
            answer(200, &[], body.to_string())
        })
        .await;
        let ran = Bench::new(&liar.url).run(&[
            "peer-evaluate-once",
            "--repository",
            repository.path.to_str().unwrap(),
        ]);
        ran.refused(3, words);
        assert!(
            liar.asked().iter().all(|one| one.method == "GET"),
            "{field} = {value}"
        );
    }
}
