//! Coordinators that lie, flood, stall or fall ill.

use std::fs;
use std::process::Stdio;

use axum::body::{Body, Bytes};
use protocol::auth::{DEFAULT_WINDOW_SECONDS, Headers, Request};
use serde_json::{Value, json};

use super::liar::{Liar, answer};
use super::program::{Bench, Ran, WORDS};

fn task() -> Value {
    json!({
        "id": "67e55044-10b1-426f-9247-bb680e5fe0c8", "slug": "numbers", "title": "Numbers", "brief": "",
        "repository": "https://127.0.0.1:1/t.git", "base_ref": "main", "base_commit_sha": "1".repeat(40),
        "benchmark_command": "true", "allowed_patch_paths": ["src"], "metric_name": "score",
        "metric_direction": "maximize", "time_budget_seconds": 5, "task_state": "live",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_coordinator_is_asked_again_and_its_wait_is_kept_and_each_time_signed_anew() {
    let liar = Liar::start(|before, _| match before {
        0 => answer(429, &[("Retry-After", "1")], r#"{"detail": "slow down"}"#),
        1 => answer(500, &[("Retry-After", "0")], "<html>"),
        2 => answer(503, &[("Retry-After", "0")], ""),
        // Less than was announced: the answer breaks off.
        3 => answer(
            200,
            &[("Content-Length", "1000")],
            Body::from_stream(futures_once("{")),
        ),
        _ => answer(200, &[], r#"{"done": true}"#),
    })
    .await;
    let bench = Bench::new(&liar.url);
    let started = std::time::Instant::now();
    let ran = bench.run(&[
        "signed-request",
        "--path",
        "/api/v1/x?b=2&a=%20",
        "--body",
        r#"{"z": 1.50, "a": "é"}"#,
    ]);
    assert_eq!(ran.json(0)["done"], true);
    assert!(
        started.elapsed().as_secs_f64() >= 1.0,
        "the Retry-After of one second was not kept"
    );
    let asked = liar.asked();
    assert_eq!(asked.len(), 5);
    let mut signatures = std::collections::BTreeSet::new();
    for one in &asked {
        let header = |name: &str| one.headers[name].to_str().unwrap();
        let headers = Headers {
            hotkey: header("X-Hotkey"),
            timestamp: header("X-Timestamp"),
            signature: header("X-Signature"),
        };
        let request = Request {
            method: one.method.as_str(),
            path: &one.path,
            query: &one.query,
            body: &one.body,
        };
        let now = headers.timestamp.parse().unwrap();
        request
            .authenticate(&headers, now, DEFAULT_WINDOW_SECONDS)
            .unwrap();
        assert_eq!(one.query, "b=2&a=%20");
        assert!(
            signatures.insert(headers.signature.to_owned()),
            "one signature was sent twice"
        );
    }
}

/// A body stream that ends too early.
fn futures_once(
    text: &'static str,
) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    futures_util::stream::iter([
        Ok(Bytes::from_static(text.as_bytes())),
        Err(std::io::ErrorKind::ConnectionReset.into()),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_away_or_ill_for_good_is_told_in_words() {
    let bench = Bench::new("http://127.0.0.1:1");
    let ran = bench.run(&["list-tasks", "--request-attempts", "2"]);
    ran.refused(1, "no usable answer in 2 attempt(s)");
    for (status, body, exit, words) in [
        (200, "not json", 1, "is not what it should be"),
        (200, "{}", 1, "is not what it should be"),
        (404, r#"{"detail": "no such thing"}"#, 3, "no such thing"),
        (302, "", 1, "redirects are not followed"),
        (500, "", 1, "no usable answer in 1 attempt(s)"),
    ] {
        let liar =
            Liar::start(move |_, _| answer(status, &[("Location", "http://127.0.0.1:2/")], body))
                .await;
        Bench::new(&liar.url)
            .run(&["list-tasks", "--request-attempts", "1"])
            .refused(exit, words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_cut_off_and_an_endless_list_ends() {
    let liar = Liar::start(|_, _| {
        let endless = futures_util::stream::repeat_with(|| {
            Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 16]))
        });
        answer(200, &[], Body::from_stream(endless))
    })
    .await;
    Bench::new(&liar.url)
        .run(&["list-tasks"])
        .refused(1, "more than 16777216 bytes");

    let pages = Liar::start(|_, _| {
        answer(
            200,
            &[(
                "Link",
                "<http://127.0.0.1:2/elsewhere?cursor=again>; rel=\"next\"",
            )],
            json!([task()]).to_string(),
        )
    })
    .await;
    let ran = Bench::new(&pages.url).run(&["list-tasks"]);
    assert_eq!(ran.json(0).as_array().unwrap().len(), 50);
    assert!(pages.asked().iter().all(|one| one.path == "/api/v1/tasks"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_with_path_tricks_makes_no_directory_and_clones_nothing() {
    for (field, value, words) in [
        ("id", json!("../../../etc"), "is not an id"),
        ("slug", json!("../escaped"), "no task"),
        ("repository", json!("/etc"), "no git repository"),
        ("repository", json!("file:///etc"), "no git repository"),
        ("repository", json!("etc"), "https"),
        ("repository", json!("ssh://git@h/x"), "https"),
        ("repository", json!("ext::sh -c touch% x"), "https"),
        (
            "base_commit_sha",
            json!("--upload-pack=touch x"),
            "base_commit_sha",
        ),
        (
            "allowed_patch_paths",
            json!(["../.."]),
            "allowed_patch_paths",
        ),
        (
            "time_budget_seconds",
            json!(9_999_999),
            "time_budget_seconds",
        ),
        ("title", json!("\u{1b}[2J"), ""),
    ] {
        let mut wrong = task();
        wrong[field] = value.clone();
        let text = wrong.clone();
        let liar = Liar::start(move |_, asked| match asked.path.as_str() {
            "/api/v1/tasks" => answer(200, &[], json!([text]).to_string()),
            _ => answer(200, &[], "# page"),
        })
        .await;
        let bench = Bench::new(&liar.url);
        let ran = bench.run(&["init", "numbers"]);
        assert_ne!(ran.status, 0, "{field} = {value}: {ran:#?}");
        assert!(ran.err.contains(words), "{field} = {value}: {ran:#?}");
        assert!(!ran.err.contains('\u{1b}'), "{ran:#?}");
        let left: Vec<_> = fs::read_dir(bench.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(
            !left.iter().any(|name| name == "x" || name == "escaped"),
            "{left:?}"
        );
        assert!(
            !bench.path().join("numbers/repo").exists(),
            "{field} = {value}"
        );
        assert!(!bench.path().parent().unwrap().join("escaped").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_something_else_is_no_answer() {
    let liar = Liar::start(|_, _| {
        let other = json!({"id": "00000000-0000-4000-8000-000000000000", "task_id": task()["id"], "status": "accepted",
            "miner_hotkey": super::program::ADDRESS});
        answer(200, &[], other.to_string())
    })
    .await;
    let ran = Bench::new(&liar.url).run(&["watch", "67e55044-10b1-426f-9247-bb680e5fe0c8"]);
    ran.refused(1, "it is about 00000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_an_address_and_words_on_the_command_line_are_never_printed() {
    let bench = Bench::new("http://127.0.0.1:1");
    let ran = Ran::of(bench.bare(&[
        "list-tasks",
        "--coordinator-url",
        "https://user:hunter2@h/",
        "--hotkey-mnemonic",
        WORDS,
    ]));
    ran.refused(2, "leave them out");
    assert!(
        !ran.err.contains("hunter2") && !ran.err.contains("obey"),
        "{}",
        ran.err
    );
    for help in [&["list-tasks", "--help"][..], &["mine-once", "--help"]] {
        let mut command = bench.command(help);
        command.env("BITSOTA_LLM_API_KEY", "hunter2");
        let shown = Ran::of(command);
        assert!(
            !shown.out.contains("obey") && !shown.out.contains("hunter2"),
            "{}",
            shown.out
        );
        assert_eq!(shown.status, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_wait_ends_at_once_with_its_own_status() {
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    for busy in [false, true] {
        let liar = Liar::start(move |_, asked| {
            let submission = json!({"id": id, "task_id": id, "status": "pending_verification"});
            let body = if asked.path.ends_with(id) {
                submission
            } else {
                json!([])
            };
            let status = if busy { 503 } else { 200 };
            answer(status, &[("Retry-After", "600")], body.to_string())
        })
        .await;
        let bench = Bench::new(&liar.url);
        let mut command = bench.command(&["watch", id, "--interval-seconds", "600"]);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It listens for signals before it asks for anything.
        while liar.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        let ended =
            tokio::task::spawn_blocking(move || Ran::read(child.wait_with_output().unwrap()));
        ended.await.unwrap().refused(130, "interrupted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_that_is_not_there_was_not_rejected() {
    let liar = Liar::start(|_, _| {
        let detail = json!({"detail": "no such submission", "code": "not_found"});
        answer(404, &[], detail.to_string())
    })
    .await;
    let ran = Bench::new(&liar.url).run(&["watch", "67e55044-10b1-426f-9247-bb680e5fe0c8"]);
    ran.refused(1, "no such submission");
}

#[test]
fn the_help_prints_no_address_of_a_node_from_the_environment() {
    let bench = Bench::new("http://127.0.0.1:1");
    let mut command = bench.bare(&["rewards", "list", "--help"]);
    command.env("BITSOTA_CHAIN_ENDPOINTS", "wss://node.example/key-of-mine");
    let help = Ran::of(command);
    assert!(help.out.contains("BITSOTA_CHAIN_ENDPOINTS"), "{help:#?}");
    assert!(!help.out.contains("key-of-mine"), "{help:#?}");
}
