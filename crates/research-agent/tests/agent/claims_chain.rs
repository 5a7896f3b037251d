//! The live chain's double: the stand-in node of the chain crate's tests, and in
//! front of it the claim contract as a table, the fees and the balances. Proofs are
//! checked by the rule that the contract is tested against elsewhere.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use parity_scale_codec::{Compact, Decode, Encode};
use pool::epoch::EpochFile;
use protocol::claims::{ClaimPackage, MerkleHash};
use protocol::hotkey::Hotkey;
use protocol::ss58::Address;
use serde_json::{Value, json};
use sp_crypto_hashing::blake2_256;

use super::pool_service::CONTRACT;
use super::stand_in::{StandIn, State, storage_key};

/// What every call costs here.
pub(crate) const FEE: u64 = 123_456;

/// A published epoch.
#[derive(Clone, Copy)]
pub(crate) struct Published {
    pub(crate) root: [u8; 32],
    pub(crate) leaves: u32,
    pub(crate) disputed: bool,
    pub(crate) opens_at: u32,
}

/// What the contract and the chain say.
pub(crate) struct Table {
    pub(crate) epochs: BTreeMap<u64, Published>,
    pub(crate) claimed: BTreeMap<[u8; 32], u64>,
    pub(crate) paused: bool,
    /// What `claim_single` answers, whatever it is asked: an error's bytes.
    pub(crate) refusal: Option<Vec<u8>>,
    pub(crate) balance: u64,
    /// Extrinsics that were sent.
    pub(crate) sent: Vec<Vec<u8>>,
    /// Extrinsics whose fee was asked for.
    pub(crate) priced: Vec<Vec<u8>>,
}

pub(crate) struct ClaimsChain {
    pub(crate) url: String,
    table: Arc<Mutex<Table>>,
}

type Arguments = (
    [u8; 32],
    [u8; 32],
    u64,
    Option<(Compact<u64>, Compact<u64>)>,
    Option<u64>,
    Vec<u8>,
);
type ClaimArguments = (u64, u32, [u8; 32], [u8; 32], u64, Vec<[u8; 32]>, bool);

impl ClaimsChain {
    /// A chain whose newest finalized block is this one.
    pub(crate) const BLOCK: u32 = 8_499_990;

