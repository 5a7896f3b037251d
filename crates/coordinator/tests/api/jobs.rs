//! Jobs, leases and results.

use serde_json::{Value, json};

use crate::common::{Backend, Server, accepted, id, key, validator};

const SCAN: &str = "/api/v1/validator/submissions/scan";
const CLAIM: &str = "/api/v1/validator/jobs/claim";

async fn a_job_has_the_wires_fields_and_the_private_inputs(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|task| {
        task["validator_benchmark_env"] = json!({"TOKEN": "s"});
        task["private_inputs"] = json!([{"name": "h.json", "uri": "https://p.example/h", "sha256": "ab".repeat(32), "size_bytes": 7}]);
    }).await;
    server
        .post(&validator(0), CLAIM, &json!({}))
        .await
        .refused(404, "no_pending_jobs");
    let none = server.post(&validator(0), CLAIM, &Value::Null).await;
    assert_eq!(none.expect(404)["detail"], "no pending validator jobs");
    let submission = server.submit(&key(1), &task, |_| {}).await;
    let jobs = server
        .post(&validator(0), SCAN, &json!({}))
        .await
        .expect(200)["jobs"]
        .clone();
    assert_eq!(jobs.as_array().unwrap().len(), 1);
    let job = &jobs[0];
    assert_eq!(job["submission_id"], submission["id"]);
    for field in [
        "id",
        "task_id",
        "base_ref",
        "patch",
        "artifact_uri",
        "artifact_sha256",
        "artifact_size_bytes",
    ] {
        assert!(
            job["submission"].as_object().unwrap().contains_key(field),
            "{field}"
        );
    }
    for field in [
        "repository",
        "base_ref",
        "base_commit_sha",
        "setup_command",
        "benchmark_command",
        "result_path",
        "allowed_patch_paths",
        "metric_name",
        "metric_direction",
        "ranking_mode",
        "secondary_metric_name",
        "secondary_metric_direction",
        "validator_benchmark_env",
        "time_budget_seconds",
        "max_patch_bytes",
    ] {
        assert!(
            job["replay_spec"].as_object().unwrap().contains_key(field),
            "{field}"
        );
    }
    assert_eq!(
        job["replay_spec"]["private_inputs"][0]["uri"],
        "https://p.example/h"
    );
    let spec: protocol::ReplaySpec = serde_json::from_value(job["spec"].clone()).unwrap();
    assert_eq!(
        spec.digest().to_string(),
        job["spec_digest"].as_str().unwrap()
    );
    let leased = server
        .post(&validator(0), CLAIM, &json!({}))
        .await
        .expect(200);
    assert_eq!(leased["job_id"], job["job_id"]);
}

async fn racing_validators_never_both_hold_a_job(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    for miner in 1..=4 {
        server.submit(&key(miner), &task, |_| {}).await;
    }
    let sibling = server.sibling().await;
    let attempts = (0..10u8).map(|n| {
        let at = if n % 2 == 0 { &server } else { &sibling };
        async move { at.post(&validator(n), CLAIM, &json!({})).await }
    });
    let replies = futures_util::future::join_all(attempts).await;
    let mut held: Vec<String> = replies
        .iter()
        .filter(|r| r.status == 200)
        .map(|r| r.json()["submission_id"].as_str().unwrap().to_owned())
        .collect();
    held.sort();
    let count = held.len();
    held.dedup();
    assert_eq!((held.len(), count), (4, 4), "each submission is held once");
}

async fn a_lost_validators_job_returns_and_its_late_result_still_counts(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    server.submit(&key(1), &task, |_| {}).await;
    let first = server
        .post(&validator(0), CLAIM, &json!({}))
        .await
        .expect(200);
    server
        .post(&validator(1), CLAIM, &json!({}))
        .await
        .refused(404, "no_pending_jobs");
    server.app.clock.advance_seconds(601);
    let second = server
        .post(&validator(1), CLAIM, &json!({}))
        .await
        .expect(200);
    assert_ne!(first["job_id"], second["job_id"]);
    assert_eq!(
        server
            .post_result(&validator(0), &first, &accepted(2.0))
            .await
            .expect(200)["status"],
        "accepted"
    );
    server
        .post_result(&validator(1), &second, &accepted(2.0))
        .await
        .refused(409, "submission_decided");
    let rows = server
        .get("/api/v1/verifications?status=accepted")
        .await
        .expect(200);
    assert_eq!(rows.as_array().unwrap().len(), 1, "one counted result");
}

