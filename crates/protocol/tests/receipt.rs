//! When a receipt holds, and all the ways in which it does not (`CORPUS.md` D08–D11).

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::hotkey::Keypair;
use protocol::receipt::{
    ClaimedOutcome, Claims, Envelope, Expect, Expected, HostFacts, KeyBinding, Observations,
    PAYLOAD_TYPE, PREDICATE_TYPE, Predicate, STATEMENT_TYPE, Signer, SigningKey, Statement,
    Subject, Text, Trust, Verified, VerifyError, verify,
};
use protocol::{Code, CommitId, Decimal, Sha256Digest, Status, TreeId};

const COMMIT: CommitId = CommitId::from_bytes([1; 20]);
const TREE: TreeId = TreeId::from_bytes([2; 20]);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn hotkey() -> Keypair {
    Keypair::from_seed(&[9; 32])
}

fn patch() -> Sha256Digest {
    Sha256Digest::of(b"patch")
}

fn decimal(text: &str) -> Text<Decimal> {
    Text(text.parse().unwrap())
}

fn statement() -> Statement {
    Statement {
        statement_type: STATEMENT_TYPE.to_owned(),
        subject: vec![
            Subject::new(Subject::PATCH, &patch()).unwrap(),
            Subject::new(Subject::BASE_COMMIT, &COMMIT).unwrap(),
            Subject::new(Subject::PATCHED_TREE, &TREE).unwrap(),
        ],
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: Predicate {
            claims: Claims {
                spec_digest: Sha256Digest::of(b"spec"),
                base_commit: COMMIT,
                patched_tree: Some(TREE),
                image: Some("sha256:00".to_owned()),
                outcome: ClaimedOutcome {
                    status: Status::Accepted,
                    code: Code::Ok,
                },
                metrics: BTreeMap::from([("loss".to_owned(), decimal("9007199254740993"))]),
                result_digest: None,
            },
            observations: Observations {
                fault: None,
                finished_at: Text(1_767_225_600),
                total_seconds: decimal("1.5"),
                overhead_seconds: decimal("0.25"),
                stages: Vec::new(),
                repeats: BTreeMap::new(),
                host: HostFacts::default(),
            },
            signer: Signer {
                public_key: key(1).public(),
                binding: Some(KeyBinding::sign(&hotkey(), key(1).public(), 1_767_225_000)),
            },
        },
    }
}

fn known() -> Expected {
    Expected {
        patch: Expect::Is(patch()),
        artifact: Expect::Absent,
        base_commit: Expect::Is(COMMIT),
        patched_tree: Expect::Is(TREE),
        spec_digest: Expect::Is(Sha256Digest::of(b"spec")),
    }
}

fn check(envelope: &Envelope) -> Result<Verified, VerifyError> {
    verify(envelope, &[Trust::PublicKey(key(1).public())], 1, &known())
}

/// Changes the statement and signs it anew: what a dishonest signer could do.
fn signed(change: impl FnOnce(&mut Statement)) -> Envelope {
    let mut statement = statement();
    change(&mut statement);
    statement.seal(&key(1)).unwrap()
}

#[test]
fn one_changed_byte_of_payload_type_or_signature_is_refused() {
    let good = signed(|_| ());
    check(&good).unwrap();
    let payload = good.payload().unwrap();
    for index in (0..payload.len()).step_by(5) {
        let mut changed = payload.clone();
        changed[index] ^= 1;
        let changed = STANDARD.encode(changed);
        let changed = Envelope {
            payload: changed,
            ..good.clone()
        };
        assert!(check(&changed).is_err(), "byte {index} of the payload");
    }
    for payload_type in [
        "application/vnd.in-toto+jsom",
        "",
        "application/vnd.in-toto+json ",
    ] {
        let payload_type = payload_type.to_owned();
        let changed = Envelope {
            payload_type,
            ..good.clone()
        };
        assert!(check(&changed).is_err(), "{}", changed.payload_type);
        // Even when its signature is right.
        let resigned = Envelope::sign(&payload, &changed.payload_type, &key(1));
        assert!(matches!(check(&resigned), Err(VerifyError::PayloadType(_))));
    }
    let signature = STANDARD.decode(&good.signatures[0].sig).unwrap();
    for index in 0..signature.len() {
        let mut changed = signature.clone();
        changed[index] ^= 1;
        let mut envelope = good.clone();
        envelope.signatures[0].sig = STANDARD.encode(changed);
        assert!(check(&envelope).is_err(), "byte {index} of the signature");
    }
}

