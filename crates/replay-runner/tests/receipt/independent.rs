//! Receipts before verifiers that are not ours: securesystemslib for the
//! envelope, in-toto-attestation for the statement.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::receipt::{Envelope, Expected, HostFacts, PREDICATE_TYPE, Trust, verify};
use replay_runner::receipt::ReceiptKey;
use tempfile::TempDir;

use crate::{report, spec};

const PACKAGES: [&str; 4] = [
    "securesystemslib==1.6.0",
    "in-toto-attestation==0.9.3",
    "cryptography==50.0.2",
    "protobuf==7.36.2",
];

const VERIFIER: &str = r#"
import json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf.json_format import ParseDict, MessageToDict
from in_toto_attestation.v1.statement import Statement
import in_toto_attestation.v1.statement_pb2 as pb
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

pem, key_id, predicate_type, threshold = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
key = SSlibKey.from_crypto(load_pem_public_key(pem.encode()), keyid=key_id)
other = SSlibKey.from_crypto(load_pem_public_key(sys.argv[5].encode()), keyid="other")
envelope = Envelope.from_dict(json.load(sys.stdin))
assert envelope.payload_type == "application/vnd.in-toto+json", envelope.payload_type
envelope.verify([key, other], threshold)
message = ParseDict(json.loads(envelope.payload), pb.Statement())
statement = Statement.copy_from_pb(message)
statement.validate()
assert statement.pb.predicate_type == predicate_type, statement.pb.predicate_type
print(json.dumps(MessageToDict(message), sort_keys=True))
"#;

/// The Python of an environment with the pinned packages, made on first use
/// below `target/` and kept for the next run.
fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let directory = target.join("receipt-verifiers");
    let lock = File::create(target.join("receipt-verifiers.lock")).unwrap();
    lock.lock().unwrap();
    let python = directory.join("bin/python");
    let done = directory.join("installed");
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    let run = |command: &mut Command| {
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {text}");
    };
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&directory));
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:"])
        .args(PACKAGES));
    fs::write(done, wanted).unwrap();
    python
}

struct Verifier {
    python: PathBuf,
    key: ReceiptKey,
    other: ReceiptKey,
    _states: [TempDir; 2],
}

impl Verifier {
    fn new() -> Self {
        let states = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        Self {
            python: python(),
            key: ReceiptKey::open(states[0].path()).unwrap(),
            other: ReceiptKey::open(states[1].path()).unwrap(),
            _states: states,
        }
    }

    fn receipt(&self) -> Envelope {
        let host = HostFacts::default();
        self.key.sign(&spec(), &report(), host).unwrap()
    }

    fn theirs(&self, envelope: &Envelope, threshold: usize) -> Output {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), serde_json::to_vec(envelope).unwrap()).unwrap();
        Command::new(&self.python)
            .args(["-c", VERIFIER])
            .arg(self.key.public().to_pem().unwrap())
            .arg(self.key.public().key_id().to_string())
            .arg(PREDICATE_TYPE)
            .arg(threshold.to_string())
            .arg(self.other.public().to_pem().unwrap())
            .stdin(File::open(file.path()).unwrap())
            .output()
            .unwrap()
    }

    fn ours(&self, envelope: &Envelope, threshold: usize) -> bool {
        let keys = [&self.key, &self.other].map(|key| Trust::PublicKey(key.public()));
        verify(envelope, &keys, threshold, &Expected::by(&spec())).is_ok()
    }

    /// Whether both verifiers accept it; they must be of one mind.
    fn accept(&self, envelope: &Envelope, threshold: usize) -> bool {
        let theirs = self.theirs(envelope, threshold);
        let text = String::from_utf8_lossy(&theirs.stderr);
        let ours = self.ours(envelope, threshold);
        assert_eq!(theirs.status.success(), ours, "theirs says: {text}");
        ours
    }
}

fn changed(base64: &str) -> String {
    let mut bytes = STANDARD.decode(base64).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    STANDARD.encode(bytes)
}

/// D08 and D09.
#[test]
fn other_verifiers_refuse_what_ours_refuses() {
    let verifier = Verifier::new();
    let good = verifier.receipt();
    let payload = Envelope {
        payload: changed(&good.payload),
        ..good.clone()
    };
    assert!(!verifier.accept(&payload, 1), "a changed payload");
    let payload_type = "application/vnd.in-toto+jsom".to_owned();
    let payload_type = Envelope {
        payload_type,
        ..good.clone()
    };
    assert!(!verifier.accept(&payload_type, 1), "a changed payloadType");
    let mut signature = good.clone();
    signature.signatures[0].sig = changed(&signature.signatures[0].sig);
    assert!(!verifier.accept(&signature, 1), "a changed signature");
    let mut twice = good.clone();
    twice.signatures.push(good.signatures[0].clone());
    assert!(!verifier.accept(&twice, 2), "a signature listed twice");
    let mut renamed = twice;
    renamed.signatures[1].keyid = "other".to_owned();
    assert!(!verifier.accept(&renamed, 2), "the same by another name");
    let none = Envelope {
        signatures: Vec::new(),
        ..good
    };
    assert!(!verifier.accept(&none, 1), "no signature");
}

/// D11: what they read out of the statement is what was measured.
#[test]
fn other_verifiers_accept_a_receipt_and_read_every_digit() {
    let verifier = Verifier::new();
    let receipt = verifier.receipt();
    assert!(verifier.accept(&receipt, 1));
    let read = verifier.theirs(&receipt, 1).stdout;
    let read: serde_json::Value = serde_json::from_slice(&read).unwrap();
    let claims = &read["predicate"]["claims"];
    assert_eq!(claims["metrics"]["steps"], "9007199254740993");
    assert_eq!(claims["metrics"]["supervisor.benchmark_seconds"], "0.10");
    assert_eq!(claims["spec_digest"], spec().digest().to_string());
    let stage = &read["predicate"]["observations"]["stages"][0];
    assert_eq!(stage["peak_memory_bytes"], u64::MAX.to_string());
    assert_eq!(stage["truncated"], true);
    assert_eq!(
        read["subject"][0]["digest"]["sha256"],
        spec().patch.unwrap().sha256.to_string()
    );
}
