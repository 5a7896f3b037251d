//! Our tree against two others: one in Python, written from the rule's text, and
//! a library that many use, told the same rule.

use std::process::{Command, Stdio};

use pool::merkle::Tree;
use protocol::claims::{Leaf, MerkleHash, parent, verify};
use protocol::ss58::Address;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/epochs.py");
const EPOCHS: usize = 10_000;

/// Reads what the Python program writes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, tail) = self
            .0
            .split_first_chunk()
            .expect("the program wrote it all");
        self.0 = tail;
        *head
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn hash(&mut self) -> MerkleHash {
        MerkleHash::from_bytes(self.take())
    }

    fn address(&mut self) -> Address {
        Address::from_bytes(self.take())
    }
}

#[test]
fn ten_thousand_random_epochs_have_the_roots_and_proofs_of_an_independent_program() {
    let made = Command::new("python3")
        .args([PROGRAM, &EPOCHS.to_string(), "20261122"])
        .stderr(Stdio::inherit())
        .output();
    let output = match made {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: python3 does not run: {error}");
            return;
        }
    };
    assert!(output.status.success());
    let mut reader = Reader(&output.stdout);
    let (mut leaves, mut odd) = (0, 0);
    for _ in 0..EPOCHS {
        let size = one_epoch(&mut reader);
        leaves += size;
        odd += size % 2;
    }
    assert!(reader.0.is_empty(), "the program wrote more");
    println!("{EPOCHS} epochs, {odd} of odd size, {leaves} leaves");
}

fn one_epoch(reader: &mut Reader<'_>) -> u32 {
    let (count, epoch, contract) = (reader.u32(), reader.u64(), reader.address());
    let leaf = |index| Leaf {
        contract,
        epoch,
        index,
        hotkey: reader.address(),
        recipient_coldkey: reader.address(),
        amount_rao: reader.u64(),
    };
    let hashes: Vec<MerkleHash> = (0..count).map(leaf).map(|leaf| leaf.hash()).collect();
    let tree = Tree::above(hashes.clone()).unwrap();
    let root = reader.hash();
    assert_eq!(tree.root(), root, "an epoch of {count} leaves");
    for _ in 0..reader.u32() {
        let (index, length) = (reader.u32(), reader.u32());
        let theirs: Vec<MerkleHash> = (0..length).map(|_| reader.hash()).collect();
        let ours: Vec<MerkleHash> = tree.proof(index).collect();
        assert_eq!(ours, theirs, "leaf {index} of {count}");
        let hash = hashes[index as usize];
        assert_eq!(verify(hash, index, count, &theirs, root), Ok(()));
        let elsewhere = verify(hash, (index + 1) % count, count, &theirs, root);
        assert!(count == 1 || elsewhere.is_err(), "leaf {index} of {count}");
    }
    count
}

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

#[test]
fn a_library_that_is_told_the_rule_agrees() {
    for count in (1..70).chain([255, 256, 257, 1000]) {
        let leaves: Vec<[u8; 32]> = (0..count)
            .map(|n: u32| *MerkleHash::of(&n.to_le_bytes()).as_bytes())
            .collect();
        let theirs = rs_merkle::MerkleTree::<OurRule>::from_leaves(&leaves);
        let tree = Tree::above(leaves.into_iter().map(MerkleHash::from_bytes).collect()).unwrap();
        assert_eq!(
            Some(*tree.root().as_bytes()),
            theirs.root(),
            "{count} leaves"
        );
        for index in 0..count {
            let ours: Vec<[u8; 32]> = tree.proof(index).map(|hash| *hash.as_bytes()).collect();
            let proof = theirs.proof(&[index as usize]);
            assert_eq!(ours, proof.proof_hashes(), "leaf {index} of {count}");
        }
    }
}
