//! Whole rounds against a stand-in for a node.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "../../subtensor/tests/stand_in/mod.rs"]
mod stand_in;

use std::path::PathBuf;
use std::time::Duration;

use protocol::hotkey::{Hotkey, Keypair};
use serde_json::{Value, json};
use subtensor::WeightVector;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use weight_setter::metrics::Metrics;
use weight_setter::plan::PlanError;
use weight_setter::round::{Mode, Report, RoundError, Setter};
use weight_setter::snapshot::Source;

use stand_in::{Account, OnSubmit, StandIn, State};

/// The contract's hotkey of the intended split.
const CONTRACT: &str = "5F7MJ2fAyxBG7ci4xP7kQPJanoMdNurk1QBP1AQuFT2Jmzg2";

fn me() -> Keypair {
    Keypair::from_seed(&[0x11; 32])
}

/// 40 neurons: me at 1, the contract at 37.
fn subnet() -> State {
    let mut neurons: Vec<Account> = (0..40u8)
        .map(|uid| Account {
            hotkey: [uid + 100; 32],
            stake: 1,
            last_update: 0,
            permit: false,
        })
        .collect();
    neurons[1] = Account {
        hotkey: *me().hotkey().as_bytes(),
        stake: 1 << 40,
        last_update: 8_499_000,
        permit: true,
    };
    neurons[37].hotkey = *CONTRACT.parse::<Hotkey>().unwrap().as_bytes();
    State::new(94, neurons)
}

fn snapshot(validator_weights: &Value) -> Value {
    json!({
        "generated_at": OffsetDateTime::now_utc().format(&Rfc3339).unwrap(),
        "reward_policy": {"validator_weights": validator_weights, "idea_share": 0.1},
        "competitions": [{"slug": "digits-frontier", "weight": 1}],
    })
}

fn intended() -> Value {
    snapshot(&json!({"mode": "targets", "targets": [
        {"uid": 0, "weight": 0.9},
        {"hotkey": CONTRACT, "weight": 0.1},
    ]}))
}