async fn the_worklist_has_everything_undecided_whoever_is_at_it(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let submission = server.submit(&key(1), &task, |_| {}).await;
    let listed = async |n| {
        let list = server
            .post(&validator(n), SCAN, &json!({}))
            .await
            .expect(200);
        list["jobs"].as_array().unwrap().len()
    };
    let held = server
        .post(&validator(0), CLAIM, &json!({}))
        .await
        .expect(200);
    assert_eq!((listed(0).await, listed(1).await), (1, 1));
    server
        .post(&validator(1), CLAIM, &json!({}))
        .await
        .refused(404, "no_pending_jobs");
    // What was found on the worklist may be replayed and posted without a lease.
    let list = server
        .post(&validator(1), SCAN, &json!({}))
        .await
        .expect(200);
    let error = json!({"status": "error", "outcome_code": "internal", "fault": "validator"});
    server
        .post_result(&validator(1), &list["jobs"][0], &error)
        .await
        .expect(200);
    assert_eq!(listed(1).await, 0, "it waits after an error of its own");
    assert_eq!(listed(2).await, 1);
    server
        .post_result(&validator(0), &held, &accepted(1.0))
        .await
        .expect(200);
    assert_eq!(server.status_of(&submission).await["status"], "accepted");
    assert_eq!((listed(0).await, listed(2).await), (0, 0));
}

async fn work_is_asked_for_by_the_slug_of_a_task_as_well(backend: Backend) {
    let server = Server::start(backend).await;
    let (one, two) = (server.task(|_| {}).await, server.task(|_| {}).await);
    server.submit(&key(1), &one, |_| {}).await;
    let wanted = server.submit(&key(2), &two, |_| {}).await;
    let by_slug = json!({"task_slug": two["slug"]});
    let list = server.post(&validator(0), SCAN, &by_slug).await.expect(200);
    assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(list["jobs"][0]["submission_id"], wanted["id"]);
    let job = server
        .post(&validator(0), CLAIM, &by_slug)
        .await
        .expect(200);
    assert_eq!(job["submission_id"], wanted["id"]);
    for nothing in [
        by_slug,
        json!({"task_slug": "no-such-task"}),
        json!({"task_slug": one["slug"], "task_id": two["id"]}),
    ] {
        server
            .post(&validator(0), CLAIM, &nothing)
            .await
            .refused(404, "no_pending_jobs");
    }
    for any in [json!({"task_slug": ""}), json!({"task_slug": null})] {
        let list = server.post(&validator(1), SCAN, &any).await.expect(200);
        assert_eq!(list["jobs"].as_array().unwrap().len(), 2);
    }
}

async fn heartbeats_keep_a_lease_until_it_is_lost(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    server.submit(&key(1), &task, |_| {}).await;
    let job = server
        .post(&validator(0), CLAIM, &json!({}))
        .await
        .expect(200);
    let beat = format!(
        "/api/v1/validator/jobs/{}/heartbeat",
        job["job_id"].as_str().unwrap()
    );
    for _ in 0..3 {
        server.app.clock.advance_seconds(500);
        server
            .post(&validator(0), &beat, &Value::Null)
            .await
            .expect(200);
        server
            .post(&validator(1), CLAIM, &json!({}))
            .await
            .refused(404, "no_pending_jobs");
    }
    let mut conn = server.app.store.read().await.unwrap();
    let job_id = job["job_id"].as_str().unwrap();
    let events = coordinator::store::events::of(&mut conn, job_id)
        .await
        .unwrap();
    drop(conn);
    let actor = validator(0).hotkey().to_string();
    assert_eq!(events.len(), 3, "each heartbeat is in the audit trail");
    assert!(
        events
            .iter()
            .all(|one| one.action == "job.renewed" && one.actor == actor)
    );
    assert!(events[2].request_digest.is_some());
    server
        .post(&validator(1), &beat, &Value::Null)
        .await
        .refused(409, "job_of_another");
    server.app.clock.advance_seconds(601);
    server
        .post(&validator(0), &beat, &Value::Null)
        .await
        .expect(200);
    server.app.clock.advance_seconds(601);
    let taken = server
        .post(&validator(1), CLAIM, &json!({}))
        .await
        .expect(200);
    server
        .post(&validator(0), &beat, &Value::Null)
        .await
        .refused(409, "lease_lost");
    server
        .post_result(&validator(1), &taken, &accepted(1.0))
        .await
        .expect(200);
    server
        .post(&validator(0), &beat, &Value::Null)
        .await
        .refused(409, "submission_decided");
    let ghost = format!("/api/v1/validator/jobs/{}/heartbeat", uuid::Uuid::new_v4());
    server
        .post(&validator(0), &ghost, &Value::Null)
        .await
        .refused(404, "job_not_found");
}

