//! The reward policy and the snapshot.

use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{Backend, Server, id, key, validator};

const POLICY: &str = "/api/v1/reward-policy";

async fn the_default_policy_is_the_intended_split(backend: Backend) {
    let server = Server::start(backend).await;
    let snapshot = server.get("/api/v1/reward-snapshot").await.expect(200);
    let weights = &snapshot["reward_policy"]["validator_weights"];
    assert_eq!(weights["mode"], "targets");
    assert_eq!(weights["targets"][0], json!({"uid": 0, "weight": 0.9}));
    assert_eq!(
        weights["targets"][1],
        json!({"hotkey": "5F7MJ2fAyxBG7ci4xP7kQPJanoMdNurk1QBP1AQuFT2Jmzg2", "weight": 0.1})
    );
    server.get(POLICY).await.refused(401, "admin_token_missing");
    let policy = server
        .admin(Method::GET, POLICY, &Value::Null)
        .await
        .expect(200);
    assert_eq!(policy["version"], 0);
}

async fn a_policy_is_versioned_and_weights_divide(backend: Backend) {
    let server = Server::start(backend).await;
    let mut slugs = Vec::new();
    for (miner, score) in [(1, 1.0), (2, 2.0)] {
        let task = server.task(|_| {}).await;
        let submission = server.submit(&key(miner), &task, |_| {}).await;
        server.accept(&validator(0), &submission, score).await;
        slugs.push(task["slug"].clone());
    }
    let policy = json!({"validator_weights": {"mode": "burn_uid0"}, "competitions": [{"slug": slugs[0], "weight": 3}]});
    let put = server.admin(Method::PUT, POLICY, &policy).await.expect(200);
    assert_eq!(put["version"], 1);
    assert_eq!(
        server.admin(Method::PUT, POLICY, &policy).await.expect(200)["version"],
        2
    );
    // What was read can be put back, and not over what somebody else put meanwhile.
    let read = server
        .admin(Method::GET, POLICY, &Value::Null)
        .await
        .expect(200);
    assert_eq!(
        server.admin(Method::PUT, POLICY, &read).await.expect(200)["version"],
        3
    );
    server
        .admin(Method::PUT, POLICY, &read)
        .await
        .refused(409, "policy_changed");
    let snapshot = server.get("/api/v1/reward-snapshot").await.expect(200);
    assert_eq!(
        snapshot["reward_policy"]["validator_weights"]["mode"],
        "burn_uid0"
    );
    let mut shares: Vec<u64> = snapshot["eligible_miners"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["share_ppb"].as_u64().unwrap())
        .collect();
    shares.sort_unstable();
    assert_eq!(shares, [250_000_000, 750_000_000]);
}