    pub(crate) async fn start() -> Self {
        let node = Arc::new(StandIn::start(State::new(94, Vec::new())).await);
        let table = Arc::new(Mutex::new(Table {
            epochs: BTreeMap::new(),
            claimed: BTreeMap::new(),
            paused: false,
            refusal: None,
            balance: 10 * FEE,
            sent: Vec::new(),
            priced: Vec::new(),
        }));
        let shared = Arc::clone(&table);
        // One for all: making one reads the machine's certificates.
        let http = reqwest::Client::new();
        let answer = move |body: Bytes| {
            let (node, table) = (Arc::clone(&node), Arc::clone(&shared));
            let http = http.clone();
            async move { answer(&http, &node, &table, body).await }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let router = Router::new().route("/", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url: format!("ws://{address}"),
            table,
        }
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        change(&mut self.table.lock().unwrap())
    }

    /// Publishes an epoch whose claims open at this block.
    pub(crate) fn publish(&self, file: &EpochFile, opens_at: u32) {
        let published = Published {
            root: *file.root.as_bytes(),
            leaves: file.num_of_leaves,
            disputed: false,
            opens_at,
        };
        self.with(|table| table.epochs.insert(file.epoch, published));
    }
}

async fn answer(
    http: &reqwest::Client,
    node: &StandIn,
    table: &Mutex<Table>,
    body: Bytes,
) -> String {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let text = |place: usize| request["params"][place].as_str().unwrap_or_default();
    let bytes =
        |place: usize| hex::decode(text(place).trim_start_matches("0x")).unwrap_or_default();
    let account = storage_key("System", "Account", &[]);
    let clock = storage_key("Timestamp", "Now", &[]);
    let own = match (request["method"].as_str().unwrap(), text(0)) {
        ("state_call", "ContractsApi_call") => Some(table.lock().unwrap().contract(&bytes(1))),
        ("state_call", "TransactionPaymentApi_query_info") => {
            table.lock().unwrap().priced.push(bytes(1));
            Some((Compact(1u64), Compact(2u64), 0u8, FEE).encode())
        }
        ("state_getStorage", _) if bytes(0).starts_with(&account) => {
            let counts = (7u32, 0u32, 1u32, 0u32);
            let free = table.lock().unwrap().balance;
            Some((counts, (free, 0u64, 0u64, 0u128)).encode())
        }
        // A chain that goes on: these tests are long, and an old block is not believed.
        ("state_getStorage", _) if bytes(0) == clock => Some(milliseconds().encode()),
        ("author_submitExtrinsic", _) => Some(submit(node, table, &bytes(0))),
        _ => None,
    };
    if let Some(found) = own {
        let result = format!("0x{}", hex::encode(found));
        return json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string();
    }
    let sent = http
        .post(format!("http://{}", node.endpoint()))
        .body(body)
        .send();
    sent.await.unwrap().text().await.unwrap()
}

fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// Value, gas, and input of a call, after the contract's address.
type Rest = (
    Compact<u64>,
    Compact<u64>,
    Compact<u64>,
    Option<Compact<u64>>,
    Vec<u8>,
);

/// Puts an extrinsic on the next block, where it succeeds, and pays.
fn submit(node: &StandIn, table: &Mutex<Table>, bytes: &[u8]) -> Vec<u8> {
    let mut table = table.lock().unwrap();
    let head = [&[29, 6, 0][..], CONTRACT.as_bytes()].concat();
    let place = bytes.windows(head.len()).position(|part| part == head);
    let mut call = &bytes[place.expect("a call of the contract") + head.len()..];
    let (_, _, _, _, input) = Rest::decode(&mut call).unwrap();
    assert!(call.is_empty());
    let refused = table.claim_single(&input[4..], true);
    assert_eq!(refused, None, "it was rehearsed");
    table.sent.push(bytes.to_vec());
    node.with(|state| {
        state.height += 1;
        let success = |index: u32| [&[0][..], &index.to_le_bytes(), &[0; 7]].concat();
        let events = [&[8][..], &success(0), &success(1)].concat();
        state.events.insert(state.height, events);
        let timestamp = vec![5 << 2, 4, 2, 0, 1 << 2, 0];
        state
            .bodies
            .insert(state.height, vec![timestamp, bytes.to_vec()]);
    });
    blake2_256(bytes).to_vec()
}

impl Table {
    /// Answers a call of the contract as the runtime does: a `ContractResult`.
    fn contract(&mut self, arguments: &[u8]) -> Vec<u8> {
        let (_, contract, value, gas, _, input) = Arguments::decode(&mut &*arguments).unwrap();
        assert_eq!((contract, value), (*CONTRACT.as_bytes(), 0));
        assert!(gas.is_some());
        let (selector, rest) = input.split_at(4);
        let is = |name: &str| selector == &blake2_256(name.as_bytes())[..4];
        // What the contract returns, in ink's own wrapper, and whether it reverts.
        let (returned, reverted) = if is("get_epoch_info") {
            let epoch = u64::decode(&mut &*rest).unwrap();
            match self.epochs.get(&epoch) {
                None => (vec![0, 1, 7], true),
                Some(one) => {
                    let tail = (9u64, 0u64, one.disputed, one.opens_at, 0u64);
                    (
                        [&[0, 0][..], &(one.root, one.leaves, tail).encode()].concat(),
                        false,
                    )
                }
            }
        } else if is("get_claimed_cumulative_rao") {
            let hotkey = <[u8; 32]>::decode(&mut &*rest).unwrap();
            let claimed = self.claimed.get(&hotkey).copied().unwrap_or(0);
            ((0u8, claimed).encode(), false)
        } else if is("is_paused") {
            ((0u8, self.paused).encode(), false)
        } else if is("claim_single") {
            match self.claim_single(rest, false) {
                None => (vec![0, 0], false),
                Some(error) => ([&[0, 1][..], &error].concat(), true),
            }
        } else {
            panic!("a message that nobody has to ask: {selector:?}");
        };
        let gas = (
            Compact(1000u64),
            Compact(2000u64),
            Compact(3000u64),
            Compact(4000u64),
        );
        let result = (0u8, u32::from(reverted), returned).encode();
        [
            &gas.encode()[..],
            &[0],
            &7u64.to_le_bytes(),
            &[0],
            &result,
            &[0],
        ]
        .concat()
    }

    /// The error of a claim, or none; pays if told to.
    fn claim_single(&mut self, mut data: &[u8], pays: bool) -> Option<Vec<u8>> {
        if let Some(refusal) = &self.refusal {
            return Some(refusal.clone());
        }
        let (epoch, index, hotkey, recipient, amount, proof, transfer) =
            ClaimArguments::decode(&mut data).unwrap();
        assert!(transfer && data.is_empty());
        let Some(one) = self.epochs.get(&epoch) else {
            return Some(vec![7]);
        };
        let package = ClaimPackage {
            epoch,
            index,
            hotkey: Address::from_bytes(hotkey),
            recipient_coldkey: Address::from_bytes(recipient),
            amount_units: amount,
            proof: proof.into_iter().map(MerkleHash::from_bytes).collect(),
            root: MerkleHash::from_bytes(one.root),
        };
        if package.verify(CONTRACT, one.leaves).is_err() {
            return Some(vec![22]);
        }
        let claimed = self.claimed.entry(hotkey).or_default();
        if amount <= *claimed {
            return Some(vec![24]);
        }
        if pays {
            *claimed = amount;
        }
        None
    }

    /// Whether an extrinsic names this account as its signer: in its first bytes, and
    /// not among the arguments of its call.
    pub(crate) fn is_signed_by(extrinsic: &[u8], hotkey: Hotkey) -> bool {
        let mut parts = extrinsic.windows(32).take(8);
        parts.any(|part| part == hotkey.as_bytes())
    }
}
