//! What is shown of the chain: epochs, roots, and who can claim how much.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use coordinator::pool::Pool;
use protocol::ss58::Address;
use serde_json::{Value, json};

use crate::common::{Backend, Server, key};
use crate::pool::{CONTRACT, Front, PoolProcess};

const STATUS: &str = "/api/v1/onchain/status";
const PAGE: &str = "/dashboard/rewards";
/// More than any pool needs that answers.
const PATIENCE: Duration = Duration::from_mins(2);
const COLDKEY: Address = Address::from_bytes([0x77; 32]);

async fn with_pool(backend: Backend, url: &str, patience: Duration) -> Server {
    let pool = Pool::new(url.parse().unwrap(), patience).unwrap();
    Server::with(backend, |settings| settings.pool = Some(Arc::new(pool))).await
}

/// A pool with two epochs and three miners, one of whom named nobody.
async fn filled() -> PoolProcess {
    let pool = PoolProcess::start();
    let now = coordinator::Clock::default().now().seconds().unsigned_abs();
    for n in [1, 2] {
        pool.map(&key(n), COLDKEY, now).await;
    }
    let (one, two, three) = (key(1), key(2), key(3));
    pool.build(1, 1000, &[(&one, 3), (&two, 1)]);
    pool.build(2, 10_000_000_000, &[(&one, 1), (&two, 8), (&three, 1)]);
    pool
}

async fn without_a_pool_it_is_said_that_nothing_is_known(backend: Backend) {
    let server = Server::start(backend).await;
    let status = server.get(STATUS).await.expect(200);
    assert_eq!(
        (&status["enabled"], &status["pool"]["configured"]),
        (&json!(false), &json!(false))
    );
    assert!(
        status["detail"]
            .as_str()
            .unwrap()
            .contains("no pool is configured")
    );
    assert_eq!(
        (&status["epochs"], &status["balances"]),
        (&json!([]), &Value::Null)
    );
    let page = server.get(PAGE).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("No pool is configured"), "{}", page.text);
    assert!(
        server
            .get("/dashboard")
            .await
            .text
            .contains("href=\"/dashboard/rewards\"")
    );
}

async fn epochs_roots_and_claims_are_shown_as_the_pool_has_them(backend: Backend) {
    let pool = filled().await;
    let server = with_pool(backend, &pool.url, PATIENCE).await;
    let reply = server.get(STATUS).await;
    assert_eq!(reply.headers["cache-control"], "no-store");
    let status = reply.expect(200);
    assert_eq!(status["pool"]["answers"], true);
    let numbers: Vec<u64> = status["epochs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["epoch"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [2, 1]);
    for epoch in status["epochs"].as_array().unwrap() {
        let url = format!("{}/claims/epoch/{}", pool.url, epoch["epoch"]);
        let told: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        for field in [
            "root",
            "contract",
            "num_of_leaves",
            "total_rao",
            "budget_rao",
            "state",
        ] {
            assert_eq!(epoch[field], told[field], "{field}");
        }
    }
    assert_eq!(status["contract_status"]["claim_ready"], false);
    assert_eq!(status["proof_api"]["enabled"], true);
    let balances = &status["balances"];
    assert_eq!(
        (
            &balances["epoch"],
            &balances["count"],
            &balances["unassigned"]
        ),
        (&json!(2), &json!(2), &json!(1))
    );
    let two = json!({"hotkey": key(2).hotkey(), "recipient_coldkey": COLDKEY, "amount_rao": "8000000250",
        "claimed_rao": null, "claimable_rao": null});
    assert_eq!(balances["miners"][0], two, "the largest first");
    let target = format!("{STATUS}?hotkey={}", key(1).hotkey());
    let one = server.get(&target).await.expect(200);
    assert_eq!(one["balances"]["miners"].as_array().unwrap().len(), 1);
    assert_eq!(one["balances"]["miners"][0]["amount_rao"], "1000000750");
    server
        .get(&format!("{STATUS}?hotkey=nobody"))
        .await
        .names_fields(&["hotkey"]);

    let page = server.get(PAGE).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !page.text.contains("<script"));
    for words in [
        status["epochs"][0]["root"].as_str().unwrap(),
        &CONTRACT.to_string(),
        "8.000000250",
        "does not report what was claimed",
        "1 miners have named no recipient",
    ] {
        assert!(page.text.contains(words), "{words} is not in {}", page.text);
    }
    let document = server.get("/openapi.json").await.expect(200);
    assert!(document["paths"][STATUS]["get"]["responses"]["200"].is_object());
}

async fn what_the_pool_reports_as_claimed_is_subtracted(backend: Backend) {
    let pool = filled().await;
    let paid = json!({"block": 77, "claimed": [{"hotkey": key(2).hotkey(), "amount_rao": "250"}]});
    let front = Front::of(&pool.url, move |path, mut answer| {
        if path == "/claims/claimed" {
            *answer.status_mut() = StatusCode::OK;
            *answer.body_mut() = paid.to_string();
        }
        answer
    })
    .await;
    let server = with_pool(backend, &front.url, PATIENCE).await;
    let balances = server.get(STATUS).await.expect(200)["balances"].clone();
    assert_eq!(balances["claimed_at_block"], 77);
    let told = |n: usize| {
        let miner = &balances["miners"][n];
        (miner["claimed_rao"].clone(), miner["claimable_rao"].clone())
    };
    assert_eq!(told(0), (json!("250"), json!("8000000000")));
    assert_eq!(told(1), (json!("0"), json!("1000000750")));
    assert!(server.get(PAGE).await.text.contains("at block 77"));
}

