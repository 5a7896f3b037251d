//! What every answer has, and the public odds and ends.

use reqwest::Method;
use serde_json::json;

use crate::common::{ADMIN, Backend, Server, key};

async fn health_and_documents_are_served(backend: Backend) {
    let server = Server::start(backend).await;
    assert_eq!(server.get("/healthz").await.expect(200)["status"], "ok");
    assert_eq!(server.get("/readyz").await.status, 204);
    let document = server.get("/openapi.json").await.expect(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(server.get("/docs").await.status, 200);
    let disclaimer = server.get("/api/v1/disclaimer").await.expect(200);
    for field in [
        "code",
        "version",
        "title",
        "must_display",
        "url",
        "summary",
        "text",
    ] {
        assert!(!disclaimer[field].is_null(), "{field}");
    }
    for path in ["/api/v1/disclaimer.md", "/disclaimer.md"] {
        let page = server.get(path).await;
        assert!(
            page.headers["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/markdown")
        );
    }
    assert_eq!(
        server.get("/api/v1/onchain/status").await.expect(200)["enabled"],
        false
    );
}

async fn every_answer_has_an_id_and_strict_headers(backend: Backend) {
    let server = Server::start(backend).await;
    for path in ["/healthz", "/nowhere", "/api/v1/tasks"] {
        let reply = server.get(path).await;
        assert!(
            reply.headers["x-request-id"]
                .to_str()
                .unwrap()
                .parse::<uuid::Uuid>()
                .is_ok()
        );
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
        let policy = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"));
    }
    server.get("/nowhere").await.refused(404, "no_such_route");
    let reply = server
        .send(server.request(Method::DELETE, "/api/v1/tasks"))
        .await;
    reply.refused(405, "method_not_allowed");
}

async fn ids_that_are_none_are_not_found(backend: Backend) {
    let server = Server::start(backend).await;
    for id in [
        "x",
        "..%2F..%2Fetc",
        "a%20b",
        "%00",
        "00000000-0000-0000-0000-00000000000g",
        &"a".repeat(300),
    ] {
        server
            .get(&format!("/api/v1/tasks/{id}"))
            .await
            .refused(404, "no_such_id");
        let target = format!("/api/v1/validator/jobs/{id}/result");
        let reply = server.post(&key(200), &target, &json!({})).await;
        assert!(
            [404, 400].contains(&reply.status.as_u16()),
            "{id}: {reply:?}"
        );
    }
}

async fn malformed_json_is_refused_and_changes_nothing(backend: Backend) {
    let server = Server::start(backend).await;
    let deep = format!("{{\"slug\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let bodies = [
        "",
        "{",
        "[]",
        "\"x\"",
        "null",
        "{\"slug\": NaN}",
        "{\"slug\": Infinity}",
        "{\"slug\": \"a\", \"slug\": \"b\"}",
        "{\"a\": 1} x",
        "{\"a\": \"\\ud800\"}",
        "{\"a\": 1e999}",
        &deep,
    ];
    for body in bodies {
        let request = server
            .request(Method::POST, "/api/v1/tasks")
            .header("X-Admin-Token", ADMIN);
        let reply = server.send(request.body(body.to_owned())).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(reply.status, 400, "{shown}: {}", reply.text);
    }
    let request = server
        .request(Method::POST, "/api/v1/tasks")
        .header("X-Admin-Token", ADMIN);
    assert_eq!(
        server.send(request.body(vec![0xff, 0xfe])).await.status,
        400
    );
    assert_eq!(server.get("/api/v1/tasks").await.expect(200), json!([]));
}

async fn oversized_bodies_are_refused(backend: Backend) {
    let server = Server::start(backend).await;
    let huge = json!({"slug": "x".repeat(3 << 20)});
    server
        .admin_post("/api/v1/tasks", &huge)
        .await
        .refused(413, "body_too_large");
    let task = server.task(|_| {}).await;
    let target = format!("/api/v1/tasks/{}/claim", task["id"].as_str().unwrap());
    let huge = json!({"claim_description": "x".repeat(300 << 10)});
    server
        .post(&key(1), &target, &huge)
        .await
        .refused(413, "body_too_large");
}

async fn a_client_that_sends_slowly_is_cut_off(backend: Backend) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::with(backend, |settings| {
        settings.patience = std::time::Duration::from_millis(500);
    })
    .await;
    let mut slow = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(
        std::time::Duration::from_secs(10),
        slow.read_to_end(&mut answer),
    );
    assert!(read.await.is_ok(), "the connection was left open");
    let mut slow = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let head = format!(
        "POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nX-Admin-Token: {ADMIN}\r\nContent-Length: 100\r\n\r\n{{"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64];
    let read =
        tokio::time::timeout(std::time::Duration::from_secs(10), slow.read(&mut answer)).await;
    let count = read.expect("answered or closed").unwrap();
    assert!(String::from_utf8_lossy(&answer[..count]).starts_with("HTTP/1.1 400"));
}

async fn one_address_holds_only_so_many_large_bodies(backend: Backend) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start(backend).await;
    let begin = async || {
        let mut stream = tokio::net::TcpStream::connect(server.address)
            .await
            .unwrap();
        let head = format!(
            "POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nX-Admin-Token: {ADMIN}\r\n\
             Expect: 100-continue\r\nContent-Length: 1500000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        (stream, String::from_utf8(answer).unwrap())
    };
    // That it wants the body shows that the body has its place.
    let (_first, one) = begin().await;
    let (second, two) = begin().await;
    assert_eq!([one.as_str(), &two], ["HTTP/1.1 100"; 2]);
    assert_eq!(begin().await.1, "HTTP/1.1 429");
    // A small length beside the chunks hides nothing.
    let mut stream = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let head = format!(
        "POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nX-Admin-Token: {ADMIN}\r\n\
         Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 429");
    server.get("/healthz").await.expect(200);
    drop(second);
    let freed = async {
        while begin().await.1 != "HTTP/1.1 100" {
            tokio::task::yield_now().await;
        }
    };
    let wait = std::time::Duration::from_secs(10);
    assert!(tokio::time::timeout(wait, freed).await.is_ok());
}

async fn too_many_requests_are_told_when_to_come_back(backend: Backend) {
    let server = Server::with(backend, |settings| settings.requests_per_address = 0.5).await;
    let mut refused = None;
    for _ in 0..10 {
        let reply = server.get("/healthz").await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("the burst ends");
    refused.refused(429, "too_many_requests");
    assert!(
        refused.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            >= 1
    );
}

on_both_databases! {
    health_and_documents_are_served,
    every_answer_has_an_id_and_strict_headers,
    ids_that_are_none_are_not_found,
    malformed_json_is_refused_and_changes_nothing,
    oversized_bodies_are_refused,
    a_client_that_sends_slowly_is_cut_off,
    one_address_holds_only_so_many_large_bodies,
    too_many_requests_are_told_when_to_come_back,
}
