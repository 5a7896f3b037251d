//! Consensus: who outvotes whom, what counts, and who is the original of a copy.

use serde_json::{Value, json};

use crate::common::{Backend, Server, accepted, id, key, validator};

const SCAN: &str = "/api/v1/validator/submissions/scan";
const CLAIM: &str = "/api/v1/validator/jobs/claim";

async fn error_of(server: &Server, who: u8, submission: &Value, fault: &str) -> Value {
    let code = if fault == "submission" {
        "artifact.unavailable"
    } else {
        "sandbox.engine_timeout"
    };
    let body = json!({"status": "error", "outcome_code": code, "fault": fault});
    server.app.clock.advance_seconds(4000);
    server
        .judge(&validator(who), submission, &body)
        .await
        .expect(200)
}

async fn a_liar_is_outvoted_and_stays_visible(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|task| task["quorum"] = json!(2)).await;
    let submission = server.submit(&key(1), &task, |_| {}).await;
    server.accept(&validator(0), &submission, 9000.0).await;
    assert_eq!(server.status_of(&submission).await["consensus"], "waiting");
    server.accept(&validator(1), &submission, 0.5).await;
    let split = server.status_of(&submission).await;
    assert_eq!(
        (split["status"].as_str(), split["consensus"].as_str()),
        (Some("pending_verification"), Some("disagreement"))
    );
    assert_eq!(
        server
            .get(&format!("/api/v1/tasks/{}/best", id(&task)))
            .await
            .expect(200)["best"],
        Value::Null
    );
    server.accept(&validator(2), &submission, 0.5).await;
    let done = server.status_of(&submission).await;
    assert_eq!(
        (done["status"].as_str(), done["consensus"].as_str()),
        (Some("accepted"), Some("agreed"))
    );
    assert_eq!(done["observed_metrics"], json!({"score": 0.5}));
    let rows = server
        .get(&format!(
            "/api/v1/verifications?submission_id={}",
            id(&submission)
        ))
        .await
        .expect(200);
    let mut seen: Vec<f64> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["observed_metrics"]["score"].as_f64().unwrap())
        .collect();
    seen.sort_by(f64::total_cmp);
    assert_eq!(
        seen,
        [0.5, 0.5, 9000.0],
        "every validator's numbers are visible"
    );
}

async fn one_validator_is_one_vote(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|task| task["quorum"] = json!(2)).await;
    let submission = server.submit(&key(1), &task, |_| {}).await;
    server.accept(&validator(0), &submission, 1.0).await;
    assert_eq!(
        server
            .post(&validator(0), SCAN, &json!({}))
            .await
            .expect(200)["jobs"],
        json!([])
    );
    server
        .post(&validator(0), CLAIM, &json!({}))
        .await
        .refused(404, "no_pending_jobs");
    assert_eq!(
        server.status_of(&submission).await["status"],
        "pending_verification"
    );
}

async fn the_median_within_the_tolerance_is_recorded(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| {
            task["quorum"] = json!(3);
            task["metric_tolerance"] = json!(0.05);
        })
        .await;
    let submission = server.submit(&key(1), &task, |_| {}).await;
    for (who, score) in [(0, 1.02), (1, 1.00), (2, 1.01)] {
        server.accept(&validator(who), &submission, score).await;
    }
    assert_eq!(
        server.status_of(&submission).await["observed_metrics"],
        json!({"score": 1.01})
    );
}

async fn rejections_need_a_majority_too(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|task| task["quorum"] = json!(2)).await;
    let submission = server.submit(&key(1), &task, |_| {}).await;
    let refused =
        json!({"status": "rejected", "outcome_code": "benchmark.failed", "fault": "submission"});
    server
        .judge(&validator(0), &submission, &refused)
        .await
        .expect(200);
    server.accept(&validator(1), &submission, 1.0).await;
    assert_eq!(
        server.status_of(&submission).await["consensus"],
        "disagreement"
    );
    server
        .judge(&validator(2), &submission, &refused)
        .await
        .expect(200);
    let done = server.status_of(&submission).await;
    assert_eq!(
        (done["status"].as_str(), done["outcome_code"].as_str()),
        (Some("rejected"), Some("benchmark.failed"))
    );
}

