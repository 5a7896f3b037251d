//! The chain as a node serves it, good, slow, behind, of another chain and hostile.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod stand_in;

use std::time::Duration;

use axum::http::StatusCode;
use parity_scale_codec::Encode;
use protocol::hotkey::{Hotkey, Keypair};
use subtensor::{
    Chain, ChainError, ContractCall, Gas, Inclusion, Message, PinnedCall, Signed, WeightVector,
    decode_return,
};

use stand_in::{Account, OnSubmit, StandIn, State, always, chain, nobody};

const PATIENCE: Duration = Duration::from_mins(2);

fn me() -> Keypair {
    Keypair::from_seed(&[0x11; 32])
}

fn subnet() -> State {
    let account = |hotkey, stake, permit| Account {
        hotkey,
        stake,
        last_update: 8_499_000,
        permit,
    };
    let neurons = vec![
        account([1; 32], 5, false),
        account(*me().hotkey().as_bytes(), 1 << 40, true),
        account([3; 32], 0, false),
    ];
    State::new(94, neurons)
}

fn call() -> PinnedCall {
    PinnedCall::SetWeights {
        netuid: 94,
        vector: WeightVector::new([(0, 65535), (2, 7282)]).unwrap(),
        version_key: 1337,
    }
}

async fn sent(chain: &Chain) -> Result<Signed, ChainError> {
    let signed = chain.at_finalized().await?.sign(&call(), &me()).await?;
    chain.send(&signed).await?;
    Ok(signed)
}

async fn set(chain: &Chain) -> Result<Inclusion, ChainError> {
    let signed = sent(chain).await?;
    chain.wait_for(&signed, PATIENCE).await
}

#[tokio::test]
async fn rules_and_neurons_are_read_as_the_chain_has_them() {
    let node = StandIn::start(subnet()).await;
    let at = node.chain().await.at_finalized().await.unwrap();
    assert_eq!((at.block_number(), at.spec_version()), (8_499_990, 424));

    let rules = at.subnet_rules(94).await.unwrap();
    assert_eq!((rules.neurons, rules.fewest_targets()), (3, 1));
    assert_eq!((rules.rate_limit_blocks, rules.version_key), (100, 1337));
    assert_eq!((rules.stake_threshold, rules.commit_reveal), (1000, false));
    assert_eq!(
        (rules.commit_reveal_version, rules.reveal_period_epochs),
        (4, 1)
    );

    let metagraph = at.metagraph(94).await.unwrap();
    let mine = metagraph.by_hotkey(&me().hotkey()).unwrap();
    assert_eq!((mine.uid, mine.stake_rao), (1, (1 << 40) + 1));
    assert_eq!((mine.last_update, mine.validator_permit), (8_499_000, true));
    assert_eq!(
        metagraph.by_uid(0).unwrap().hotkey,
        Hotkey::from_bytes([1; 32])
    );
    assert!(metagraph.by_uid(3).is_none());
    node.no_surprises();
}

#[tokio::test]
async fn a_value_that_the_chain_does_not_have_is_its_metadatas_default() {
    let node = StandIn::start(subnet()).await;
    node.with(|state| {
        let key = stand_in::storage_key("SubtensorModule", "MinAllowedWeights", &[94, 0]);
        state.storage.remove(&key);
        state.absent.insert(key);
    });
    let at = node.chain().await.at_finalized().await.unwrap();
    let rules = at.subnet_rules(94).await.unwrap();
    assert_eq!(
        (rules.min_allowed_weights, rules.fewest_targets()),
        (1024, 3)
    );
    node.no_surprises();
}

#[tokio::test]
async fn a_subnet_that_does_not_exist_is_named() {
    let node = StandIn::start(subnet()).await;
    node.with(|state| state.rule("NetworksAdded", &false));
    let at = node.chain().await.at_finalized().await.unwrap();
    assert!(matches!(
        at.subnet_rules(94).await,
        Err(ChainError::NoSubnet(94))
    ));
    assert!(matches!(
        at.metagraph(94).await,
        Err(ChainError::NoSubnet(94))
    ));
}