struct Round {
    node: StandIn,
    setter: Setter,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Round {
    async fn new(state: State) -> Self {
        let node = StandIn::start(state).await;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("snapshot.json");
        let setter = Setter {
            chain: node.chain().await,
            netuid: 94,
            keypair: me(),
            snapshot: Source::File(file.clone()),
            oldest_snapshot: Duration::from_hours(1),
            refresh_blocks: 1080,
            version_key: None,
        };
        let round = Self {
            node,
            setter,
            file,
            _directory: directory,
        };
        round.policy(&intended());
        round
    }

    fn policy(&self, snapshot: &Value) {
        std::fs::write(&self.file, snapshot.to_string()).unwrap();
    }

    async fn run(&self, mode: Mode) -> Result<Report, RoundError> {
        self.setter.run(mode, None).await
    }

    /// Runs a round that has to fail before anything is signed.
    async fn refused(&self) -> RoundError {
        let error = self.run(Mode::Set).await.unwrap_err();
        assert!(
            self.node.with(|state| state.submitted.is_empty()),
            "{error}"
        );
        error
    }
}

fn ninety_to_ten(uid: u16) -> WeightVector {
    WeightVector::new([(0, 65535), (uid, 7282)]).unwrap()
}

#[tokio::test]
async fn ninety_ten_is_set_and_confirmed_and_the_contracts_place_looked_up_every_time() {
    let round = Round::new(subnet()).await;
    let report = round.run(Mode::Set).await.unwrap();
    let Report::Set { vector, inclusion } = report else {
        panic!("{report:?}");
    };
    assert_eq!((vector, inclusion.block), (ninety_to_ten(37), 8_499_991));

    // The contract moves to place 5, and the rate limit passes.
    round.node.with(|state| {
        state.neurons.swap(5, 37);
        state.height += 100;
    });
    let report = round.run(Mode::Set).await.unwrap();
    let Report::Set { vector, .. } = report else {
        panic!("{report:?}");
    };
    assert_eq!(vector, ninety_to_ten(5));
    round.node.no_surprises();
}

#[tokio::test]
async fn a_dry_run_shows_the_call_and_sends_nothing() {
    let round = Round::new(subnet()).await;
    let report = round.run(Mode::DryRun).await.unwrap();
    let Report::WouldSet {
        vector,
        call,
        call_data,
    } = report
    else {
        panic!("{report:?}");
    };
    assert_eq!((vector, call), (ninety_to_ten(37), "set_weights"));
    // The recorded vector of the field's own codec.
    let expected = "07005e00080000250008ffff721c3905000000000000";
    assert_eq!(hex::encode(call_data), expected);
    assert!(round.node.with(|state| state.submitted.is_empty()));
    round.node.no_surprises();
}

#[tokio::test]
async fn burning_gives_everything_to_uid_0_and_local_asks_nobody() {
    let round = Round::new(subnet()).await;
    round.policy(&snapshot(&json!({"mode": "local"})));
    assert_eq!(round.run(Mode::Set).await.unwrap(), Report::Local);
    assert!(round.node.with(|state| state.requests.is_empty()));

    round.policy(&snapshot(&json!({"mode": "burn_uid0", "targets": []})));
    let report = round.run(Mode::Set).await.unwrap();
    let Report::Set { vector, .. } = report else {
        panic!("{report:?}");
    };
    assert_eq!(vector, WeightVector::new([(0, 65535)]).unwrap());
    round.node.no_surprises();
}

#[tokio::test]
async fn shares_of_one_place_are_added_in_any_order() {
    let round = Round::new(subnet()).await;
    for targets in [
        json!([{"uid": 37, "weight": 0.03}, {"uid": 0, "weight": 0.6}, {"hotkey": CONTRACT, "weight": 0.07}, {"uid": 0, "weight": 0.3}]),
        json!([{"uid": 0, "weight": 0.3}, {"hotkey": CONTRACT, "weight": 0.07}, {"uid": 0, "weight": 0.6}, {"uid": 37, "weight": 0.03}]),
    ] {
        round.policy(&snapshot(&json!({"mode": "targets", "targets": targets})));
        let report = round.run(Mode::DryRun).await.unwrap();
        assert!(
            matches!(&report, Report::WouldSet { vector, .. } if *vector == ninety_to_ten(37)),
            "{report:?}"
        );
    }
}

#[tokio::test]
async fn where_the_subnet_wants_it_weights_are_sealed() {
    let round = Round::new(subnet()).await;
    round
        .node
        .with(|state| state.rule("CommitRevealWeightsEnabled", &true));
    let report = round.run(Mode::Set).await.unwrap();
    let Report::Committed { vector, .. } = &report else {
        panic!("{report:?}");
    };
    assert_eq!(*vector, ninety_to_ten(37));

    // The chain shows no weights before the reveal; what was sealed is remembered.
    round.node.with(|state| state.height += 100);
    let again = round.setter.run(Mode::Set, Some(vector)).await.unwrap();
    assert_eq!(again, Report::Unchanged(vector.clone()));
    round.node.no_surprises();
}

#[tokio::test]
async fn the_rate_limit_is_kept_and_unchanged_weights_rest() {
    let round = Round::new(subnet()).await;
    round.run(Mode::Set).await.unwrap();
    let set_at = 8_499_991;
    let report = round.run(Mode::Set).await.unwrap();
    assert!(
        matches!(report, Report::TooEarly { block, until, .. } if (block, until) == (set_at, set_at + 100)),
        "{report:?}"
    );
    round.node.with(|state| state.height = set_at + 99);
    assert!(matches!(
        round.run(Mode::Set).await.unwrap(),
        Report::TooEarly { .. }
    ));
    round.node.with(|state| state.height = set_at + 100);
    assert!(matches!(
        round.run(Mode::Set).await.unwrap(),
        Report::Unchanged(_)
    ));
    assert_eq!(round.node.with(|state| state.submitted.len()), 1);
    round.node.with(|state| state.height = set_at + 1080);
    assert!(matches!(
        round.run(Mode::Set).await.unwrap(),
        Report::Set { .. }
    ));
    round.node.no_surprises();
}

#[tokio::test]
async fn weights_that_the_chain_has_otherwise_are_not_confirmed() {
    for sealed in [false, true] {
        let round = Round::new(subnet()).await;
        round.node.with(|state| {
            state.rule("CommitRevealWeightsEnabled", &sealed);
            state.on_submit = OnSubmit::Alter;
        });
        let error = round.run(Mode::Set).await.unwrap_err();
        assert!(matches!(error, RoundError::NotConfirmed { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_the_chain_would_refuse_is_refused_in_words_and_never_sent() {
    let round = Round::new(subnet()).await;
    round
        .node
        .with(|state| state.rule("MinAllowedWeights", &1024u16));
    let error = round.refused().await;
    assert!(
        error.to_string().contains("takes no fewer than 40"),
        "{error}"
    );

    let round = Round::new(subnet()).await;
    round.node.with(|state| state.neurons[1].permit = false);
    let error = round.refused().await;
    assert!(
        matches!(error, RoundError::Plan(PlanError::NoPermit { uid: 1, .. })),
        "{error}"
    );

    let round = Round::new(subnet()).await;
    round.node.with(|state| state.neurons[1].hotkey = [77; 32]);
    let error = round.refused().await;
    assert!(
        matches!(error, RoundError::Plan(PlanError::NotRegistered { .. })),
        "{error}"
    );

    let mut round = Round::new(subnet()).await;
    round.setter.version_key = Some(1336);
    let error = round.refused().await;
    assert!(
        error
            .to_string()
            .contains("version key 1336 is smaller than 1337"),
        "{error}"
    );
}

#[tokio::test]
async fn targets_that_are_not_on_the_subnet_are_all_named() {
    let round = Round::new(subnet()).await;
    let stranger = Hotkey::from_bytes([200; 32]).to_string();
    round.policy(&snapshot(&json!({"mode": "targets", "targets": [
        {"uid": 0, "weight": 0.9}, {"uid": 40, "weight": 0.05}, {"hotkey": stranger, "weight": 0.05},
    ]})));
    let error = round.refused().await;
    assert!(error.is_refusal());
    let error = error.to_string();
    assert!(
        error.contains("targets[1] is UID 40, which is not registered"),
        "{error}"
    );
    assert!(
        error.contains(&format!("targets[2] is hotkey {stranger}")),
        "{error}"
    );
}

/// Each with the field that has to be named.
#[expect(clippy::too_many_lines, reason = "a table")]
fn bad_policies() -> Vec<(&'static str, Value)> {
    let one =
        |target: Value| json!({"mode": "targets", "targets": [{"uid": 0, "weight": 1}, target]});
    let many: Vec<Value> = (0..300)
        .map(|uid| json!({"uid": uid, "weight": 1}))
        .collect();
    vec![
        ("validator_weights", Value::Null),
        ("validator_weights", json!([])),
        ("validator_weights", json!("targets")),
        ("validator_weights", json!(1)),
        ("validator_weights.mode", json!({})),
        ("validator_weights.mode", json!({"mode": null})),
        ("validator_weights.mode", json!({"mode": 1})),
        ("validator_weights.mode", json!({"mode": ["targets"]})),
        ("validator_weights.mode", json!({"mode": "TARGETS"})),
        ("validator_weights.mode", json!({"mode": "burn"})),
        ("validator_weights.mode", json!({"mode": "local "})),
        ("validator_weights.mode", json!({"mode": "\u{0}\u{1b}[2J"})),
        (
            "validator_weights.weights",
            json!({"mode": "local", "weights": []}),
        ),
        ("validator_weights.targets", json!({"mode": "targets"})),
        (
            "validator_weights.targets",
            json!({"mode": "targets", "targets": null}),
        ),
        (
            "validator_weights.targets",
            json!({"mode": "targets", "targets": []}),
        ),
        (
            "validator_weights.targets",
            json!({"mode": "targets", "targets": {}}),
        ),
        (
            "validator_weights.targets",
            json!({"mode": "targets", "targets": "0"}),
        ),
        (
            "validator_weights.targets",
            json!({"mode": "targets", "targets": many}),
        ),
        (
            "validator_weights.targets",
            json!({"mode": "local", "targets": [{"uid": 0, "weight": 1}]}),
        ),
        (
            "validator_weights.targets",
            json!({"mode": "burn_uid0", "targets": [{"uid": 5, "weight": 1}]}),
        ),
        ("targets[1]", one(Value::Null)),
        ("targets[1]", one(json!(0))),
        ("targets[1]", one(json!([0, 1]))),
        ("targets[1] has neither", one(json!({"weight": 1}))),
        (
            "targets[1] has neither",
            one(json!({"uid": null, "hotkey": null, "weight": 1})),
        ),
        (
            "targets[1] has both",
            one(json!({"uid": 1, "hotkey": CONTRACT, "weight": 1})),
        ),
        ("targets[1].uid", one(json!({"uid": -1, "weight": 1}))),
        ("targets[1].uid", one(json!({"uid": 65536, "weight": 1}))),
        ("targets[1].uid", one(json!({"uid": 1.5, "weight": 1}))),
        ("targets[1].uid", one(json!({"uid": 1.0, "weight": 1}))),
        ("targets[1].uid", one(json!({"uid": "1", "weight": 1}))),
        ("targets[1].uid", one(json!({"uid": true, "weight": 1}))),
        ("targets[1].uid", one(json!({"uid": [1], "weight": 1}))),
        ("targets[1].hotkey", one(json!({"hotkey": "", "weight": 1}))),
        ("targets[1].hotkey", one(json!({"hotkey": 5, "weight": 1}))),
        (
            "targets[1].hotkey",
            one(json!({"hotkey": &CONTRACT[1..], "weight": 1})),
        ),
        (
            "targets[1].hotkey",
            one(json!({"hotkey": CONTRACT.to_lowercase(), "weight": 1})),
        ),
        (
            "targets[1].hotkey",
            one(json!({"hotkey": format!("{CONTRACT} "), "weight": 1})),
        ),
        // The same key as another network writes it.
        (
            "targets[1].hotkey",
            one(json!({"hotkey": "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5", "weight": 1})),
        ),
        ("targets[1].weight", one(json!({"uid": 1}))),
        ("targets[1].weight", one(json!({"uid": 1, "weight": null}))),
        ("targets[1].weight", one(json!({"uid": 1, "weight": 0}))),
        ("targets[1].weight", one(json!({"uid": 1, "weight": -0.0}))),
        ("targets[1].weight", one(json!({"uid": 1, "weight": -0.1}))),
        (
            "targets[1].weight",
            one(json!({"uid": 1, "weight": 5e-324})),
        ),
        ("targets[1].weight", one(json!({"uid": 1, "weight": "0.1"}))),
        ("targets[1].weight", one(json!({"uid": 1, "weight": true}))),
        ("targets[1].weight", one(json!({"uid": 1, "weight": [1]}))),
        (
            "targets[1].wieght",
            one(json!({"uid": 1, "weight": 1, "wieght": 2})),
        ),
        (
            "targets[1].\\n",
            one(json!({"uid": 1, "weight": 1, "\n": 2})),
        ),
    ]
}

#[tokio::test]
async fn every_bad_policy_is_refused_with_its_field_named_and_no_call_made() {
    let round = Round::new(subnet()).await;
    let policies = bad_policies();
    assert!(policies.len() >= 40);
    for (field, policy) in policies {
        round.policy(&snapshot(&policy));
        let error = round.run(Mode::Set).await.expect_err(field);
        assert!(error.is_refusal(), "{field}: {error}");
        let text = error.to_string();
        assert!(text.contains(field), "{field}: {text}");
        assert!(!text.chars().any(char::is_control), "{field}: {text:?}");
        assert!(
            round.node.with(|state| state.requests.is_empty()),
            "{field}"
        );
    }
}

#[tokio::test]
async fn every_problem_of_a_policy_is_named_at_once() {
    let round = Round::new(subnet()).await;
    round.policy(&snapshot(
        &json!({"mode": "all", "targets": [{"uid": -1, "weight": 0}, {"weight": "1"}]}),
    ));
    let text = round.refused().await.to_string();
    for field in [
        "mode",
        "targets[0].uid",
        "targets[0].weight",
        "targets[1] has neither",
        "targets[1].weight",
    ] {
        assert!(text.contains(field), "{field}: {text}");
    }
}

#[tokio::test]
async fn a_snapshot_that_two_readers_could_read_differently_or_that_is_old_is_refused() {
    let round = Round::new(subnet()).await;
    let now = OffsetDateTime::now_utc();
    let at = |time: OffsetDateTime| {
        let mut snapshot = intended();
        snapshot["generated_at"] = time.format(&Rfc3339).unwrap().into();
        snapshot.to_string()
    };
    let good = intended().to_string();
    let without = |field: &str| {
        let mut snapshot = intended();
        snapshot.as_object_mut().unwrap().remove(field);
        snapshot.to_string()
    };
    for (part, text) in [
        ("strict JSON", String::new()),
        ("strict JSON", "<html>".to_owned()),
        ("strict JSON", good[..good.len() - 1].to_owned()),
        ("strict JSON", format!("{good} {good}")),
        (
            "strict JSON",
            good.replace("\"weight\":0.9", "\"weight\":0.9,\"weight\":0.1"),
        ),
        ("strict JSON", good.replace("0.9", "NaN")),
        ("strict JSON", good.replace("0.9", "1e999")),
        ("strict JSON", good.replace("0.9", "0.9,}")),
        ("strict JSON", "[".repeat(100_000)),
        ("reward_policy is missing", "[]".to_owned()),
        ("reward_policy is missing", "{}".to_owned()),
        ("reward_policy is missing", without("reward_policy")),
        ("generated_at", without("generated_at")),
        (
            "generated_at",
            good.replace("generated_at\":\"", "generated_at\":\"x"),
        ),
        ("generated_at", at(now - time::Duration::hours(2))),
        ("generated_at", at(now + time::Duration::hours(1))),
    ] {
        std::fs::write(&round.file, &text).unwrap();
        let error = round.run(Mode::Set).await.expect_err(part);
        assert!(
            error.is_refusal() && error.to_string().contains(part),
            "{part}: {error}"
        );
        assert!(round.node.with(|state| state.requests.is_empty()));
    }
    std::fs::write(&round.file, vec![b' '; (128 << 20) + 1]).unwrap();
    let error = round.refused().await.to_string();
    assert!(error.contains("more than"), "{error}");
    std::fs::remove_file(&round.file).unwrap();
    assert!(!round.refused().await.is_refusal());
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let round = Round::new(subnet()).await;
    let metrics = Metrics::default();
    metrics.note(&round.run(Mode::Set).await);
    round.policy(&json!({}));
    metrics.note(&round.run(Mode::Set).await);
    let page = metrics.render();
    for line in [
        "weight_setter_rounds_total 2",
        "weight_setter_set_total 1",
        "weight_setter_refused_total 1",
        "weight_setter_failed_total 0",
        "weight_setter_last_set_block 8499991",
        "weight_setter_last_round_failed 1",
    ] {
        assert!(page.lines().any(|one| one == line), "{line}: {page}");
    }
}