async fn a_result_posted_twice_is_one_row_and_another_is_refused(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let submission = server.submit(&key(1), &task, |_| {}).await;
    let job = server
        .post(&validator(0), SCAN, &json!({}))
        .await
        .expect(200)["jobs"][0]
        .clone();
    let first = server
        .post_result(&validator(0), &job, &accepted(1.0))
        .await
        .expect(200);
    assert_eq!(first["id"], job["job_id"]);
    let again = server
        .post_result(&validator(0), &job, &accepted(1.0))
        .await
        .expect(200);
    assert_eq!(first, again);
    server
        .post_result(&validator(0), &job, &accepted(9.0))
        .await
        .refused(409, "result_differs");
    let rows = server
        .get(&format!(
            "/api/v1/verifications?submission_id={}",
            id(&submission)
        ))
        .await
        .expect(200);
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["id"], job["job_id"]);
    let log = server
        .send(
            server
                .request(
                    reqwest::Method::GET,
                    &format!("/api/v1/submissions/{}/replay.log", id(&submission)),
                )
                .header("X-Admin-Token", crate::common::ADMIN),
        )
        .await;
    assert_eq!(log.text, "ran");
    server
        .get(&format!(
            "/api/v1/submissions/{}/replay.log",
            id(&submission)
        ))
        .await
        .refused(401, "admin_token_missing");
}

async fn a_result_for_anothers_job_is_refused(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let submission = server.submit(&key(1), &task, |_| {}).await;
    let job = server
        .post(&validator(0), CLAIM, &json!({}))
        .await
        .expect(200);
    server
        .post_result(&validator(1), &job, &accepted(1.0))
        .await
        .refused(409, "job_of_another");
    let ghost = json!({"job_id": uuid::Uuid::new_v4(), "submission_id": submission["id"]});
    server
        .post_result(&validator(0), &ghost, &accepted(1.0))
        .await
        .refused(404, "job_not_found");
    let ghost = json!({"job_id": job["job_id"], "submission_id": uuid::Uuid::new_v4()});
    server
        .post_result(&validator(0), &ghost, &accepted(1.0))
        .await
        .refused(404, "submission_not_found");
    assert_eq!(
        server.status_of(&submission).await["status"],
        "pending_verification"
    );
}

async fn wrong_results_are_refused(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| task["metric_range"] = json!({"min": 0, "max": 10}))
        .await;
    server.submit(&key(1), &task, |_| {}).await;
    let job = server
        .post(&validator(0), CLAIM, &json!({}))
        .await
        .expect(200);
    let post = async |body: Value| server.post_result(&validator(0), &job, &body).await;
    post(json!({})).await.names_fields(&["status"]);
    post(json!({"status": "great", "observed_metrics": [], "fault": "god", "outcome_code": "x.y", "spec_digest": "z", "patched_tree": "q"})).await
        .names_fields(&["status", "observed_metrics", "fault", "outcome_code", "spec_digest", "patched_tree"]);
    post(json!({"status": "accepted"}))
        .await
        .names_fields(&["observed_metrics.score"]);
    post(json!({"status": "accepted", "observed_metrics": {"Score": 1}}))
        .await
        .names_fields(&["observed_metrics.score"]);
    post(accepted(11.0))
        .await
        .names_fields(&["observed_metrics.score"]);
    post(json!({"status": "accepted", "observed_metrics": {"score": "1"}}))
        .await
        .names_fields(&["observed_metrics.score"]);
    post(json!({"status": "accepted", "outcome_code": "patch.empty", "observed_metrics": {"score": 1}})).await.names_fields(&["outcome_code"]);
    post(json!({"status": "rejected", "outcome_code": "sandbox.engine_timeout"}))
        .await
        .names_fields(&["outcome_code"]);
    let mut other = accepted(1.0);
    other["spec_digest"] = json!("ab".repeat(32));
    post(other).await.names_fields(&["spec_digest"]);
    let mut right = accepted(1.0);
    right["spec_digest"] = job["spec_digest"].clone();
    right["notes"] = json!("a NUL\u{0} is no reason to lose a result");
    post(right).await.expect(200);
}