async fn errors_of_validators_never_count_and_the_job_comes_back(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let submission = server.submit(&key(1), &task, |_| {}).await;
    for who in [0, 0, 1, 1, 2] {
        error_of(&server, who, &submission, "validator").await;
        server
            .post(&validator(who), CLAIM, &json!({}))
            .await
            .refused(404, "no_pending_jobs");
    }
    assert_eq!(
        server.status_of(&submission).await["status"],
        "pending_verification"
    );
    server.app.clock.advance_seconds(4000);
    server.accept(&validator(0), &submission, 1.0).await;
    assert_eq!(server.status_of(&submission).await["status"], "accepted");
}

async fn repeated_errors_of_the_submission_end_it_and_it_may_be_submitted_again(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let same = crate::common::patch();
    let submission = server
        .submit(&key(1), &task, |body| body["patch"] = json!(same))
        .await;
    error_of(&server, 0, &submission, "submission").await;
    assert_eq!(
        server.status_of(&submission).await["status"],
        "pending_verification"
    );
    error_of(&server, 0, &submission, "submission").await;
    assert_eq!(server.status_of(&submission).await["status"], "error");
    let again = server
        .submit(&key(1), &task, |body| body["patch"] = json!(same))
        .await;
    assert_eq!(again["duplicate_of"], Value::Null);
}

async fn direct_verification_is_off_unless_configured(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let submission = server.submit(&key(1), &task, |_| {}).await;
    let target = format!("/api/v1/submissions/{}/verify", id(&submission));
    server
        .post(&validator(0), &target, &accepted(1.0))
        .await
        .refused(403, "direct_verification_off");
    let on = Server::with(backend, |settings| settings.direct_verification = true).await;
    let task = on.task(|_| {}).await;
    let submission = on.submit(&key(1), &task, |_| {}).await;
    let target = format!("/api/v1/submissions/{}/verify", id(&submission));
    on.post(&validator(0), &target, &accepted(1.0))
        .await
        .expect(200);
    assert_eq!(on.status_of(&submission).await["status"], "accepted");
}

async fn copies_are_settled_by_the_patched_tree(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let original = server.submit(&key(1), &task, |_| {}).await;
    let copy = server.submit(&key(2), &task, |_| {}).await;
    let mut result = accepted(2.0);
    result["patched_tree"] = json!("ab".repeat(20));
    server
        .judge(&validator(0), &copy, &result)
        .await
        .expect(200);
    let best = async || {
        server
            .get(&format!("/api/v1/tasks/{}/best", id(&task)))
            .await
            .expect(200)["best"]["id"]
            .clone()
    };
    assert_eq!(best().await, copy["id"]);
    server
        .judge(&validator(0), &original, &result)
        .await
        .expect(200);
    assert_eq!(
        best().await,
        original["id"],
        "the earlier submission of the same tree is the original"
    );
    assert_eq!(
        server.status_of(&copy).await["duplicate_of"],
        original["id"]
    );
    let snapshot = server.get("/api/v1/reward-snapshot").await.expect(200);
    assert_eq!(
        snapshot["eligible_miners"][0]["hotkey"],
        key(1).hotkey().to_string()
    );
    assert_eq!(snapshot["eligible_miners"].as_array().unwrap().len(), 1);
}

