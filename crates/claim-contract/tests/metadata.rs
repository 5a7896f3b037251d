//! The contract's metadata, held against that of the contract that existing clients were written for.

#![allow(
    unsafe_code,
    reason = "ink! hands out metadata only through this symbol, which is how its own tool gets it"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails where it unwraps"
)]

// The symbol is in the contract's library, which has to be linked for it.
use claim_contract as _;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{json, Value};

extern "Rust" {
    fn __ink_generate_metadata() -> ink::metadata::InkProject;
}

/// What clients do not find in the old metadata and need not know.
const OUR_MESSAGES: [&str; 5] = [
    "get_arbiter",
    "get_challenge_blocks",
    "get_vetoer",
    "set_arbiter",
    "set_vetoer",
];
const OUR_EVENTS: [&str; 4] = [
    "PauseChanged",
    "ReserveFloorChanged",
    "RoleChanged",
    "StakeWithdrawn",
];

fn ours() -> Value {
    // SAFETY: the symbol is a safe function of exactly this signature, which `#[ink::contract]` generates.
    let project = unsafe { __ink_generate_metadata() };
    serde_json::to_value(project).unwrap()
}

/// The old contract's metadata, where it is at hand; a test that needs it says that it did nothing otherwise.
fn theirs() -> Option<Value> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/claim-contract-abi.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: no metadata to compare with");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// A type as nested names and fields, without the numbers and paths that differ between any two builds. Our errors are
/// more than theirs, so an error is only an error.
fn shape(metadata: &Value, id: &Value) -> Value {
    let entry = metadata["types"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["id"] == *id)
        .unwrap();
    let of = |id: &Value| shape(metadata, id);
    let fields = |fields: &Value| -> Value {
        let fields = fields.as_array().cloned().unwrap_or_default();
        fields
            .iter()
            .map(|field| json!({"name": field["name"], "type": of(&field["type"])}))
            .collect()
    };
    let name = entry["type"]["path"]
        .as_array()
        .and_then(|path| path.last());
    if name.is_some_and(|name| name == "Error" || name == "ReadWriteErrorCode") {
        return json!("the contract's error");
    }
    let (kind, content) = entry["type"]["def"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    match kind.as_str() {
        "primitive" => content.clone(),
        "sequence" => json!({ "sequence of": of(&content["type"]) }),
        "array" => json!({ "array of": of(&content["type"]), "len": content["len"] }),
        "tuple" => content.as_array().unwrap().iter().map(of).collect(),
        "composite" => json!({ "struct": name, "fields": fields(&content["fields"]) }),
        "variant" => {
            let variants = content["variants"].as_array().cloned().unwrap_or_default();
            variants
                .iter()
                .map(|variant| {
                    json!([
                        variant["index"],
                        variant["name"],
                        fields(&variant["fields"])
                    ])
                })
                .collect()
        }
        other => panic!("a kind of type that this test does not know: {other}"),
    }
}

/// What a client must know to call or to read `item`, a constructor, message or event.
fn interface(metadata: &Value, item: &Value) -> Value {
    let args: Value = item["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arg| {
            json!({
                "label": arg["label"],
                "indexed": arg["indexed"],
                "type": shape(metadata, &arg["type"]["type"]),
            })
        })
        .collect();
    let mut facts = json!({ "args": args });
    for key in ["selector", "mutates", "payable", "signature_topic"] {
        facts[key] = item[key].clone();
    }
    if item["returnType"].is_object() {
        facts["returns"] = shape(metadata, &item["returnType"]["type"]);
    }
    facts
}

fn items(metadata: &Value, kind: &str) -> BTreeMap<String, Value> {
    metadata["spec"][kind]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let label = item["label"].as_str().unwrap().to_owned();
            (label, interface(metadata, item))
        })
        .collect()
}

/// Everything that theirs has is in ours, alike; and ours has nothing more than `added`.
fn assert_extends(kind: &str, added: &[&str]) {
    let Some(theirs) = theirs() else { return };
    let (ours, theirs) = (items(&ours(), kind), items(&theirs, kind));
    assert!(!theirs.is_empty());
    for (label, interface) in &theirs {
        assert_eq!(ours.get(label), Some(interface), "{kind}: {label}");
    }
    let new: Vec<_> = ours
        .keys()
        .filter(|label| !theirs.contains_key(*label))
        .collect();
    assert_eq!(new, added, "{kind}");
}

#[test]
fn constructors_are_those_that_clients_know() {
    assert_extends("constructors", &[]);
}

#[test]
fn messages_are_those_that_clients_know_and_few_more() {
    assert_extends("messages", &OUR_MESSAGES);
}

#[test]
fn events_are_those_that_clients_know_and_few_more() {
    assert_extends("events", &OUR_EVENTS);
}

#[test]
fn balances_and_block_numbers_have_the_chains_width() {
    let metadata = ours();
    let environment = &metadata["spec"]["environment"];
    for (name, width) in [
        ("balance", "u64"),
        ("timestamp", "u64"),
        ("blockNumber", "u32"),
    ] {
        assert_eq!(
            shape(&metadata, &environment[name]["type"]),
            width,
            "{name}"
        );
    }
    assert_eq!(environment["maxEventTopics"], 4);
}

/// Selectors and topics are fixed, also where the old metadata is not at hand.
#[test]
fn selectors_and_topics_are_fixed() {
    let metadata = ours();
    let mut lines = Vec::new();
    for (kind, key) in [
        ("constructors", "selector"),
        ("messages", "selector"),
        ("events", "signature_topic"),
    ] {
        for (label, interface) in items(&metadata, kind) {
            lines.push(format!("{} {label}", interface[key].as_str().unwrap()));
        }
    }
    assert_eq!(
        lines.join("\n"),
        include_str!("data/selectors.txt").trim_end()
    );
}

/// Errors have the codes that they are documented with; 0 and 1 are those that clients knew before.
#[test]
fn the_codes_of_errors_are_stable() {
    let metadata = ours();
    let types = metadata["types"].as_array().unwrap();
    let error = types
        .iter()
        .find(|entry| entry["type"]["path"] == json!(["claim_contract", "error", "Error"]))
        .unwrap();
    let codes: Vec<_> = error["type"]["def"]["variant"]["variants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variant| format!("{} {}", variant["index"], variant["name"].as_str().unwrap()))
        .collect();
    assert_eq!(
        codes.join("\n"),
        include_str!("data/error_codes.txt").trim_end()
    );
}
