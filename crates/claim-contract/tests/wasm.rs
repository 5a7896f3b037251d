//! The committed Wasm is what was reported, was made from these very sources, and asks of the chain only what it
//! offers to contracts. (`just contract-wasm` makes it anew, and executes it in a contracts pallet.)

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails where it unwraps"
)]

use std::fs;
use std::path::Path;

use ink::env::hash::Sha2x256;

/// The digests in a file of `sha256sum`, each held against the file that it names.
fn hold(list: &str) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines = fs::read_to_string(root.join(list)).unwrap();
    for line in lines.lines() {
        let (digest, name) = line.split_once("  ").unwrap();
        let mut found = [0; 32];
        ink::env::hash_bytes::<Sha2x256>(&fs::read(root.join(name)).unwrap(), &mut found);
        assert_eq!(
            hex::encode(found),
            digest,
            "{name} is not what wasm/claim_contract.wasm was made from, or is; run `just contract-wasm` and commit wasm/"
        );
    }
    lines.lines().count()
}

#[test]
fn the_wasm_is_of_these_sources() {
    assert_eq!(hold("wasm/claim_contract.wasm.sha256"), 1);
    let held = hold("wasm/sources.sha256");
    let sources = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    // The manifest, the lock file and the recipe are the other three.
    assert_eq!(
        held,
        sources.unwrap().count() + 3,
        "a source is new or gone"
    );
}

#[test]
fn the_wasm_fits_on_the_chain() {
    let wasm = include_bytes!("../wasm/claim_contract.wasm");
    assert_eq!(wasm[..8], *b"\0asm\x01\0\0\0");
    assert!(wasm.len() <= 128 * 1024, "{} bytes", wasm.len());
}
