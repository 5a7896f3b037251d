//! The chain that the stand-in pretends.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::time::{SystemTime, UNIX_EPOCH};

use parity_scale_codec::{Compact, Encode};
use sp_crypto_hashing::{twox_64, twox_128};

use super::contract::Contract;
use super::extrinsic::Parts;
use super::weather::{Fate, Weather};

const METADATA: &[u8] = include_bytes!("../data/metadata-424.scale.gz");

/// A registered neuron; its place in the list is its UID.
#[derive(Clone)]
pub struct Account {
    pub hotkey: [u8; 32],
    pub stake: u64,
    pub last_update: u64,
    pub permit: bool,
}

/// What happens to an extrinsic that is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OnSubmit {
    /// It is on the next block, and succeeds.
    Include,
    /// It is on the next block, and fails with this error of the subnets' pallet.
    Fail(u8),
    /// It is taken, and never included.
    Drop,
    /// It is refused with this custom error.
    Refuse(u8),
    /// It is included, but the answer is lost.
    LoseAnswer,
    /// It is included, and the chain has other weights than were sent.
    Alter,
}

pub struct State {
    pub metadata: Vec<u8>,
    pub netuid: u16,
    pub neurons: Vec<Account>,
    /// Values by whole key.
    pub storage: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Keys that have no value, and may be asked for.
    pub absent: BTreeSet<Vec<u8>>,
    /// The number of the newest finalized block.
    pub height: u64,
    /// How many empty blocks are made at every look at the newest one.
    pub pace: u64,
    pub bodies: BTreeMap<u64, Vec<Vec<u8>>>,
    pub events: BTreeMap<u64, Vec<u8>>,
    pub(super) pending: Vec<Parts>,
    /// The next nonce of each account; 7 for one that is not here.
    pub nonces: BTreeMap<[u8; 32], u32>,
    /// How many blocks old the newest block that a client knew may be when what it
    /// signed comes.
    pub lag: u64,
    pub on_submit: OnSubmit,
    pub submitted: Vec<Vec<u8>>,
    /// Unix time in seconds, which stands still so that two looks agree.
    pub started_at: u64,
    /// Seconds that the newest block is old.
    pub age_seconds: u64,
    /// The answer of `ContractsApi_call`, and the arguments it was asked with.
    pub contract_answer: Vec<u8>,
    pub contract_arguments: Vec<u8>,
    /// A contract that is executed instead.
    pub contract: Option<Box<dyn Contract>>,
    /// What gets lost on the way; nothing unless it is set.
    pub weather: Option<Weather>,
    /// A runtime function whose next call gets no answer.
    pub lose_call: Option<&'static str>,
    pub surprises: Vec<String>,
    /// Methods that were asked for.
    pub requests: Vec<String>,
    /// The first block that this node claims.
    pub genesis: [u8; 32],
}

impl State {
    /// A subnet with these neurons and the rules of a lenient owner.
    pub fn new(netuid: u16, neurons: Vec<Account>) -> Self {
        let mut metadata = Vec::new();
        flate2::read::GzDecoder::new(METADATA)
            .read_to_end(&mut metadata)
            .unwrap();
        let count = u16::try_from(neurons.len()).unwrap();
        let mut state = Self {
            metadata,
            netuid,
            neurons,
            storage: BTreeMap::new(),
            absent: BTreeSet::new(),
            height: 8_499_990,
            pace: 0,
            bodies: BTreeMap::new(),
            events: BTreeMap::new(),
            pending: Vec::new(),
            nonces: BTreeMap::new(),
            lag: 0,
            on_submit: OnSubmit::Include,
            submitted: Vec::new(),
            started_at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs(),
            age_seconds: 24,
            contract_answer: Vec::new(),
            contract_arguments: Vec::new(),
            contract: None,
            weather: None,
            lose_call: None,
            surprises: Vec::new(),
            requests: Vec::new(),
            genesis: subtensor::FINNEY_GENESIS,
        };
        let key = netuid.to_le_bytes();
        state.set("NetworksAdded", &key, &true);
        state.set("SubnetworkN", &key, &count);
        state.set("MinAllowedWeights", &key, &1u16);
        state.set("WeightsSetRateLimit", &key, &100u64);
        state.set("WeightsVersionKey", &key, &1337u64);
        state.set("StakeThreshold", &[], &1000u64);
        state.set("CommitRevealWeightsEnabled", &key, &false);
        state.set("CommitRevealWeightsVersion", &[], &4u16);
        state.set("RevealPeriodEpochs", &twox64(&key), &1u64);
        state.set("Tempo", &key, &360u16);
        state.set("LastEpochBlock", &key, &8_499_900u64);
        state.set("PendingEpochAt", &key, &0u64);
        state.set("SubnetEpochIndex", &key, &23_000u64);
        state.set("BlocksSinceLastStep", &key, &90u64);
        for uid in 0..count {
            state.absent.insert(weights_key(netuid, uid));
        }
        state
    }

    /// Sets a value of the subnets' pallet.
    pub fn set(&mut self, item: &str, key: &[u8], value: &impl Encode) {
        self.storage
            .insert(storage_key("SubtensorModule", item, key), value.encode());
    }