#[tokio::test]
async fn weights_are_signed_as_the_chain_asks_and_found_on_a_finalized_block() {
    let node = StandIn::start(subnet()).await;
    let chain = node.chain().await;
    let inclusion = set(&chain).await.unwrap();
    assert_eq!((inclusion.block, inclusion.index), (8_499_991, 1));
    assert_eq!(inclusion.events, ["SubtensorModule.WeightsSet"]);
    let there = chain.at(inclusion.block).await.unwrap();
    let weights = there.weights_of(94, 1).await.unwrap();
    assert_eq!(weights, [(0, 65535), (2, 7282)]);
    node.no_surprises();
}

#[tokio::test]
async fn a_failure_on_the_block_is_told_by_the_chains_own_name() {
    let node = StandIn::start(subnet()).await;
    node.with(|state| state.on_submit = OnSubmit::Fail(29));
    let error = set(&node.chain().await).await.unwrap_err();
    let ChainError::Failed { block, reason, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*block, 8_499_991);
    assert!(
        reason.contains("SubtensorModule::SettingWeightsTooFast"),
        "{reason}"
    );
    node.no_surprises();
}

#[tokio::test]
async fn a_refusal_is_told_in_words() {
    let node = StandIn::start(subnet()).await;
    node.with(|state| state.on_submit = OnSubmit::Refuse(6));
    let error = set(&node.chain().await).await.unwrap_err();
    assert!(matches!(error, ChainError::Refused { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("the rate limit has not passed yet"),
        "{error}"
    );
    node.no_surprises();
}

#[tokio::test]
async fn an_extrinsic_whose_answer_was_lost_is_found_all_the_same() {
    let node = StandIn::start(subnet()).await;
    node.with(|state| state.on_submit = OnSubmit::LoseAnswer);
    assert_eq!(set(&node.chain().await).await.unwrap().block, 8_499_991);
    node.no_surprises();
}

#[tokio::test]
async fn an_extrinsic_that_no_block_took_has_expired_when_its_era_ends() {
    let node = StandIn::start(subnet()).await;
    let chain = node.chain().await;
    node.with(|state| state.on_submit = OnSubmit::Drop);
    let signed = sent(&chain).await.unwrap();
    node.with(|state| state.pace = 40);
    let error = chain.wait_for(&signed, PATIENCE).await.unwrap_err();
    let ChainError::Expired { last_block, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(last_block, 8_499_990 + 63);
    node.no_surprises();
}

#[tokio::test]
async fn patience_that_ends_first_leaves_it_open_what_happened() {
    let node = StandIn::start(subnet()).await;
    let chain = node.chain().await;
    node.with(|state| state.on_submit = OnSubmit::Drop);
    let signed = sent(&chain).await.unwrap();
    let error = chain
        .wait_for(&signed, Duration::from_millis(50))
        .await
        .unwrap_err();
    assert!(matches!(error, ChainError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_passed_over() {
    let node = StandIn::start(subnet()).await;
    let broken = always(StatusCode::SERVICE_UNAVAILABLE, "").await;
    let chain = chain(vec![nobody().await, broken, node.endpoint()]).await;
    assert_eq!(set(&chain).await.unwrap().block, 8_499_991);
    node.no_surprises();
}

#[tokio::test]
async fn a_node_of_another_chain_is_never_believed() {
    let other = StandIn::start(subnet()).await;
    other.with(|state| state.genesis = [9; 32]);
    let alone = chain(vec![other.endpoint()]).await;
    let error = alone.at_finalized().await.unwrap_err().to_string();
    assert!(error.contains("it is a node of another chain"), "{error}");
    assert_eq!(
        other.with(|state| state.requests.clone()),
        ["chain_getBlockHash"]
    );

    let node = StandIn::start(subnet()).await;
    let both = chain(vec![other.endpoint(), node.endpoint()]).await;
    assert_eq!(set(&both).await.unwrap().block, 8_499_991);
    assert!(other.with(|state| state.submitted.is_empty()));
}

#[tokio::test]
async fn a_node_that_is_behind_is_passed_over_and_all_of_them_are_refused() {
    let behind = StandIn::start(subnet()).await;
    behind.with(|state| (state.age_seconds, state.height) = (3600, 8_499_000));
    let error = behind.chain().await.at_finalized().await.unwrap_err();
    assert!(
        matches!(
            error,
            ChainError::Stale {
                block: 8_499_000,
                ..
            }
        ),
        "{error}"
    );

    let node = StandIn::start(subnet()).await;
    let both = chain(vec![behind.endpoint(), node.endpoint()]).await;
    assert_eq!(both.at_finalized().await.unwrap().block_number(), 8_499_990);
}

#[tokio::test]
async fn hostile_answers_are_errors_in_one_bounded_line() {
    let wide = format!(
        r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":1,"message":"{}"}}}}"#,
        "\\n\\u0007x".repeat(100_000)
    );
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{}1{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    for body in [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "<html>502</html>".to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"result":"0x"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"result":"zz"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":99,"result":null}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"result":1e999}"#.to_owned(),
        wide,
        deep,
    ] {
        let endpoint = always(StatusCode::OK, body.clone()).await;
        let error = chain(vec![endpoint])
            .await
            .at_finalized()
            .await
            .unwrap_err()
            .to_string();
        let shown: String = body.chars().take(60).collect();
        assert!(
            error.len() < 1000 && !error.contains('\n'),
            "{shown}: {error}"
        );
    }
}

#[tokio::test]
async fn values_of_the_wrong_shape_are_errors_that_name_what_was_read() {
    for (item, value) in [
        ("NetworksAdded", vec![2]),
        ("NetworksAdded", vec![]),
        ("SubnetworkN", vec![1]),
        ("SubnetworkN", vec![1, 2, 3]),
        ("WeightsSetRateLimit", vec![0xff; 7]),
    ] {
        let node = StandIn::start(subnet()).await;
        let key = stand_in::storage_key("SubtensorModule", item, &[94, 0]);
        node.with(|state| state.storage.insert(key, value));
        let at = node.chain().await.at_finalized().await.unwrap();
        let error = at.subnet_rules(94).await.unwrap_err().to_string();
        assert!(error.contains(item), "{error}");
    }
}

#[tokio::test]
async fn a_metagraph_that_contradicts_itself_is_refused() {
    let node = StandIn::start(subnet()).await;
    node.with(|state| state.neurons[2].hotkey = [1; 32]);
    let at = node.chain().await.at_finalized().await.unwrap();
    let error = at.metagraph(94).await.unwrap_err().to_string();
    assert!(error.contains("has two UIDs"), "{error}");
}

#[tokio::test]
async fn metadata_that_is_none_is_an_error() {
    for metadata in [
        vec![],
        vec![0; 64],
        b"meta\x10\xff\xff\xff\xff".to_vec(),
        b"meta\x0e".to_vec(),
    ] {
        let node = StandIn::start(subnet()).await;
        node.with(|state| state.metadata = metadata);
        node.chain().await.at_finalized().await.unwrap_err();
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_while_metadata_is_asked_for_spoils_nothing() {
    let node = StandIn::start(subnet()).await;
    let chain = node.chain().await;
    node.with(|state| state.lose_call = Some("Metadata_metadata_versions"));
    chain.at_finalized().await.unwrap_err();
    // Its metadata knows the runtime's functions, as only that of newer versions does.
    let at = chain.at_finalized().await.unwrap();
    assert!(at.metagraph(94).await.unwrap().by_uid(2).is_some());
    node.no_surprises();
}

#[tokio::test]
async fn sealed_weights_are_made_for_the_reveal_and_stored_as_they_were_sent() {
    let node = StandIn::start(subnet()).await;
    node.with(|state| state.rule("CommitRevealWeightsEnabled", &true));
    let chain = node.chain().await;
    let at = chain.at_finalized().await.unwrap();
    let rules = at.subnet_rules(94).await.unwrap();
    let vector = WeightVector::new([(0, 65535)]).unwrap();
    let call = at
        .weights_call(&rules, &me().hotkey(), &vector, 1337)
        .await
        .unwrap();
    let PinnedCall::CommitTimelockedWeights {
        commit,
        reveal_round,
        version: 4,
        ..
    } = &call
    else {
        panic!("{call:?}");
    };
    // The epoch of block 8,500,260 is 270 blocks away; 3 more, at 12 s, in rounds of 3 s.
    let made_at = at.timestamp().await.unwrap().as_secs();
    assert_eq!(*reveal_round, subtensor::round_at(made_at + 273 * 12));

    let signed = at.sign(&call, &me()).await.unwrap();
    chain.send(&signed).await.unwrap();
    let inclusion = chain.wait_for(&signed, PATIENCE).await.unwrap();
    assert_eq!(
        inclusion.events,
        ["SubtensorModule.TimelockedWeightsCommitted"]
    );
    let there = chain.at(inclusion.block).await.unwrap();
    let commits = there.commits_of(94, 23_000, &me().hotkey()).await.unwrap();
    assert_eq!(commits.len(), 1);
    assert_eq!(
        (&commits[0].commit, commits[0].reveal_round),
        (commit, *reveal_round)
    );
    node.no_surprises();
}

fn contract_call(message: &Message) -> ContractCall {
    ContractCall {
        contract: [8; 32],
        value_rao: 5,
        gas: Gas {
            ref_time: 50_000_000_000,
            proof_size: 2_000_000,
        },
        storage_deposit_limit_rao: Some(1_000_000_000),
        input: message.input().to_vec(),
    }
}

/// A `ContractResult`: gas consumed and required, a deposit, no message, `result`, no
/// events.
fn contract_result(result: &[u8]) -> Vec<u8> {
    use parity_scale_codec::Compact;
    let gas = (
        Compact(11u64),
        Compact(12u64),
        Compact(13u64),
        Compact(14u64),
    );
    [
        &gas.encode()[..],
        &[0],
        &7u64.to_le_bytes(),
        &[0],
        result,
        &[0],
    ]
    .concat()
}

#[tokio::test]
async fn a_dry_run_asks_the_runtime_byte_by_byte_and_reads_its_answer() {
    let node = StandIn::start(subnet()).await;
    let returned = (0u8, 99u64).encode();
    let result = [&[0][..], &0u32.to_le_bytes(), &returned.encode()].concat();
    node.with(|state| state.contract_answer = contract_result(&result));
    let at = node.chain().await.at_finalized().await.unwrap();
    let message = Message::new("get_outstanding_rao");
    let run = at
        .dry_run(&me().hotkey(), &contract_call(&message), &message)
        .await
        .unwrap();
    assert_eq!(
        (run.gas_consumed.ref_time, run.gas_required.proof_size),
        (11, 14)
    );
    assert!(!run.reverted);
    assert_eq!(decode_return::<u64>(&message, &run.data).unwrap(), 99);

    let gas = (
        parity_scale_codec::Compact(50_000_000_000u64),
        parity_scale_codec::Compact(2_000_000u64),
    );
    let expected = (
        (*me().hotkey().as_bytes(), [8u8; 32], 5u64, Some(gas)),
        (Some(1_000_000_000u64), message.input()),
    );
    node.with(|state| assert_eq!(state.contract_arguments, expected.encode()));
    node.no_surprises();
}

#[tokio::test]
async fn a_contract_that_traps_or_reverts_is_told_apart() {
    let node = StandIn::start(subnet()).await;
    let at = node.chain().await.at_finalized().await.unwrap();
    let message = Message::new("claim_single");
    let call = contract_call(&message);

    let reverted = [&[0][..], &1u32.to_le_bytes(), &vec![0u8, 1, 3].encode()].concat();
    node.with(|state| state.contract_answer = contract_result(&reverted));
    assert!(
        at.dry_run(&me().hotkey(), &call, &message)
            .await
            .unwrap()
            .reverted
    );

    let trapped = contract_result(&[1, 3, 29, 11, 0, 0, 0]);
    for answer in [trapped, vec![], vec![0xff; 40]] {
        node.with(|state| state.contract_answer = answer);
        let error = at
            .dry_run(&me().hotkey(), &call, &message)
            .await
            .unwrap_err();
        assert!(
            matches!(error, ChainError::Contract { .. } | ChainError::Read { .. }),
            "{error}"
        );
    }
}