async fn bad_policies_are_refused_with_the_field_named(backend: Backend) {
    let server = Server::start(backend).await;
    let targets = |list: Value| json!({"validator_weights": {"mode": "targets", "targets": list}});
    let local = json!({"mode": "local"});
    for (policy, field) in [
        (json!({}), "validator_weights"),
        (json!({"validator_weights": 1}), "validator_weights"),
        (json!({"validator_weights": {}}), "validator_weights.mode"),
        (
            json!({"validator_weights": {"mode": "all"}}),
            "validator_weights.mode",
        ),
        (
            json!({"validator_weights": {"mode": "local", "x": 1}}),
            "validator_weights.x",
        ),
        (
            json!({"validator_weights": {"mode": "local", "targets": [{"uid": 0, "weight": 1}]}}),
            "validator_weights.targets",
        ),
        (targets(json!([])), "validator_weights.targets"),
        (
            targets(json!([{"uid": 0, "weight": 0}])),
            "validator_weights.targets[0].weight",
        ),
        (
            targets(json!([{"uid": 0, "weight": "1"}])),
            "validator_weights.targets[0].weight",
        ),
        (
            targets(json!([{"uid": 0, "weight": -1}])),
            "validator_weights.targets[0].weight",
        ),
        (
            targets(json!([{"uid": 0}])),
            "validator_weights.targets[0].weight",
        ),
        (
            targets(json!([{"uid": 65536, "weight": 1}])),
            "validator_weights.targets[0].uid",
        ),
        (
            targets(json!([{"uid": 1.5, "weight": 1}])),
            "validator_weights.targets[0].uid",
        ),
        (
            targets(json!([{"weight": 1}])),
            "validator_weights.targets[0].uid",
        ),
        (
            targets(json!([{"uid": 0, "hotkey": key(1).hotkey().to_string(), "weight": 1}])),
            "validator_weights.targets[0].uid",
        ),
        (
            targets(json!([{"hotkey": "5F7M", "weight": 1}])),
            "validator_weights.targets[0].hotkey",
        ),
        (
            json!({"validator_weights": local, "competitions": {}}),
            "competitions",
        ),
        (
            json!({"validator_weights": local, "competitions": [{"slug": "abc", "weight": 1}, {"slug": "abc", "weight": 1}]}),
            "competitions[1].slug",
        ),
        (
            json!({"validator_weights": local, "idea_share": 1.1}),
            "idea_share",
        ),
        (
            json!({"validator_weights": local, "version": -1}),
            "version",
        ),
        (json!({"validator_weights": local, "colour": 3}), "colour"),
    ] {
        server
            .admin(Method::PUT, POLICY, &policy)
            .await
            .names_fields(&[field]);
    }
    assert_eq!(
        server
            .admin(Method::GET, POLICY, &Value::Null)
            .await
            .expect(200)["version"],
        0
    );
}

async fn the_same_state_gives_the_same_bytes(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    for miner in 1..=5 {
        let submission = server.submit(&key(miner), &task, |_| {}).await;
        server
            .accept(&validator(0), &submission, f64::from(miner))
            .await;
    }
    let take = async |server: &Server| {
        let text = server.get("/api/v1/reward-snapshot").await.text;
        let at = text.find("\"generated_at\":\"").unwrap();
        format!("{}{}", &text[..at], &text[at + 43..])
    };
    let first = take(&server).await;
    server.app.clock.advance_seconds(100);
    assert_eq!(first, take(&server).await);
    let sibling = server.sibling().await;
    assert_eq!(first, take(&sibling).await);
    let snapshot = server.get("/api/v1/reward-snapshot").await.expect(200);
    assert_eq!(snapshot["accepted_outcomes"].as_array().unwrap().len(), 5);
    assert_eq!(
        snapshot["best_results"][0]["miner_hotkey"],
        key(5).hotkey().to_string()
    );
    let competition = &snapshot["competitions"][0];
    for field in [
        "slug",
        "competition_mode",
        "scoring_mode",
        "reward_scope",
        "weight",
    ] {
        assert!(!competition[field].is_null(), "{field}");
    }
    assert_eq!(competition["slug"], task["slug"]);
}

async fn events_are_append_only_and_name_their_cause(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let submission = server.submit(&key(1), &task, |_| {}).await;
    server.accept(&validator(0), &submission, 1.0).await;
    let mut conn = server.app.store.read().await.unwrap();
    let events = coordinator::store::events::after(&mut conn, 0, 100)
        .await
        .unwrap();
    let actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "task.created",
            "claim.created",
            "submission.created",
            "job.leased",
            "result.posted",
            "submission.accepted",
            "best.changed"
        ]
    );
    assert_eq!(events[0].actor, "admin");
    assert_eq!(events[2].actor, key(1).hotkey().to_string());
    assert_eq!(events[2].request_digest.as_ref().unwrap().len(), 64);
    assert_eq!(events[2].subject, id(&submission));
    for sql in ["UPDATE events SET actor = 'x'", "DELETE FROM events"] {
        assert!(sqlx::query(sql).execute(&mut *conn).await.is_err(), "{sql}");
    }
}

on_both_databases! {
    the_default_policy_is_the_intended_split,
    a_policy_is_versioned_and_weights_divide,
    bad_policies_are_refused_with_the_field_named,
    the_same_state_gives_the_same_bytes,
    events_are_append_only_and_name_their_cause,
}
