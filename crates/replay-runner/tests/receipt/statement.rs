//! From a report to a statement.

use protocol::receipt::{
    Expected, HostFacts, Signer, SigningKey, Statement, Subject, Trust, verify,
};
use protocol::{Code, CommitId, Fault, Report, Sha256Digest, Status};
use replay_runner::receipt::{ReceiptError, statement};

use crate::{report, spec};

fn signer() -> Signer {
    Signer {
        public_key: SigningKey::from_seed(&[1; 32]).public(),
        binding: None,
    }
}

fn of(report: &Report) -> Result<Statement, ReceiptError> {
    statement(&spec(), report, HostFacts::default(), signer(), 5)
}

#[test]
fn a_report_of_another_replay_or_of_none_gets_no_receipt() {
    for wrong in [
        Report {
            spec_digest: None,
            ..report()
        },
        Report {
            spec_digest: Some(Sha256Digest::of(b"other")),
            ..report()
        },
        Report {
            base_commit: Some(CommitId::from_bytes([9; 20])),
            ..report()
        },
    ] {
        assert!(matches!(of(&wrong), Err(ReceiptError::OtherSpec)));
    }
    for seconds in [f64::NAN, f64::INFINITY] {
        let mut wrong = report();
        wrong.stages[0].wall_seconds = seconds;
        assert!(matches!(
            of(&wrong),
            Err(ReceiptError::NotFinite("wall_seconds"))
        ));
    }
}

#[test]
fn claims_hold_nothing_that_may_differ_between_hosts() {
    let mut elsewhere = report();
    elsewhere.timing.total_seconds = 99.0;
    elsewhere.stages[0].wall_seconds = 98.0;
    elsewhere.stages[0].output = "other".to_owned();
    elsewhere.stages[0].peak_memory_bytes = 1;
    elsewhere.notes.clear();
    let (here, there) = (of(&report()).unwrap(), of(&elsewhere).unwrap());
    assert_eq!(here.predicate.claims, there.predicate.claims);
    assert_eq!(here.subject, there.subject);
    assert_ne!(here.predicate.observations, there.predicate.observations);
}

/// D12, and no secret of a log in what is published.
#[test]
fn output_is_there_by_length_and_digest_and_says_when_it_was_cut() {
    let found = of(&report()).unwrap();
    let json = serde_json::to_string(&found).unwrap();
    assert!(!json.contains("secret words"), "{json}");
    let kept = "secret words of the output";
    for part in [
        r#""truncated":true"#.to_owned(),
        r#""output_bytes":"9007199254740993""#.to_owned(),
        format!(r#""kept_output_bytes":"{}""#, kept.len()),
        format!(
            r#""kept_output_sha256":"{}""#,
            Sha256Digest::of(kept.as_bytes())
        ),
        r#""limits_hit":["memory"]"#.to_owned(),
        r#""exit_code":"-9007199254740993""#.to_owned(),
        r#""peak_memory_bytes":"18446744073709551615""#.to_owned(),
        r#""loss":"1e-7""#.to_owned(),
        r#""supervisor.benchmark_seconds":"0.10""#.to_owned(),
    ] {
        assert!(json.contains(&part), "{part} is not in {json}");
    }
}

#[test]
fn a_refused_patch_has_a_receipt_without_a_tree() {
    let refused = Report {
        status: Status::Rejected,
        code: Code::PatchPathNotAllowed,
        fault: Some(Fault::Submission),
        patched_tree: None,
        image: None,
        result_digest: None,
        stages: Vec::new(),
        ..report()
    };
    let found = of(&refused).unwrap();
    let names: Vec<&str> = found.subject.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        names,
        [Subject::PATCH, Subject::ARTIFACT, Subject::BASE_COMMIT]
    );
    let key = SigningKey::from_seed(&[1; 32]);
    let trust = [Trust::PublicKey(key.public())];
    let envelope = found.seal(&key).unwrap();
    verify(&envelope, &trust, 1, &Expected::by(&spec())).unwrap();
    let mut other = spec();
    other.artifact = None;
    assert!(verify(&envelope, &trust, 1, &Expected::by(&other)).is_err());
}
