//! Measures an epoch's tree: the root and every proof of a million leaves, beside
//! the hashing that nothing can avoid and a library that many use.
//!
//! `cargo bench -p pool --bench million [-- --leaves N]`, one JSON object on
//! standard output.

use std::hint::black_box;
use std::time::{Duration, Instant};

use clap::Parser;
use pool::merkle::Tree;
use protocol::claims::{Leaf, MerkleHash, parent};
use protocol::ss58::Address;
use serde_json::json;

/// Root and proofs of an epoch.
#[derive(Debug, Parser)]
struct Options {
    /// How many leaves.
    #[arg(long, default_value_t = 1_000_000)]
    leaves: u32,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The library, told our rule.
#[derive(Clone)]
struct OurRule;

impl rs_merkle::Hasher for OurRule {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        *MerkleHash::of(data).as_bytes()
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        let node = |right: &[u8; 32]| {
            let [left, right] = [left, right].map(|hash| MerkleHash::from_bytes(*hash));
            *parent(&left, &right).as_bytes()
        };
        right.map_or(*left, node)
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let count = options.leaves;
    let ((), bare) = timed(|| bare_hashing(count));
    let (hashes, hashing) = timed(|| (0..count).map(|n| leaf(n).hash()).collect::<Vec<_>>());
    let given = hashes
        .iter()
        .map(|hash| *hash.as_bytes())
        .collect::<Vec<_>>();
    let before = peak_memory_mib()?;
    let (tree, building) = timed(|| Tree::above(hashes));
    let tree = tree?;
    let (proved, proving) = timed(|| (0..count).map(|n| tree.proof(n).count()).sum::<usize>());
    let memory = peak_memory_mib()?;
    let (peer, peer_building) = timed(|| rs_merkle::MerkleTree::<OurRule>::from_leaves(&given));
    anyhow::ensure!(peer.root() == Some(*tree.root().as_bytes()), "two roots");
    let prove = |n: usize| peer.proof(&[n]).proof_hashes().len();
    let (peer_proved, peer_proving) = timed(|| (0..given.len()).map(prove).sum::<usize>());
    anyhow::ensure!(proved == peer_proved, "two lengths of proofs");
    let report = json!({
        "leaves": count,
        "proof_hashes": proved,
        "bare_hashing_seconds": bare.as_secs_f64(),
        "leaf_hashes_seconds": hashing.as_secs_f64(),
        "root_seconds": building.as_secs_f64(),
        "all_proofs_seconds": proving.as_secs_f64(),
        "total_seconds": (hashing + building + proving).as_secs_f64(),
        "peak_memory_mib": memory,
        "peak_memory_before_tree_mib": before,
        "rs_merkle": {
            "root_seconds": peer_building.as_secs_f64(),
            "all_proofs_seconds": peer_proving.as_secs_f64(),
            "total_seconds": (hashing + peer_building + peer_proving).as_secs_f64(),
        },
    });
    println!("{report:#}");
    Ok(())
}

fn leaf(index: u32) -> Leaf {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&index.to_be_bytes());
    let address = Address::from_bytes(bytes);
    Leaf {
        contract: Address::from_bytes([1; 32]),
        epoch: 1,
        index,
        hotkey: address,
        recipient_coldkey: address,
        amount_rao: u64::from(index),
    }
}

/// As many hashes of the same lengths as the tree needs, and nothing else.
fn bare_hashing(leaves: u32) {
    let (leaf, node) = ([0; 117], [1; 65]);
    for _ in 0..leaves {
        black_box(MerkleHash::of(black_box(&leaf)));
    }
    for _ in 1..leaves {
        black_box(MerkleHash::of(black_box(&node)));
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let done = black_box(work());
    (done, started.elapsed())
}

/// The most memory that this process had so far.
fn peak_memory_mib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let text = line.map(|line| line.trim().trim_end_matches("kB").trim());
    let kib: u64 = text.unwrap_or_default().parse()?;
    Ok(kib / 1024)
}