#[test]
fn a_signature_over_the_bare_payload_is_refused() {
    let mut envelope = signed(|_| ());
    let bare = key(1).sign(&envelope.payload().unwrap());
    envelope.signatures[0].sig = STANDARD.encode(bare);
    assert!(matches!(
        check(&envelope),
        Err(VerifyError::TooFewSignatures {
            found: 0,
            threshold: 1
        })
    ));
}

#[test]
fn a_signature_listed_twice_or_a_key_trusted_twice_counts_once() {
    let mut envelope = signed(|_| ());
    let mut again = envelope.signatures[0].clone();
    envelope.signatures.push(again.clone());
    again.keyid = "another name".to_owned();
    envelope.signatures.push(again);
    let public = key(1).public();
    let trust = [
        Trust::PublicKey(public),
        Trust::PublicKey(public),
        Trust::KeyId(public.key_id()),
        Trust::Hotkey(hotkey().hotkey()),
        Trust::PublicKey(key(2).public()),
    ];
    let found = verify(&envelope, &trust, 2, &known());
    assert!(matches!(
        found,
        Err(VerifyError::TooFewSignatures {
            found: 1,
            threshold: 2
        })
    ));
    let second = Envelope::sign(&envelope.payload().unwrap(), PAYLOAD_TYPE, &key(2));
    envelope.signatures.extend(second.signatures);
    let found = verify(&envelope, &trust, 2, &known()).unwrap();
    assert_eq!(found.signers, [public, key(2).public()]);
    let found = verify(&envelope, &trust, 0, &known());
    assert!(matches!(found, Err(VerifyError::NoThreshold)));
}

#[test]
fn only_those_who_are_trusted_count() {
    let envelope = signed(|_| ());
    let public = key(1).public();
    for trust in [
        Trust::PublicKey(public),
        Trust::KeyId(public.key_id()),
        Trust::Hotkey(hotkey().hotkey()),
    ] {
        let found = verify(&envelope, &[trust], 1, &known()).unwrap();
        assert_eq!(found.signers, [public]);
        assert_eq!(found.hotkey, Some(hotkey().hotkey()));
    }
    let other = Keypair::from_seed(&[8; 32]).hotkey();
    for trust in [
        &[][..],
        &[Trust::PublicKey(key(2).public())],
        &[Trust::KeyId(key(2).public().key_id())],
        &[Trust::Hotkey(other)],
    ] {
        let found = verify(&envelope, trust, 1, &known());
        assert!(matches!(found, Err(VerifyError::TooFewSignatures { .. })));
    }
}

/// Somebody copies the binding of an honest validator into their own receipt.
#[test]
fn a_binding_of_another_key_or_hotkey_is_worth_nothing() {
    let honest = KeyBinding::sign(&hotkey(), key(1).public(), 5);
    let thief = key(3);
    let mallory = Keypair::from_seed(&[7; 32]);
    let bindings = [
        None,
        Some(honest),
        Some(KeyBinding {
            public_key: thief.public(),
            ..honest
        }),
        Some(KeyBinding {
            hotkey: hotkey().hotkey(),
            ..KeyBinding::sign(&mallory, thief.public(), 5)
        }),
        Some(KeyBinding::sign(&mallory, thief.public(), 5)),
    ];
    for binding in bindings {
        for named in [thief.public(), key(1).public()] {
            let mut statement = statement();
            statement.predicate.signer = Signer {
                public_key: named,
                binding,
            };
            let envelope = statement.seal(&thief).unwrap();
            let trust = [
                Trust::Hotkey(hotkey().hotkey()),
                Trust::KeyId(key(1).public().key_id()),
            ];
            let found = verify(&envelope, &trust, 1, &known());
            assert!(
                matches!(found, Err(VerifyError::TooFewSignatures { .. })),
                "{binding:?}"
            );
        }
    }
}

