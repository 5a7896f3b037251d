//! The network's own authentication vectors: what this program sends for the same
//! request is what their author signed.

use std::fs;
use std::path::Path;

use protocol::hotkey::Hotkey;
use serde_json::{Value, json};

use super::liar::{Liar, answer};
use super::program::{Bench, Ran};

/// Beside the project, where it is developed.
const VECTORS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/data/auth_vectors.json"
);

#[tokio::test(flavor = "multi_thread")]
async fn each_recorded_request_is_signed_as_the_networks_own_client_signs_it() {
    if !Path::new(VECTORS).exists() {
        eprintln!("skipped: there are no recorded vectors beside this project");
        return;
    }
    let recorded: Value = serde_json::from_slice(&fs::read(VECTORS).unwrap()).unwrap();
    let vectors = recorded["vectors"].as_array().unwrap();
    assert!(!vectors.is_empty());
    let liar = Liar::start(|_, _| answer(200, &[], "{}")).await;
    let bench = Bench::new(&liar.url);
    let wallet = bench.path().join("hotkey");
    for vector in vectors {
        let text = |field: &str| vector[field].as_str().unwrap();
        fs::write(&wallet, json!({"secretSeed": text("seed")}).to_string()).unwrap();
        let mut target = text("path").to_owned();
        if !text("query").is_empty() {
            target = format!("{target}?{}", text("query"));
        }
        let mut line = vec![
            "signed-request",
            "--coordinator-url",
            &liar.url,
            "--hotkey-file",
            wallet.to_str().unwrap(),
        ];
        line.extend(["--method", text("method"), "--path", &target]);
        if !text("raw_body").is_empty() {
            line.extend(["--body", text("raw_body")]);
        }
        let ran = Ran::of(bench.bare(&line));
        if vector["ours"].is_string() {
            // Two readers could read two requests in it: it is not signed at all.
            ran.refused(2, "cannot be signed");
            continue;
        }
        ran.json(0);

        let sent = liar.asked().pop().unwrap();
        let header = |name: &str| sent.headers[name].to_str().unwrap();
        assert_eq!(header("X-Hotkey"), text("address"));
        // The recorded message, at the time of this signature.
        let message = text("message").replacen(text("timestamp"), header("X-Timestamp"), 1);
        let hotkey: Hotkey = header("X-Hotkey").parse().unwrap();
        let signature = header("X-Signature").parse().unwrap();
        assert!(
            hotkey.verifies(message.as_bytes(), &signature),
            "{}: {message}",
            text("name")
        );
    }
}
