//! The claims API, as its clients see it.

use pool::routes::{App, Limits};
use protocol::claims::{ClaimPackage, RecipientUpdate};
use protocol::hotkey::Keypair;
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{Backend, CONTRACT, Pool, coldkey, key, now, serve, signed, snapshot};

on_both_databases! {
    a_claim_package_has_the_shape_that_clients_read_and_a_good_proof,
    before_the_first_epoch_there_is_nothing_to_claim,
    a_mapping_is_set_by_every_route_and_method,
    a_mapping_that_is_not_signed_as_it_should_be_is_refused,
    the_newest_mapping_counts_and_an_old_one_sent_again_changes_nothing,
    a_frozen_epoch_refuses_mappings_until_it_is_published,
    monitors_read_the_status,
    who_asks_too_often_is_told_when_to_come_back,
    every_input_is_handed_out_by_its_digest,
}

const ROUTE: &str = "/api/v1/miners/recipient-coldkey";

async fn a_claim_package_has_the_shape_that_clients_read_and_a_good_proof(backend: Backend) {
    let pool = Pool::start(backend).await;
    for n in 1..=5 {
        pool.map(&key(n), coldkey(n), now()).await;
    }
    let shares: Vec<_> = (1..=5).map(|n| (n, u64::from(n))).collect();
    let file = pool.build(3, snapshot(&shares)).await.unwrap();
    let (status, list) = pool.get("/claims/epochs").await;
    assert_eq!(
        (status, list),
        (200, json!({"epochs": [3], "default_epoch": 3}))
    );
    let (_, epoch) = pool.get("/claims/epoch").await;
    assert_eq!(pool.get("/claims/epoch/3").await.1, epoch);
    assert_eq!(epoch["root"], file.root.to_string());
    assert_eq!(epoch["num_of_leaves"], 5);
    for n in 1..=5 {
        let hotkey = key(n).hotkey();
        let (status, package) = pool.get(&format!("/claims/epoch/3/proof/{hotkey}")).await;
        assert_eq!(status, 200);
        let names: Vec<&String> = package.as_object().unwrap().keys().collect();
        let mut expected = [
            "epoch",
            "index",
            "hotkey",
            "recipient_coldkey",
            "amount_units",
            "proof",
            "root",
        ];
        expected.sort_unstable();
        let mut names: Vec<&str> = names.into_iter().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, expected);
        assert!(package["amount_units"].is_u64());
        assert!(package["proof"][0].as_str().unwrap().starts_with("0x"));
        let read: ClaimPackage = serde_json::from_value(package.clone()).unwrap();
        read.verify(CONTRACT, 5).unwrap();
        assert!(read.verify(coldkey(1), 5).is_err(), "another contract");
        for alias in ["epoch/3/claim", "epoch/proof", "claim"] {
            let (status, same) = pool.get(&format!("/claims/{alias}/{hotkey}")).await;
            assert_eq!((status, &same), (200, &package), "{alias}");
        }
    }
    let stranger = key(9).hotkey();
    let (status, body) = pool.get(&format!("/claims/epoch/3/proof/{stranger}")).await;
    assert_eq!((status, &body["code"]), (404, &json!("no_claim")));
    let (status, body) = pool.get("/claims/epoch/3/proof/nobody").await;
    assert_eq!(
        (status, &body["detail"][0]["field"]),
        (422, &json!("hotkey"))
    );
}

async fn before_the_first_epoch_there_is_nothing_to_claim(backend: Backend) {
    let pool = Pool::start(backend).await;
    assert_eq!(
        pool.get("/claims/health").await,
        (200, json!({"status": "ok"}))
    );
    let empty = json!({"epochs": [], "default_epoch": null});
    assert_eq!(pool.get("/claims/epochs").await, (200, empty));
    let hotkey = key(1).hotkey();
    for path in [
        "epoch".to_owned(),
        "epoch/0".to_owned(),
        "epoch/99999999999999999999".to_owned(),
        "epoch/-1".to_owned(),
        "epoch/x".to_owned(),
        format!("epoch/0/proof/{hotkey}"),
        format!("epoch/proof/{hotkey}"),
        format!("documents/{}", "0".repeat(64)),
        "documents/..%2Fpool.db".to_owned(),
    ] {
        let (status, body) = pool.get(&format!("/claims/{path}")).await;
        assert_eq!(status, 404, "{path}");
        assert!(body["detail"].is_string(), "{path}: {body}");
    }
}