async fn what_decides_nothing_costs_no_result(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    server.submit(&key(1), &task, |_| {}).await;
    let job = server
        .post(&validator(0), CLAIM, &json!({}))
        .await
        .expect(200);
    let post = async |metrics: Value| {
        let body = json!({"status": "accepted", "observed_metrics": metrics,
            "notes": "n".repeat(30_000), "replay_log": "ran"});
        server.post_result(&validator(0), &job, &body).await
    };
    let row = post(json!({"score": 1.5, "device": "cpu", "loss": null, "took": 3.25}))
        .await
        .expect(200);
    assert_eq!(row["observed_metrics"], json!({"score": 1.5, "took": 3.25}));
    let notes = row["notes"].as_str().unwrap();
    assert!(notes.contains("characters left out") && notes.chars().count() <= 20_000);
    // The same by value, and replayed anew: harmless.
    let again = post(json!({"score": 1.50, "took": 4})).await.expect(200);
    assert_eq!(again["observed_metrics"], row["observed_metrics"]);
    post(json!({"score": 1.6}))
        .await
        .refused(409, "result_differs");
}

async fn what_is_private_is_taken_out_of_what_a_validator_writes(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| task["validator_benchmark_env"] = json!({"TOKEN": "tokenvalue9"}))
        .await;
    let submission = server.submit(&key(1), &task, |_| {}).await;
    let mut result = accepted(1.0);
    result["notes"] = json!("saw tokenvalue9");
    server
        .judge(&validator(0), &submission, &result)
        .await
        .expect(200);
    let rows = server
        .get(&format!(
            "/api/v1/verifications?submission_id={}",
            id(&submission)
        ))
        .await
        .expect(200);
    assert_eq!(rows[0]["notes"], "saw [private]");
}

async fn a_patch_too_large_for_a_worklist_hides_nothing_behind_it(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| task["max_patch_bytes"] = json!(32 << 20))
        .await;
    let first = server.submit(&key(1), &task, |_| {}).await;
    let large = server
        .submit(&key(2), &task, |body| {
            let mut patch = crate::common::patch();
            patch = patch.replace("@@ -1 +1 @@", "@@ -1 +1,2 @@");
            patch += "+";
            patch += &"x".repeat(17 << 20);
            patch += "\n";
            body["patch"] = json!(patch);
        })
        .await;
    let last = server.submit(&key(3), &task, |_| {}).await;
    let list = async || {
        let jobs = server
            .post(&validator(0), SCAN, &json!({}))
            .await
            .expect(200);
        let jobs = jobs["jobs"].as_array().unwrap().clone();
        jobs.into_iter()
            .map(|job| job["submission_id"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(list().await, [first["id"].clone(), last["id"].clone()]);
    server.accept(&validator(0), &first, 1.0).await;
    assert_eq!(list().await[0], large["id"], "its turn comes");
}

async fn a_spec_digest_may_have_the_image_that_the_host_resolved(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    server.submit(&key(1), &task, |_| {}).await;
    let job = server
        .post(&validator(0), CLAIM, &json!({}))
        .await
        .expect(200);
    let mut spec: protocol::ReplaySpec = serde_json::from_value(job["spec"].clone()).unwrap();
    spec.image = format!("sha256:{}", "cd".repeat(32));
    let mut result = accepted(1.0);
    result["spec_digest"] = json!(spec.digest());
    server
        .post_result(&validator(0), &job, &result)
        .await
        .names_fields(&["spec_digest"]);
    result["image"] = json!(spec.image);
    server
        .post_result(&validator(0), &job, &result)
        .await
        .expect(200);
}

on_both_databases! {
    a_job_has_the_wires_fields_and_the_private_inputs,
    racing_validators_never_both_hold_a_job,
    a_lost_validators_job_returns_and_its_late_result_still_counts,
    the_worklist_has_everything_undecided_whoever_is_at_it,
    work_is_asked_for_by_the_slug_of_a_task_as_well,
    heartbeats_keep_a_lease_until_it_is_lost,
    a_result_posted_twice_is_one_row_and_another_is_refused,
    a_result_for_anothers_job_is_refused,
    wrong_results_are_refused,
    what_decides_nothing_costs_no_result,
    what_is_private_is_taken_out_of_what_a_validator_writes,
    a_patch_too_large_for_a_worklist_hides_nothing_behind_it,
    a_spec_digest_may_have_the_image_that_the_host_resolved,
}
