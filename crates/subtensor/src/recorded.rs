//! For tests: the chain as its recorded metadata describes it, without a node, and
//! what the field's own codec made of the same input.

use std::io::Read as _;
use std::sync::Arc;

use protocol::hotkey::{Hotkey, Keypair};
use serde_json::Value as Json;
use subxt::config::substrate::{H256, SpecVersionForRange, SubstrateConfig};
use subxt::dynamic::Value;
use subxt::ext::codec::{Decode as _, Encode as _};
use subxt::ext::frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed};
use subxt::{Metadata, OfflineClient, OfflineClientAtBlock};

use crate::submit::{Terms, sign};
use crate::{ChainConfig, ChainError, ContractCall, FINNEY_GENESIS, Gas, PinnedCall, WeightVector};

const METADATA: &[u8] = include_bytes!("../tests/data/metadata-424.scale.gz");
const EXTRINSICS: &str = include_str!("../tests/data/set_weights_vectors.json");
const KEYS: &str = include_str!("../tests/data/storage_keys.json");

fn metadata() -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(METADATA)
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

fn chain(metadata: &[u8]) -> OfflineClientAtBlock<ChainConfig> {
    let metadata = Metadata::decode(&mut &*metadata).unwrap();
    let config = SubstrateConfig::builder()
        .set_genesis_hash(H256(FINNEY_GENESIS))
        .set_metadata_for_spec_versions([(424, Arc::new(metadata))])
        .set_spec_version_for_block_ranges([SpecVersionForRange {
            block_range: 0..u64::MAX,
            spec_version: 424,
            transaction_version: 1,
        }])
        .build();
    OfflineClient::new_with_config(config)
        .at_block(1u64)
        .unwrap()
}

fn set_weights() -> PinnedCall {
    PinnedCall::SetWeights {
        netuid: 94,
        vector: WeightVector::new([(0, 65535), (37, 7282)]).unwrap(),
        version_key: 1337,
    }
}

fn hex_of(json: &Json, name: &str) -> Vec<u8> {
    hex::decode(json[name].as_str().unwrap().trim_start_matches("0x")).unwrap()
}

fn keypair(vectors: &Json) -> Keypair {
    Keypair::from_seed(&hex_of(vectors, "signer_seed").try_into().unwrap())
}

#[test]
fn set_weights_is_the_call_that_the_fields_codec_makes() {
    let vectors: Json = serde_json::from_str(EXTRINSICS).unwrap();
    assert_eq!(set_weights().encode(), hex_of(&vectors, "call_data"));
    let transactions = chain(&metadata()).transactions();
    let payload = set_weights().payload(&transactions).unwrap();
    assert_eq!(
        transactions.call_data(&payload).unwrap(),
        hex_of(&vectors, "call_data")
    );
}

#[test]
fn a_signed_extrinsic_is_the_fields_byte_by_byte_but_for_the_random_signature() {
    let vectors: Json = serde_json::from_str(EXTRINSICS).unwrap();
    let keypair = keypair(&vectors);
    let terms = Terms {
        nonce: vectors["nonce"].as_u64().unwrap(),
        era_blocks: vectors["mortal"]["period"].as_u64().unwrap(),
        born_at: vectors["mortal"]["current"].as_u64().unwrap(),
        birth_hash: hex_of(&vectors["mortal"], "birth_hash").try_into().unwrap(),
    };
    let transactions = chain(&metadata()).transactions();
    let ours = sign(&transactions, &set_weights(), terms, &keypair).unwrap();
    let theirs = hex_of(&vectors, "mortal_signed");

    // Length (2), version, address (33), kind of signature, signature (64), the rest.
    let signature = 2 + 1 + 33 + 1..2 + 1 + 33 + 1 + 64;
    assert_eq!(ours.bytes[..signature.start], theirs[..signature.start]);
    assert_eq!(ours.bytes[signature.end..], theirs[signature.end..]);

    // What was signed is the field's payload: ours verifies over theirs, and theirs does.
    let payload = hex_of(&vectors, "mortal_signer_payload");
    for bytes in [&ours.bytes, &theirs] {
        let signature = hex::encode(&bytes[signature.clone()]).parse().unwrap();
        assert!(keypair.hotkey().verifies(&payload, &signature));
    }
    assert_eq!(ours.hash, sp_crypto_hashing::blake2_256(&ours.bytes));
    assert_eq!(
        sp_crypto_hashing::blake2_256(&theirs).to_vec(),
        hex_of(&vectors, "mortal_hash")
    );
    assert_eq!(ours.last_block, terms.born_at + 127);
}