    /// Sets a rule of the subnet.
    pub fn rule(&mut self, item: &str, value: &impl Encode) {
        self.set(item, &self.netuid.to_le_bytes(), value);
    }

    /// The weights that a neuron has.
    pub fn weights(&self, uid: u16) -> Option<&Vec<u8>> {
        self.storage.get(&weights_key(self.netuid, uid))
    }

    /// What `get_neurons_lite` answers.
    pub(super) fn neurons_lite(&self) -> Vec<u8> {
        let mut bytes = Compact(u32::try_from(self.neurons.len()).unwrap()).encode();
        for (uid, neuron) in (0u16..).zip(&self.neurons) {
            let coldkey = [0xcc_u8; 32];
            (
                neuron.hotkey,
                coldkey,
                Compact(uid),
                Compact(self.netuid),
                true,
            )
                .encode_to(&mut bytes);
            // Axon and prometheus: where a neuron is reached.
            (1u64, 2u32, 3u128, 4u16, [4u8, 5, 6, 7]).encode_to(&mut bytes);
            (1u64, 2u32, 3u128, 4u16, 4u8).encode_to(&mut bytes);
            let stake = vec![
                (coldkey, Compact(neuron.stake)),
                ([0xcd_u8; 32], Compact(1u64)),
            ];
            stake.encode_to(&mut bytes);
            let number = Compact(9u16);
            (number, Compact(1_000_000u64)).encode_to(&mut bytes);
            (number, number, number, number, number).encode_to(&mut bytes);
            (Compact(neuron.last_update), neuron.permit, number).encode_to(&mut bytes);
        }
        bytes
    }

    pub(super) fn uid_of(&self, hotkey: &[u8]) -> Option<u16> {
        let place = self.neurons.iter().position(|one| one.hotkey == hotkey)?;
        u16::try_from(place).ok()
    }

    /// The next nonce of an account.
    pub(super) fn nonce(&self, account: &[u8; 32]) -> u32 {
        self.nonces.get(account).copied().unwrap_or(7)
    }

    /// Makes a block of what is pending, and the empty ones of the pace.
    pub(super) fn advance(&mut self) {
        self.height += self.pace;
        if self.pending.is_empty() {
            return;
        }
        self.height += 1;
        let mut body = vec![TIMESTAMP_SET.to_vec()];
        let mut events = vec![record(0, &SUCCESS, &[])];
        for parts in std::mem::take(&mut self.pending) {
            match self.weather.as_mut().map_or(Fate::Included, Weather::fate) {
                Fate::Included => {}
                Fate::Waiting => {
                    self.pending.push(parts);
                    continue;
                }
                Fate::Forgotten => continue,
            }
            if self.height > parts.last_block || parts.nonce != self.nonce(&parts.signer) {
                continue;
            }
            let index = u32::try_from(body.len()).unwrap();
            self.nonces.insert(parts.signer, parts.nonce + 1);
            let outcome = match self.on_submit {
                OnSubmit::Fail(error) => Err([3, 7, error, 0, 0, 0]),
                _ => self.apply(&parts),
            };
            match outcome {
                Ok(caused) => {
                    for (event, topics) in caused {
                        events.push(record(index, &event, &topics));
                    }
                    events.push(record(index, &SUCCESS, &[]));
                }
                Err(error) => {
                    let failed = [&[0, 1][..], &error, &[0, 0, 0, 0]].concat();
                    events.push(record(index, &failed, &[]));
                }
            }
            body.push(parts.bytes);
        }
        let count = Compact(u32::try_from(events.len()).unwrap()).encode();
        self.events
            .insert(self.height, [count, events.concat()].concat());
        self.bodies.insert(self.height, body);
    }
}

/// `System.ExtrinsicSuccess`, with an empty weight.
const SUCCESS: [u8; 6] = [0, 0, 0, 0, 0, 0];
/// An inherent such as every block begins with.
const TIMESTAMP_SET: [u8; 6] = [5 << 2, 4, 2, 0, 1 << 2, 0];

/// An event of extrinsic number `index`.
fn record(index: u32, event: &[u8], topics: &[[u8; 32]]) -> Vec<u8> {
    [
        &[0][..],
        &index.to_le_bytes(),
        event,
        &topics.to_vec().encode(),
    ]
    .concat()
}

/// The key of a value, computed by hand: the metadata's own is what is tested.
pub fn storage_key(pallet: &str, item: &str, key: &[u8]) -> Vec<u8> {
    [
        &twox_128(pallet.as_bytes())[..],
        &twox_128(item.as_bytes()),
        key,
    ]
    .concat()
}

/// A key part that is hashed and kept.
pub fn twox64(part: &[u8]) -> Vec<u8> {
    [&twox_64(part)[..], part].concat()
}

pub(super) fn weights_key(netuid: u16, uid: u16) -> Vec<u8> {
    let key = [netuid.to_le_bytes(), uid.to_le_bytes()].concat();
    storage_key("SubtensorModule", "Weights", &key)
}
