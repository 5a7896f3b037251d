//! Signatures: whose, over what, when, and only once.

use protocol::auth::Headers;
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{Backend, Reply, Server, id, key, with_headers};

async fn send(server: &Server, target: &str, headers: &Headers, body: &str) -> Reply {
    let request = with_headers(server.request(Method::POST, target), headers);
    server.send(request.body(body.to_owned())).await
}

const BODY: &str =
    r#"{ "claim_description" : "caf\u00e9 \ud83d\ude00" , "extra": [1.50, -0, 1E5, 1e-5] }"#;

struct Case {
    server: Server,
    target: String,
}

impl Case {
    async fn new(backend: Backend) -> Self {
        let server = Server::start(backend).await;
        let task = server.task(|_| {}).await;
        let target = format!("/api/v1/tasks/{}/claim", id(&task));
        Self { server, target }
    }

    fn sign(&self, target: &str, body: &str) -> Headers {
        self.server.sign(&key(1), "POST", target, body)
    }

    async fn refused(&self, headers: &Headers, code: &str) {
        send(&self.server, &self.target, headers, BODY)
            .await
            .refused(401, code);
        assert_eq!(
            self.server.get("/api/v1/claims").await.expect(200),
            json!([]),
            "{code} changed state"
        );
    }
}

async fn a_signature_is_accepted_once_however_it_is_written(backend: Backend) {
    let case = Case::new(backend).await;
    let headers = case.sign(&case.target, BODY);
    send(&case.server, &case.target, &headers, BODY)
        .await
        .expect(201);
    for signature in [
        headers.signature.clone(),
        format!("0x{}", headers.signature),
        headers.signature.to_uppercase(),
    ] {
        let again = Headers {
            signature,
            ..headers.clone()
        };
        send(&case.server, &case.target, &again, BODY)
            .await
            .refused(401, "signature_reused");
    }
    assert_eq!(
        case.server
            .get("/api/v1/claims")
            .await
            .expect(200)
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

async fn another_process_knows_a_used_signature(backend: Backend) {
    let case = Case::new(backend).await;
    let headers = case.sign(&case.target, BODY);
    send(&case.server, &case.target, &headers, BODY)
        .await
        .expect(201);
    let sibling = case.server.sibling().await;
    send(&sibling, &case.target, &headers, BODY)
        .await
        .refused(401, "signature_reused");
}

async fn a_refused_request_uses_its_signature_up(backend: Backend) {
    let case = Case::new(backend).await;
    let pause = case.target.replace("/claim", "/pause");
    case.server
        .admin_post(&pause, &Value::Null)
        .await
        .expect(200);
    let headers = case.sign(&case.target, BODY);
    send(&case.server, &case.target, &headers, BODY)
        .await
        .refused(409, "task_not_live");
    case.server
        .admin_post(&pause.replace("/pause", "/resume"), &Value::Null)
        .await
        .expect(200);
    case.refused(&headers, "signature_reused").await;
}

async fn unsigned_and_malformed_requests_are_refused(backend: Backend) {
    let case = Case::new(backend).await;
    let good = case.sign(&case.target, BODY);
    let reply = case
        .server
        .send(case.server.request(Method::POST, &case.target).body(BODY))
        .await;
    reply.refused(401, "not_signed");
    let wrong = |change: &dyn Fn(&mut Headers)| {
        let mut headers = good.clone();
        change(&mut headers);
        headers
    };
    for headers in [
        wrong(&|h| h.hotkey = "5F".to_owned()),
        wrong(&|h| h.hotkey = "x' OR 1=1 --".to_owned()),
        wrong(&|h| h.timestamp = "soon".to_owned()),
        wrong(&|h| h.timestamp = "-1".to_owned()),
        wrong(&|h| h.timestamp = "1e9".to_owned()),
        wrong(&|h| h.signature = "00".to_owned()),
        wrong(&|h| h.signature = "zz".repeat(64)),
    ] {
        case.refused(&headers, "malformed_signature").await;
    }
    case.refused(
        &wrong(&|h| h.hotkey = key(2).hotkey().to_string()),
        "wrong_signature",
    )
    .await;
    case.refused(
        &wrong(&|h| h.signature = "01".repeat(64)),
        "wrong_signature",
    )
    .await;
}

async fn stale_and_future_timestamps_are_refused(backend: Backend) {
    let case = Case::new(backend).await;
    let now = case.server.now();
    // Far enough for a machine that takes its time.
    for at in [now - 400, now + 400, 0] {
        let request = protocol::auth::Request {
            method: "POST",
            path: &case.target,
            query: "",
            body: BODY.as_bytes(),
        };
        case.refused(&request.sign(&key(1), at).unwrap(), "stale_timestamp")
            .await;
    }
    for at in [now - 290, now + 290] {
        let request = protocol::auth::Request {
            method: "POST",
            path: &case.target,
            query: "",
            body: BODY.as_bytes(),
        };
        send(
            &case.server,
            &case.target,
            &request.sign(&key(1), at).unwrap(),
            BODY,
        )
        .await
        .expect(201);
    }
}

async fn a_signature_is_of_one_method_path_query_and_body(backend: Backend) {
    let case = Case::new(backend).await;
    let other = format!("/api/v1/tasks/{}/claim", uuid::Uuid::new_v4());
    case.refused(&case.sign(&other, BODY), "wrong_signature")
        .await;
    case.refused(
        &case.sign(&format!("{}?a=1", case.target), BODY),
        "wrong_signature",
    )
    .await;
    case.refused(
        &case.server.sign(&key(1), "PUT", &case.target, BODY),
        "wrong_signature",
    )
    .await;
    case.refused(
        &case.sign(&case.target, r#"{"claim_description": "x"}"#),
        "wrong_signature",
    )
    .await;
    case.refused(&case.sign(&case.target, ""), "wrong_signature")
        .await;
    // The query is signed raw, and it is part of what is sent.
    let target = format!("{}?cursor=a%20b&limit=10", case.target);
    let headers = case.sign(&target, BODY);
    send(&case.server, &target, &headers, BODY)
        .await
        .expect(201);
}

async fn repeated_headers_are_refused(backend: Backend) {
    let case = Case::new(backend).await;
    for name in ["X-Hotkey", "X-Timestamp", "X-Signature"] {
        let headers = case.sign(&case.target, BODY);
        let request = with_headers(case.server.request(Method::POST, &case.target), &headers)
            .header(name, "other");
        case.server
            .send(request.body(BODY))
            .await
            .refused(400, "repeated_header");
    }
}

async fn bodies_that_two_readers_could_read_differently_are_refused(backend: Backend) {
    let case = Case::new(backend).await;
    let headers = case.sign(&case.target, BODY);
    for body in [
        r#"{"claim_description": "a", "claim_description": "b"}"#,
        r#"{"a": NaN}"#,
        r#"{"a": 1e999}"#,
        r#"{"a": "\ud800"}"#,
        r#"{"a": 1} {}"#,
    ] {
        send(&case.server, &case.target, &headers, body)
            .await
            .refused(400, "malformed_json");
    }
    assert_eq!(
        case.server.get("/api/v1/claims").await.expect(200),
        json!([])
    );
}

async fn validator_routes_need_the_allowlist(backend: Backend) {
    let case = Case::new(backend).await;
    for target in [
        "/api/v1/validator/submissions/scan",
        "/api/v1/validator/jobs/claim",
    ] {
        case.server
            .post(&key(1), target, &json!({}))
            .await
            .refused(403, "not_a_validator");
    }
    let result = format!("/api/v1/validator/jobs/{}/result", uuid::Uuid::new_v4());
    case.server
        .post(&key(1), &result, &json!({}))
        .await
        .refused(403, "not_a_validator");
}

async fn a_hotkey_has_a_rate(backend: Backend) {
    let server = Server::with(backend, |settings| settings.requests_per_hotkey = 0.3).await;
    let target = format!("/api/v1/claims/{}/cancel", uuid::Uuid::new_v4());
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(
            server
                .post(&key(1), &target, &Value::Null)
                .await
                .status
                .as_u16(),
        );
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    server
        .post(&key(2), &target, &Value::Null)
        .await
        .refused(404, "claim_not_found");
}

async fn the_stake_gate_fails_closed(backend: Backend) {
    let dir = tempfile::tempdir().unwrap();
    let metagraph = dir.path().join("metagraph.json");
    let gate = coordinator::settings::StakeGate {
        minimum: 10.0,
        metagraph: metagraph.clone(),
        max_age: std::time::Duration::from_hours(1),
    };
    let without = Server::with(backend, |settings| settings.stake_gate = Some(gate.clone())).await;
    let task = without.task(|_| {}).await;
    let target = format!("/api/v1/tasks/{}/claim", id(&task));
    let claim = json!({"claim_description": "x"});
    without
        .post(&key(1), &target, &claim)
        .await
        .refused(503, "stake_unknown");
    let rich = key(1).hotkey().to_string();
    std::fs::write(
        &metagraph,
        json!({"neurons": [{"hotkey": rich, "stake": 10.5}]}).to_string(),
    )
    .unwrap();
    let with = Server::with(backend, |settings| settings.stake_gate = Some(gate)).await;
    let task = with.task(|_| {}).await;
    let target = format!("/api/v1/tasks/{}/claim", id(&task));
    with.post(&key(1), &target, &claim).await.expect(201);
    with.post(&key(2), &target, &claim)
        .await
        .refused(403, "stake_too_low");
}

/// The vectors of the field's own SDKs, if they lie beside this repository.
#[test]
fn the_fields_own_signatures_are_right() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/auth_vectors.json"
    );
    let Ok(text) = std::fs::read_to_string(file) else {
        eprintln!("skipped: no auth_vectors.json beside the repository");
        return;
    };
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for vector in vectors["vectors"].as_array().unwrap() {
        let text = |name: &str| vector[name].as_str().unwrap();
        let body = hex::decode(text("raw_body_hex")).unwrap();
        let request = protocol::auth::Request {
            method: text("method"),
            path: text("path"),
            query: text("query"),
            body: &body,
        };
        for signature in vector["signatures"].as_object().unwrap().values() {
            let headers = Headers {
                hotkey: text("address"),
                timestamp: text("timestamp"),
                signature: signature.as_str().unwrap(),
            };
            let now: u64 = text("timestamp").parse().unwrap();
            match request.authenticate(&headers, now, 300) {
                Ok(_) => checked += 1,
                // Python signs half a surrogate pair; the wire refuses it.
                Err(error) => assert!(
                    error.is_malformed_request() && text("raw_body").contains("\\ud"),
                    "{error}"
                ),
            }
        }
    }
    assert!(checked >= 20);
}

on_both_databases! {
    a_signature_is_accepted_once_however_it_is_written,
    another_process_knows_a_used_signature,
    a_refused_request_uses_its_signature_up,
    unsigned_and_malformed_requests_are_refused,
    stale_and_future_timestamps_are_refused,
    a_signature_is_of_one_method_path_query_and_body,
    repeated_headers_are_refused,
    bodies_that_two_readers_could_read_differently_are_refused,
    validator_routes_need_the_allowlist,
    a_hotkey_has_a_rate,
    the_stake_gate_fails_closed,
}