async fn a_mapping_is_set_by_every_route_and_method(backend: Backend) {
    let pool = Pool::start(backend).await;
    let (new, old) = ("recipient_coldkey", "coldkey_address");
    for (n, (method, path, field)) in (1..).zip([
        (Method::PUT, ROUTE, new),
        (Method::POST, ROUTE, new),
        (Method::POST, "/coldkey_address/update", old),
        (Method::POST, "/api/v1/miners/coldkey_address/update", old),
    ]) {
        let update = RecipientUpdate::sign(&key(n), coldkey(n), now());
        let request = signed(pool.request(method, path), &update);
        let (status, body) = pool.send(request.json(&json!({field: coldkey(n)}))).await;
        assert_eq!(status, 200, "{path}: {body}");
        let (status, there) = pool.get(&format!("{ROUTE}/{}", key(n).hotkey())).await;
        assert_eq!((status, &there), (200, &body));
        assert_eq!(there["recipient_coldkey"], coldkey(n).to_string());
    }
    let (status, _) = pool.get(&format!("{ROUTE}/{}", key(9).hotkey())).await;
    assert_eq!(status, 404);
}

async fn a_mapping_that_is_not_signed_as_it_should_be_is_refused(backend: Backend) {
    let pool = Pool::start(backend).await;
    let send = async |update: &RecipientUpdate, body: &str| {
        let request = signed(pool.request(Method::PUT, ROUTE), update);
        let (status, body) = pool.send(request.body(body.to_owned())).await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    let good = RecipientUpdate::sign(&key(1), coldkey(1), now());
    let right = json!({"recipient_coldkey": coldkey(1)}).to_string();
    let other = json!({"recipient_coldkey": coldkey(2)}).to_string();
    let wrong = (401, "wrong_signature".to_owned());
    assert_eq!(send(&good, &other).await, wrong);
    let of_another = RecipientUpdate {
        hotkey: key(2).hotkey(),
        ..good
    };
    assert_eq!(send(&of_another, &right).await, wrong);
    let at_another_time = RecipientUpdate {
        signed_at: good.signed_at - 1,
        ..good
    };
    assert_eq!(send(&at_another_time, &right).await, wrong);
    for at in [now() - 400, now() + 400] {
        let stale = RecipientUpdate::sign(&key(1), coldkey(1), at);
        assert_eq!(
            send(&stale, &right).await,
            (401, "stale_timestamp".to_owned())
        );
    }
    for (body, expected) in [
        ("", (400, "malformed_json")),
        ("[]", (400, "malformed_json")),
        ("{", (400, "malformed_json")),
        (
            r#"{"recipient_coldkey":1,"recipient_coldkey":2}"#,
            (400, "malformed_json"),
        ),
        ("{}", (422, "invalid_fields")),
        (r#"{"recipient_coldkey": 7}"#, (422, "invalid_fields")),
        (r#"{"recipient_coldkey": "5abc"}"#, (422, "invalid_fields")),
    ] {
        let expected = (expected.0, expected.1.to_owned());
        assert_eq!(send(&good, body).await, expected, "{body}");
    }
    let large = format!("{{\"recipient_coldkey\": \"{}\"}}", "5".repeat(20_000));
    assert_eq!(
        send(&good, &large).await,
        (413, "body_unreadable".to_owned())
    );
    let unsigned = pool.request(Method::PUT, ROUTE).body(right);
    assert_eq!(pool.send(unsigned).await.0, 401);
    assert_eq!(
        pool.get(&format!("{ROUTE}/{}", key(1).hotkey())).await.0,
        404
    );
}

async fn the_newest_mapping_counts_and_an_old_one_sent_again_changes_nothing(backend: Backend) {
    let pool = Pool::start(backend).await;
    let at = now();
    assert_eq!(pool.map(&key(1), coldkey(1), at - 2).await.0, 200);
    assert_eq!(pool.map(&key(1), coldkey(2), at - 1).await.0, 200);
    assert_eq!(
        pool.map(&key(1), coldkey(2), at - 1).await.0,
        200,
        "the same again"
    );
    let (status, body) = pool.map(&key(1), coldkey(1), at - 2).await;
    assert_eq!(
        (status, &body["code"]),
        (409, &json!("recipient_not_newer"))
    );
    let (status, _) = pool.map(&key(1), coldkey(3), at - 1).await;
    assert_eq!(status, 409, "another one of the same second");
    let (_, history) = pool
        .get(&format!("{ROUTE}/{}/history", key(1).hotkey()))
        .await;
    let paid: Vec<&Value> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["recipient_coldkey"])
        .collect();
    assert_eq!(paid, [&json!(coldkey(2)), &json!(coldkey(1))]);
}

async fn a_frozen_epoch_refuses_mappings_until_it_is_published(backend: Backend) {
    let pool = Pool::start(backend).await;
    let at = now() - 5;
    pool.map(&key(1), coldkey(1), at).await;
    pool.build(1, snapshot(&[(1, 1)])).await.unwrap();
    let (status, body) = pool.map(&key(1), coldkey(2), now()).await;
    assert_eq!((status, &body["code"]), (409, &json!("epoch_frozen")));
    let (status, _) = pool.map(&key(1), coldkey(1), at).await;
    assert_eq!(status, 200, "an answer that was lost is asked for again");
    pool.store.set_published(1).await.unwrap();
    assert_eq!(pool.map(&key(1), coldkey(2), now()).await.0, 200);
    let package = pool
        .get(&format!("/claims/claim/{}", key(1).hotkey()))
        .await
        .1;
    assert_eq!(
        package["recipient_coldkey"],
        coldkey(1).to_string(),
        "the epoch stands"
    );
}

async fn monitors_read_the_status(backend: Backend) {
    let pool = Pool::start(backend).await;
    let (status, body) = pool.get("/status").await;
    assert_eq!((status, &body["status"]), (200, &json!("healthy")));
    let runtime = &body["onchain_runtime"];
    assert_eq!(runtime["enabled"], false);
    assert_eq!(runtime["proof_api"]["enabled"], true);
    assert!(runtime["contract_status"]["read_error"].is_string());
    assert_eq!(runtime["contract_status"]["claim_ready"], false);
    assert_eq!(runtime["processes"], json!([]));
    let account = Keypair::from_seed(&[7; 32]).hotkey().to_string();
    pool.store.seen("publisher", Some(&account)).await.unwrap();
    pool.store.seen("publisher", Some(&account)).await.unwrap();
    let runtime = &pool.get("/status").await.1["onchain_runtime"];
    assert_eq!(runtime["enabled"], true);
    assert_eq!(runtime["accounts"]["publisher"], account);
    assert_eq!(
        runtime["processes"],
        json!([{"name": "publisher", "running": true}])
    );
    let ready = pool.request(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 204);
    let (_, document) = pool.get("/openapi.json").await;
    assert!(document["paths"]["/claims/epoch/{id}/proof/{hotkey}"].is_object());
    assert_eq!(pool.get("/nothing").await.0, 404);
    let wrong = pool.request(Method::DELETE, "/status");
    assert_eq!(pool.send(wrong).await.0, 405);
}

async fn who_asks_too_often_is_told_when_to_come_back(backend: Backend) {
    let pool = Pool::start(backend).await;
    let limits = Limits {
        requests_per_address: 1,
        ..Limits::default()
    };
    let url =
        serve(App::new(pool.store.clone(), pool.blobs.clone(), 300).with_limits(limits)).await;
    // One for all: making one reads the machine's certificates.
    let http = reqwest::Client::new();
    for _ in 0..1_000 {
        let answer = http.get(format!("{url}/claims/health")).send().await;
        let answer = answer.unwrap();
        if answer.status() == 429 {
            assert_eq!(answer.headers()["retry-after"], "1");
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["code"], "too_many_requests");
            return;
        }
        assert_eq!(answer.status(), 200);
    }
    panic!("a thousand requests are not too many");
}

async fn every_input_is_handed_out_by_its_digest(backend: Backend) {
    let pool = Pool::start(backend).await;
    pool.map(&key(1), coldkey(1), now()).await;
    let file = pool.build(1, snapshot(&[(1, 1)])).await.unwrap();
    let inputs = [
        file.digest(),
        file.inputs.snapshot_sha256,
        file.inputs.recipients_sha256,
    ];
    for digest in inputs {
        let request = pool.request(Method::GET, &format!("/claims/documents/{digest}"));
        let bytes = request.send().await.unwrap().bytes().await.unwrap();
        assert_eq!(protocol::Sha256Digest::of(&bytes), digest);
    }
}