async fn a_pool_that_is_away_slow_or_strange_is_told_plainly_and_harms_nobody(backend: Backend) {
    let pool = filled().await;
    let body = |text: &'static str| {
        let text = text.to_owned();
        move |_: &str, mut answer: axum::http::Response<String>| {
            *answer.body_mut() = text.clone();
            answer
        }
    };
    let long = "x".repeat((1 << 20) + 1);
    let long: &'static str = long.leak();
    for (text, words) in [
        ("<html>", "cannot be read"),
        ("{\"epochs\": [\"<script>\"]}", "cannot be read"),
        (
            "{\"epochs\": [7], \"default_epoch\": 7}",
            "answers with status 404",
        ),
        (long, "more than 1048576 bytes"),
    ] {
        let front = Front::of(&pool.url, body(text)).await;
        let server = with_pool(backend, &front.url, PATIENCE).await;
        let status = server.get(STATUS).await.expect(200);
        assert_eq!(
            status["pool"],
            json!({"configured": true, "answers": false, "as_of": null})
        );
        assert!(
            status["detail"].as_str().unwrap().contains(words),
            "{status}"
        );
        let page = server.get(PAGE).await;
        assert_eq!(page.status, 200);
        assert!(!page.text.contains("<script"), "{}", page.text);
    }
    let refusing = Front::of("http://127.0.0.1:1", |_, answer| answer).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let short = Duration::from_millis(500);
    for (url, patience, words) in [
        (refusing.url.as_str(), PATIENCE, "answers with status 502"),
        ("http://127.0.0.1:1", PATIENCE, "does not answer"),
        (&silent_url, short, "does not answer in time"),
    ] {
        let server = with_pool(backend, url, patience).await;
        let status = server.get(STATUS).await.expect(200);
        assert!(
            status["detail"].as_str().unwrap().contains(words),
            "{status}"
        );
        assert!(server.get(PAGE).await.text.contains("not current"));
    }
}

async fn a_hostile_pool_writes_no_markup_and_no_other_file_passes_for_an_epochs(backend: Backend) {
    let pool = filled().await;
    let front = Front::of(&pool.url, |path, mut answer| {
        let text = answer.body().clone();
        if path.starts_with("/claims/epoch/") {
            let state = "\"state\":\"\\\"><script>alert(1)</script>";
            *answer.body_mut() = text.replace("\"state\":\"built", state);
        }
        if path.starts_with("/claims/documents/") {
            *answer.body_mut() = text.replace("8000000250", "9000000250");
        }
        answer
    })
    .await;
    let server = with_pool(backend, &front.url, PATIENCE).await;
    let status = server.get(STATUS).await.expect(200);
    assert_eq!(status["balances"], Value::Null);
    assert!(
        status["detail"]
            .as_str()
            .unwrap()
            .contains("another digest"),
        "{status}"
    );
    let page = server.get(PAGE).await.text;
    assert!(
        page.contains("&lt;script&gt;") && !page.contains("<script"),
        "{page}"
    );
}

async fn a_crowd_asks_the_pool_once_and_what_it_said_outlives_it(backend: Backend) {
    let pool = filled().await;
    let is_away = Arc::new(AtomicBool::new(false));
    let away = Arc::clone(&is_away);
    let front = Front::of(&pool.url, move |_, mut answer| {
        if away.load(Ordering::Relaxed) {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        answer
    })
    .await;
    let server = with_pool(backend, &front.url, PATIENCE).await;
    let crowd = (0..20).map(|_| server.get(STATUS));
    for reply in futures_util::future::join_all(crowd).await {
        assert_eq!(reply.expect(200)["default_epoch"], 2);
    }
    assert_eq!(front.asked(), 1);
    is_away.store(true, Ordering::Relaxed);
    server.app.clock.advance_seconds(31);
    // Old knowledge is shown while the pool is asked in the background.
    let failed = async {
        loop {
            let status = server.get(STATUS).await.expect(200);
            assert_eq!(status["default_epoch"], 2);
            if status["pool"]["answers"] == false {
                return status;
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, failed).await.unwrap();
    assert!(
        status["detail"]
            .as_str()
            .unwrap()
            .contains("status 503; this is what it said before")
    );
    assert_eq!(front.asked(), 2);
    assert!(server.get(PAGE).await.text.contains("not current"));
}

on_both_databases! {
    without_a_pool_it_is_said_that_nothing_is_known,
    epochs_roots_and_claims_are_shown_as_the_pool_has_them,
    what_the_pool_reports_as_claimed_is_subtracted,
    a_pool_that_is_away_slow_or_strange_is_told_plainly_and_harms_nobody,
    a_hostile_pool_writes_no_markup_and_no_other_file_passes_for_an_epochs,
    a_crowd_asks_the_pool_once_and_what_it_said_outlives_it,
}
