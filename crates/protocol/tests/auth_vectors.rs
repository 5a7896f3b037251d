//! Requests signed by the network's own SDKs (`CHAIN.md` §3): every one must
//! verify here, byte for byte of the signed message.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use std::fs;
use std::path::Path;

use protocol::auth::{AuthError, Headers, Request};
use protocol::canonical_json::canonicalize;
use protocol::hotkey::{Hotkey, Keypair};
use serde_json::Value;

/// Beside the workspace, where a checkout of the field's vectors may lie.
const VECTORS: &str = "../../../shared/data/auth_vectors.json";

fn vectors() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(VECTORS);
    let Ok(text) = fs::read(path) else {
        eprintln!("skipped: there are no vectors at {VECTORS}");
        return Vec::new();
    };
    let mut document: Value = serde_json::from_slice(&text).unwrap();
    let Value::Array(vectors) = document["vectors"].take() else {
        panic!("no list of vectors")
    };
    assert!(vectors.len() >= 10);
    vectors
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap()
}

fn request<'a>(vector: &'a Value, body: &'a [u8]) -> Request<'a> {
    Request {
        method: text(vector, "method"),
        path: text(vector, "path"),
        query: text(vector, "query"),
        body,
    }
}

#[test]
fn ambiguous_bodies_are_refused_even_when_signed() {
    for vector in vectors().iter().filter(|vector| vector["ours"].is_string()) {
        let body = hex::decode(text(vector, "raw_body_hex")).unwrap();
        let error = request(vector, &body).message("1").unwrap_err();
        assert!(matches!(error, AuthError::Body(_)), "{error}");
        assert!(error.is_malformed_request());
    }
}

#[test]
fn every_sdks_signature_verifies_over_our_message() {
    for vector in vectors().iter().filter(|vector| vector["ours"].is_null()) {
        let name = text(vector, "name");
        let body = hex::decode(text(vector, "raw_body_hex")).unwrap();
        if !body.is_empty() {
            let canonical = canonicalize(&body).unwrap();
            assert_eq!(canonical, text(vector, "canonical_body"), "{name}");
        }
        let request = request(vector, &body);
        let timestamp = text(vector, "timestamp");
        assert_eq!(
            request.message(timestamp).unwrap(),
            text(vector, "message"),
            "{name}"
        );
        let now = timestamp.parse().unwrap();
        let wrapped = vector.get("signature_over_Bytes_wrapped").unwrap();
        let signatures = vector["signatures"].as_object().unwrap().values();
        for signature in signatures.chain([wrapped]) {
            let headers = Headers {
                hotkey: text(vector, "address"),
                timestamp,
                signature: signature.as_str().unwrap(),
            };
            let found = request.authenticate(&headers, now, 0).unwrap();
            assert_eq!(found.hotkey.to_string(), text(vector, "address"), "{name}");
            let other = Request {
                path: "/other",
                ..request
            };
            let found = other.authenticate(&headers, now, 0);
            assert_eq!(found, Err(AuthError::Mismatch), "{name}");
        }
    }
}

#[test]
fn seeds_give_the_addresses_of_the_sdks_and_our_signatures_verify() {
    for vector in vectors() {
        let seed = hex::decode(text(&vector, "seed").trim_start_matches("0x")).unwrap();
        let keypair = Keypair::from_seed(&seed.try_into().unwrap());
        let hotkey = keypair.hotkey();
        assert_eq!(hotkey.to_string(), text(&vector, "address"));
        let public = text(&vector, "public_key").trim_start_matches("0x");
        assert_eq!(hex::encode(hotkey.as_bytes()), public);
        let message = text(&vector, "message").as_bytes();
        let address: Hotkey = text(&vector, "address").parse().unwrap();
        assert!(address.verifies(message, &keypair.sign(message)));
    }
}
