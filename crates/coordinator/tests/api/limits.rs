//! What a client may hold, how long it may take, and how much it is given at once.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::common::{Backend, Server, id, key};

const ONE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

async fn connect(server: &Server, from: IpAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    socket.connect(server.address).await.unwrap()
}

/// What a connection gives for this request until it ends or has a whole answer.
async fn answer(stream: &mut TcpStream, request: &str) -> String {
    if stream.write_all(request.as_bytes()).await.is_err() {
        return String::new();
    }
    let mut text = Vec::new();
    let mut part = [0; 4096];
    loop {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => break,
            Ok(count) => text.extend_from_slice(&part[..count]),
        }
        if text.ends_with(b"}") {
            break;
        }
    }
    String::from_utf8(text).unwrap()
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

async fn is_served(stream: &mut TcpStream) -> bool {
    answer(stream, HEALTH).await.starts_with("HTTP/1.1 200")
}

async fn connections_are_bounded_for_each_address_and_for_all_and_come_free_again(
    backend: Backend,
) {
    let server = Server::with(backend, |settings| {
        settings.connections = 5;
        settings.connections_of_one_address = 3;
    })
    .await;
    let mut held = Vec::new();
    for from in [ONE, ONE, ONE, OTHER, OTHER] {
        let mut stream = connect(&server, from).await;
        assert!(is_served(&mut stream).await);
        held.push(stream);
    }
    assert!(
        !is_served(&mut connect(&server, ONE).await).await,
        "a fourth of one"
    );
    assert!(
        !is_served(&mut connect(&server, OTHER).await).await,
        "a sixth of all"
    );
    for stream in &mut held {
        assert!(is_served(stream).await, "the others go on");
    }
    held.remove(0);
    // The server hears of the end some moments later.
    let again = async { while !is_served(&mut connect(&server, ONE).await).await {} };
    tokio::time::timeout(Duration::from_mins(2), again)
        .await
        .expect("a place comes free");
}

async fn a_client_that_trickles_its_headers_or_its_body_is_let_go(backend: Backend) {
    let server = Server::with(backend, |settings| {
        settings.patience = Duration::from_secs(1);
    })
    .await;
    let begun = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ";
    let ended = answer(&mut connect(&server, ONE).await, begun).await;
    assert!(!ended.starts_with("HTTP/1.1 200"), "{ended}");

    let headers = server.sign(&key(1), "POST", "/api/v1/validator/submissions/scan", "{}");
    let begun = format!(
        "POST /api/v1/validator/submissions/scan HTTP/1.1\r\nHost: x\r\nX-Hotkey: {}\r\nX-Timestamp: {}\r\n\
         X-Signature: {}\r\nContent-Length: 2\r\n\r\n{{",
        headers.hotkey, headers.timestamp, headers.signature
    );
    let ended = answer(&mut connect(&server, ONE).await, &begun).await;
    assert!(ended.starts_with("HTTP/1.1 400"), "{ended}");
    assert!(ended.contains("body_too_slow"), "{ended}");
    server.get("/healthz").await.expect(200);
}

const MANY: usize = 30_000;

/// Rows like this one, written straight into the database.
async fn fill(server: &Server, task: &str) {
    let columns = "state, competition_mode, quorum, base_commit, document";
    let number = "substr('000000000000' || n.i, length('000000000000' || n.i) - 11)";
    let sql = format!(
        "INSERT INTO tasks (id, slug, {columns}, created_at, updated_at) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
         SELECT '00000000-0000-4000-8000-' || {number}, 'many-' || n.i, {columns}, created_at + n.i / 3, updated_at \
         FROM tasks, n WHERE tasks.id = '{task}'"
    );
    let mut conn = server.app.store.read().await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .execute(&mut *conn)
        .await
        .unwrap();
}

async fn a_large_catalog_is_served_in_bounded_pages_each_task_once(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    fill(&server, id(&task)).await;
    let mut seen = BTreeSet::new();
    let mut target = "/api/v1/tasks?limit=1000".to_owned();
    loop {
        let page = server.get(&target).await;
        let tasks = page.expect(200);
        let tasks = tasks.as_array().unwrap();
        assert!(tasks.len() <= 1000, "{}", tasks.len());
        for task in tasks {
            assert!(seen.insert(id(task).to_owned()), "{} twice", id(task));
        }
        let Some(link) = page.headers.get("link") else {
            break;
        };
        let link = link.to_str().unwrap();
        target = link[1..link.find('>').unwrap()].to_owned();
    }
    assert_eq!(seen.len(), MANY + 1);
    let default = server.get("/api/v1/tasks").await.expect(200);
    assert_eq!(default.as_array().unwrap().len(), 200);
    server
        .get("/api/v1/tasks?limit=1001")
        .await
        .names_fields(&["limit"]);
    for target in ["/dashboard", "/api/v1/dashboard"] {
        let page = server.send(server.request(Method::GET, target)).await;
        assert_eq!(page.status, 200);
        assert!(
            page.text.len() < 200_000,
            "{target}: {} bytes",
            page.text.len()
        );
    }
}

on_both_databases! {
    connections_are_bounded_for_each_address_and_for_all_and_come_free_again,
    a_client_that_trickles_its_headers_or_its_body_is_let_go,
    a_large_catalog_is_served_in_bounded_pages_each_task_once,
}