#[test]
fn a_statement_of_other_subjects_is_refused() {
    let other = Sha256Digest::of(b"other");
    let mut wrong = Vec::new();
    for (field, change) in [
        (
            "patch",
            Expected {
                patch: Expect::Is(other),
                ..known()
            },
        ),
        (
            "no patch",
            Expected {
                patch: Expect::Absent,
                ..known()
            },
        ),
        (
            "artifact",
            Expected {
                artifact: Expect::Is(other),
                ..known()
            },
        ),
        (
            "spec",
            Expected {
                spec_digest: Expect::Is(other),
                ..known()
            },
        ),
        (
            "commit",
            Expected {
                base_commit: Expect::Is(CommitId::from_bytes([3; 20])),
                ..known()
            },
        ),
        (
            "tree",
            Expected {
                patched_tree: Expect::Is(TreeId::from_bytes([3; 20])),
                ..known()
            },
        ),
        (
            "no tree",
            Expected {
                patched_tree: Expect::Absent,
                ..known()
            },
        ),
    ] {
        let trust = [Trust::PublicKey(key(1).public())];
        let found = verify(&signed(|_| ()), &trust, 1, &change);
        wrong.push((field, found));
    }
    let subject = |name, digest| Subject::new(name, digest).unwrap();
    let replace = |at: usize, with: Subject| signed(move |s| s.subject[at] = with);
    wrong.push((
        "subject patch",
        check(&replace(0, subject(Subject::PATCH, &other))),
    ));
    wrong.push((
        "missing subject",
        check(&signed(|s| drop(s.subject.remove(0)))),
    ));
    let artifact = subject(Subject::ARTIFACT, &other);
    wrong.push((
        "more subjects",
        check(&signed(|s| s.subject.push(artifact))),
    ));
    let claimed = CommitId::from_bytes([3; 20]);
    wrong.push((
        "claim and subject differ",
        check(&signed(|s| s.predicate.claims.base_commit = claimed)),
    ));
    wrong.push((
        "claim without subject",
        check(&signed(|s| drop(s.subject.remove(2)))),
    ));
    wrong.push((
        "subject without claim",
        check(&signed(|s| s.predicate.claims.patched_tree = None)),
    ));
    for (field, found) in wrong {
        assert!(
            matches!(found, Err(VerifyError::Subject { .. })),
            "{field}: {found:?}"
        );
    }
}

#[test]
fn an_ambiguous_subject_or_statement_is_refused() {
    let twice = signed(|s| s.subject.push(s.subject[0].clone()));
    assert!(matches!(
        check(&twice),
        Err(VerifyError::MalformedSubject(_))
    ));
    let without = signed(|s| {
        let digest = s.subject[0].digest.remove("sha256").unwrap();
        s.subject[0].digest.insert("sha512".to_owned(), digest);
    });
    assert!(matches!(
        check(&without),
        Err(VerifyError::MalformedSubject(_))
    ));
    let text = String::from_utf8(signed(|_| ()).payload().unwrap()).unwrap();
    let doubled = text.replace(r#""metrics":{"#, r#""metrics":{"loss":"0.1","#);
    assert_ne!(doubled, text);
    let doubled = Envelope::sign(doubled.as_bytes(), PAYLOAD_TYPE, &key(1));
    assert!(matches!(check(&doubled), Err(VerifyError::Ambiguous(_))));
    let number = text.replace(r#""9007199254740993""#, "9007199254740993");
    assert_ne!(number, text);
    let number = Envelope::sign(number.as_bytes(), PAYLOAD_TYPE, &key(1));
    assert!(matches!(check(&number), Err(VerifyError::Statement(_))));
}

#[test]
fn another_type_of_statement_or_predicate_is_refused() {
    let other = || "https://in-toto.io/Statement/v0.1".to_owned();
    for envelope in [
        signed(|s| s.statement_type = other()),
        signed(|s| s.predicate_type = other()),
    ] {
        assert!(matches!(check(&envelope), Err(VerifyError::Type { .. })));
    }
}

#[test]
fn every_number_is_a_string_and_survives_byte_for_byte() {
    let envelope = signed(|_| ());
    let payload: serde_json::Value = serde_json::from_slice(&envelope.payload().unwrap()).unwrap();
    let mut open = vec![&payload];
    while let Some(value) = open.pop() {
        assert!(!value.is_number(), "{value} is a JSON number");
        open.extend(value.as_array().into_iter().flatten());
        open.extend(
            value
                .as_object()
                .into_iter()
                .flat_map(serde_json::Map::values),
        );
    }
    let verified = check(&envelope).unwrap();
    let signed: Statement = serde_json::from_slice(&envelope.payload().unwrap()).unwrap();
    assert_eq!(verified.statement, signed);
    let metrics = verified.statement.predicate.claims.metrics;
    assert_eq!(metrics["loss"].0.as_str(), "9007199254740993");
}