async fn who_a_copy_had_displaced_is_best_again_when_the_original_is_no_better(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| task["metric_tolerance"] = json!(0.1))
        .await;
    let original = server.submit(&key(1), &task, |_| {}).await;
    let honest = server.submit(&key(2), &task, |_| {}).await;
    let copy = server.submit(&key(3), &task, |_| {}).await;
    server.accept(&validator(0), &honest, 1.99).await;
    let with_tree = |score: f64| {
        let mut result = accepted(score);
        result["patched_tree"] = json!("cd".repeat(20));
        result
    };
    server
        .judge(&validator(0), &copy, &with_tree(2.0))
        .await
        .expect(200);
    server
        .judge(&validator(0), &original, &with_tree(1.98))
        .await
        .expect(200);
    let best = server
        .get(&format!("/api/v1/tasks/{}/best", id(&task)))
        .await
        .expect(200);
    assert_eq!(best["best"]["id"], honest["id"]);
    assert_eq!(best["frontier"].as_array().unwrap().len(), 1);
}

async fn who_sent_the_same_as_a_rejected_one_is_nobodys_copy(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let (shared, stolen) = (crate::common::patch(), crate::common::patch());
    let submit = async |miner: u8, patch: &str| {
        server
            .submit(&key(miner), &task, |body| body["patch"] = json!(patch))
            .await
    };
    let rejected = submit(1, &shared).await;
    let refused = json!({"status": "rejected", "outcome_code": "benchmark.failed"});
    server
        .judge(&validator(0), &rejected, &refused)
        .await
        .expect(200);
    let same = submit(2, &shared).await;
    assert_eq!(same["duplicate_of"], rejected["id"]);
    server.accept(&validator(0), &same, 0.5).await;
    let original = submit(3, &stolen).await;
    let copy = submit(4, &stolen).await;
    server.accept(&validator(0), &copy, 0.9).await;
    server.accept(&validator(0), &original, 0.4).await;
    let best = server
        .get(&format!("/api/v1/tasks/{}/best", id(&task)))
        .await
        .expect(200);
    assert_eq!(
        best["best"]["id"], same["id"],
        "0.5 beats 0.4, and nobody else counts"
    );
    let snapshot = server.get("/api/v1/reward-snapshot").await.expect(200);
    let paid: Vec<_> = snapshot["eligible_miners"].as_array().unwrap().clone();
    assert_eq!(paid.len(), 1);
    assert_eq!(paid[0]["hotkey"], key(2).hotkey().to_string());
}

async fn an_idea_earns_nothing_by_a_copy_that_was_replayed_first(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| task["competition_mode"] = json!("centerless"))
        .await;
    let idea = |body: &mut Value| body["proposed_idea"] = json!("sort in place");
    let original = server.submit(&key(1), &task, idea).await;
    let accomplice = server.submit(&key(2), &task, idea).await;
    let copy = server
        .submit(&key(3), &task, |body| {
            idea(body);
            body["implemented_submission_id"] = accomplice["id"].clone();
        })
        .await;
    let mut result = accepted(2.0);
    result["patched_tree"] = json!("ef".repeat(20));
    let rewards = async || server.get("/api/v1/idea-rewards").await.expect(200);
    server
        .judge(&validator(0), &copy, &result)
        .await
        .expect(200);
    assert_eq!(rewards().await[0]["implementing_submission_id"], copy["id"]);
    server
        .judge(&validator(0), &original, &result)
        .await
        .expect(200);
    assert_eq!(rewards().await, json!([]));
    let snapshot = server.get("/api/v1/reward-snapshot").await.expect(200);
    let paid = snapshot["eligible_miners"].as_array().unwrap();
    assert_eq!(paid.len(), 1);
    assert_eq!(paid[0]["hotkey"], key(1).hotkey().to_string());
}

on_both_databases! {
    an_idea_earns_nothing_by_a_copy_that_was_replayed_first,
    a_liar_is_outvoted_and_stays_visible,
    one_validator_is_one_vote,
    the_median_within_the_tolerance_is_recorded,
    rejections_need_a_majority_too,
    errors_of_validators_never_count_and_the_job_comes_back,
    repeated_errors_of_the_submission_end_it_and_it_may_be_submitted_again,
    direct_verification_is_off_unless_configured,
    copies_are_settled_by_the_patched_tree,
    who_a_copy_had_displaced_is_best_again_when_the_original_is_no_better,
    who_sent_the_same_as_a_rejected_one_is_nobodys_copy,
}
