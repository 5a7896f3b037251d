//! Claims: made, shown, cancelled, expired.

use serde_json::{Value, json};

use crate::common::{Backend, Server, id, key, submission_json};

async fn a_claim_has_the_wires_fields(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let claim = server.claim(&key(1), &task).await;
    for field in [
        "id",
        "task_id",
        "miner_hotkey",
        "claim_description",
        "status",
        "expires_at",
        "created_at",
        "updated_at",
    ] {
        assert!(!claim[field].is_null(), "{field}");
    }
    assert!(
        claim
            .as_object()
            .unwrap()
            .contains_key("base_submission_id")
    );
    assert_eq!(claim["status"], "active");
    assert_eq!(claim["miner_hotkey"], key(1).hotkey().to_string());
    assert_eq!(claim["participation_disclaimer"]["must_display"], true);
    assert_eq!(
        server.get("/api/v1/claims").await.expect(200),
        json!([claim])
    );
}

async fn wrong_claims_are_refused(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let target = format!("/api/v1/tasks/{}/claim", id(&task));
    let post = async |body: Value| server.post(&key(1), &target, &body).await;
    post(json!({})).await.names_fields(&["claim_description"]);
    post(json!({"claim_description": " "}))
        .await
        .names_fields(&["claim_description"]);
    post(json!({"claim_description": "x\u{0}"}))
        .await
        .names_fields(&["claim_description"]);
    post(json!({"claim_description": 1, "base_submission_id": "x"}))
        .await
        .names_fields(&["claim_description", "base_submission_id"]);
    post(json!({"claim_description": "x", "base_submission_id": uuid::Uuid::new_v4()}))
        .await
        .names_fields(&["base_submission_id"]);
    post(json!([])).await.refused(400, "not_an_object");
    let ghost = format!("/api/v1/tasks/{}/claim", uuid::Uuid::new_v4());
    server
        .post(&key(1), &ghost, &json!({"claim_description": "x"}))
        .await
        .refused(404, "task_not_found");
}

async fn a_hotkey_holds_only_so_many_claims_even_when_it_races(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let target = format!("/api/v1/tasks/{}/claim", id(&task));
    let attempts = (0..8).map(|_| async {
        server
            .post(&key(1), &target, &json!({"claim_description": "x"}))
            .await
            .status
            .as_u16()
    });
    let mut statuses = futures_util::future::join_all(attempts).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 201, 409, 409, 409, 409, 409]);
    server
        .post(&key(2), &target, &json!({"claim_description": "x"}))
        .await
        .expect(201);
}

async fn only_the_owner_cancels_and_only_once(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let claim = server.claim(&key(1), &task).await;
    let target = format!("/api/v1/claims/{}/cancel", id(&claim));
    server
        .post(&key(2), &target, &Value::Null)
        .await
        .refused(403, "claim_of_another");
    assert_eq!(
        server
            .post(&key(1), &target, &Value::Null)
            .await
            .expect(200)["status"],
        "cancelled"
    );
    server
        .post(&key(1), &target, &Value::Null)
        .await
        .refused(409, "claim_not_active");
    let ghost = format!("/api/v1/claims/{}/cancel", uuid::Uuid::new_v4());
    server
        .post(&key(1), &ghost, &Value::Null)
        .await
        .refused(404, "claim_not_found");
    server
        .post(&key(1), "/api/v1/submissions", &submission_json(&claim))
        .await
        .refused(409, "claim_not_active");
}

async fn a_claim_expires_by_itself_after_45_minutes(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let claim = server.claim(&key(1), &task).await;
    server.app.clock.advance_seconds(45 * 60 - 30);
    let active = server.get("/api/v1/claims?status=active").await.expect(200);
    assert_eq!(active.as_array().unwrap().len(), 1);
    server.app.clock.advance_seconds(31);
    server
        .post(&key(1), "/api/v1/submissions", &submission_json(&claim))
        .await
        .refused(409, "claim_expired");
    assert_eq!(
        server.get("/api/v1/claims?status=active").await.expect(200),
        json!([])
    );
    let expired = server
        .get(&format!(
            "/api/v1/claims?status=expired&task_id={}",
            id(&task)
        ))
        .await
        .expect(200);
    assert_eq!(expired[0]["id"], claim["id"]);
    let cancel = format!("/api/v1/claims/{}/cancel", id(&claim));
    server
        .post(&key(1), &cancel, &Value::Null)
        .await
        .refused(409, "claim_not_active");
}

async fn wrong_filters_are_named(backend: Backend) {
    let server = Server::start(backend).await;
    for (query, field) in [
        ("status=gone", "status"),
        ("task_id=x", "task_id"),
        ("limit=-1", "limit"),
        ("cursor=%00", "cursor"),
    ] {
        server
            .get(&format!("/api/v1/claims?{query}"))
            .await
            .names_fields(&[field]);
    }
}

on_both_databases! {
    a_claim_has_the_wires_fields,
    wrong_claims_are_refused,
    a_hotkey_holds_only_so_many_claims_even_when_it_races,
    only_the_owner_cancels_and_only_once,
    a_claim_expires_by_itself_after_45_minutes,
    wrong_filters_are_named,
}