#[test]
fn storage_keys_and_defaults_are_those_of_the_fields_codec() {
    let recorded: Json = serde_json::from_str(KEYS).unwrap();
    let at = chain(&metadata());
    let keys = recorded["keys"].as_object().unwrap();
    assert!(keys.len() > 20);
    for (name, expected) in keys {
        let (pallet, rest) = name.split_once('.').unwrap();
        let (entry, parts) = rest.trim_end_matches(')').split_once('(').unwrap();
        let parts: Vec<Value> = parts
            .split(',')
            .filter(|part| !part.is_empty())
            .map(|part| match part.parse::<u128>() {
                Ok(number) => Value::u128(number),
                Err(_) => Value::from_bytes(part.parse::<Hotkey>().unwrap().as_bytes()),
            })
            .collect();
        let entry = at.storage().entry((pallet, entry)).unwrap();
        assert_eq!(
            entry.fetch_key(parts).unwrap(),
            hex_of(expected, "key"),
            "{name}"
        );
        // The codec shows an absent optional value as one zero byte.
        let default = entry
            .default_value()
            .map_or(vec![0], subxt::storage::StorageValue::into_bytes);
        assert_eq!(default, hex_of(expected, "default"), "{name}");
    }
}

fn every_call() -> [PinnedCall; 4] {
    let contract = |storage_deposit_limit_rao| {
        PinnedCall::Contract(ContractCall {
            contract: [9; 32],
            value_rao: 1 << 40,
            gas: Gas {
                ref_time: 50_000_000_000,
                proof_size: 2_000_000,
            },
            storage_deposit_limit_rao,
            input: vec![0x2c, 0x13, 0x90, 0x04],
        })
    };
    [
        set_weights(),
        PinnedCall::CommitTimelockedWeights {
            netuid: 94,
            commit: vec![1; 300],
            reveal_round: 12_345_678,
            version: 4,
        },
        contract(None),
        contract(Some(1_000_000_000)),
    ]
}

#[test]
fn every_call_that_is_known_here_is_encoded_so_by_the_chains_metadata() {
    let transactions = chain(&metadata()).transactions();
    for call in every_call() {
        if let Err(error) = call.payload(&transactions) {
            panic!("{error}");
        }
    }
}

/// Metadata in which calls have been renumbered, as a hostile node could do it.
fn renumbered() -> Vec<u8> {
    let mut prefixed = RuntimeMetadataPrefixed::decode(&mut &*metadata()).unwrap();
    let RuntimeMetadata::V16(inner) = &mut prefixed.1 else {
        panic!("recorded as version 16");
    };
    for kind in &mut inner.types.types {
        if let scale_info::TypeDef::Variant(variants) = &mut kind.ty.type_def {
            let calls = ["set_weights", "commit_timelocked_weights", "call"];
            for variant in &mut variants.variants {
                if calls.contains(&variant.name.as_str()) {
                    variant.index ^= 0x80;
                }
            }
        }
    }
    prefixed.encode()
}

#[test]
fn metadata_that_gives_a_known_name_to_another_call_gets_no_signature() {
    let transactions = chain(&renumbered()).transactions();
    let terms = Terms {
        nonce: 0,
        era_blocks: 64,
        born_at: 1,
        birth_hash: [0; 32],
    };
    for call in every_call() {
        let error = sign(&transactions, &call, terms, &Keypair::from_seed(&[1; 32])).unwrap_err();
        assert!(matches!(error, ChainError::CallChanged { .. }), "{error}");
    }
}
