//! A stand-in for the chain and its contract, for tests only: blocks that are
//! finalized late, transactions that get lost or run out, answers that never
//! arrive. It has no nonces, so that nothing but our own care keeps a call from
//! being executed twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::State as Shared;
use pool::chain::{Call, Chain, ChainError, Published, Seen, SignedCall};
use serde::{Deserialize, Serialize};

/// Blocks between inclusion and finality.
const FINALITY: u64 = 3;
/// Blocks for which a transaction can be included.
const ERA: u64 = 12;

#[derive(Debug, Default)]
pub(crate) struct State {
    block: u64,
    seed: u64,
    signed: u64,
    waiting: Vec<SignedCall>,
    included: Vec<String>,
    epochs: BTreeMap<u64, (u64, Published)>,
    disputes: BTreeMap<u64, u64>,
    /// Every call that was executed, also those that the contract refused.
    pub(crate) executed: Vec<Call>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Request {
    Latest,
    Epoch(u64),
    Sign(Call),
    Submit(SignedCall),
}

#[derive(Debug, Serialize, Deserialize)]
enum Reply {
    Latest(Option<u64>),
    Seen(Seen),
    Signed(SignedCall),
    Submitted,
    Lost,
}

impl State {
    /// A number that looks random, and is the same in each run.
    fn dice(&mut self, sides: u64) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.seed >> 33) % sides
    }

    fn finalized(&self) -> u64 {
        self.block.saturating_sub(FINALITY)
    }

    /// The next block: each waiting transaction is in it, or not, or forgotten.
    fn next_block(&mut self) {
        self.block += 1;
        for transaction in std::mem::take(&mut self.waiting) {
            if self.block > transaction.valid_until_block || self.dice(10) == 0 {
                continue;
            }
            if self.dice(3) == 0 {
                self.execute(&transaction);
            } else {
                self.waiting.push(transaction);
            }
        }
    }

    fn execute(&mut self, transaction: &SignedCall) {
        let (_, json) = transaction.hex.split_once('-').unwrap();
        let call: Call = serde_json::from_str(json).unwrap();
        self.included.push(transaction.hex.clone());
        self.executed.push(call.clone());
        match call {
            Call::PublishEpoch {
                epoch,
                root,
                num_of_leaves,
                total_rao,
                uri,
            } => {
                let published = Published {
                    root,
                    num_of_leaves,
                    total_rao,
                    uri,
                    is_disputed: false,
                    claims_open_at: self.block + 100,
                };
                self.epochs.entry(epoch).or_insert((self.block, published));
            }
            Call::ChallengeEpoch { epoch, .. } => {
                self.disputes.entry(epoch).or_insert(self.block);
            }
        }
    }

    fn seen(&self, epoch: u64) -> Seen {
        let finalized_block = self.finalized();
        let there = self
            .epochs
            .get(&epoch)
            .filter(|(at, _)| *at <= finalized_block);
        let disputed = self
            .disputes
            .get(&epoch)
            .is_some_and(|at| *at <= finalized_block);
        Seen {
            finalized_block,
            epoch: there.map(|(_, published)| Published {
                is_disputed: disputed,
                ..published.clone()
            }),
        }
    }

    fn answer(&mut self, request: Request) -> Reply {
        self.next_block();
        let reply = match request {
            Request::Latest => {
                let finalized = self.finalized();
                let mut all = self.epochs.iter().rev();
                Reply::Latest(
                    all.find(|(_, (at, _))| *at <= finalized)
                        .map(|(epoch, _)| *epoch),
                )
            }
            Request::Epoch(epoch) => Reply::Seen(self.seen(epoch)),
            Request::Sign(call) => {
                self.signed += 1;
                let json = serde_json::to_string(&call).unwrap();
                Reply::Signed(SignedCall {
                    hex: format!("{}-{json}", self.signed),
                    valid_until_block: self.block + ERA,
                })
            }
            Request::Submit(signed) => {
                let is_known =
                    self.included.contains(&signed.hex) || self.waiting.contains(&signed);
                // Now and then a node takes a transaction and forgets it.
                if !is_known && self.dice(5) > 0 {
                    self.waiting.push(signed);
                }
                Reply::Submitted
            }
        };
        if self.dice(6) == 0 {
            Reply::Lost
        } else {
            reply
        }
    }
}

/// The chain as a process sees it: in its own memory, or over HTTP.
#[derive(Debug, Clone)]
pub(crate) enum World {
    Here(Arc<Mutex<State>>),
    There(reqwest::Client, String),
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::Here(Arc::new(Mutex::new(State {
            seed,
            ..State::default()
        })))
    }

    pub(crate) fn at(url: String) -> Self {
        Self::There(reqwest::Client::new(), url)
    }

    /// Looks at the state, and changes it behind everybody's back.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        match self {
            Self::Here(state) => look(&mut state.lock().unwrap()),
            Self::There(..) => panic!("only the owner looks"),
        }
    }

    /// Puts an epoch on the chain without any publisher.
    pub(crate) fn publish(&self, epoch: u64, published: Published) {
        self.with(|state| state.epochs.insert(epoch, (state.block, published)));
    }

    /// Serves this world to other processes; returns its address.
    pub(crate) async fn serve(&self) -> String {
        let Self::Here(state) = self.clone() else {
            panic!("only the owner serves");
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = async |Shared(state): Shared<Arc<Mutex<State>>>,
                            Json(request): Json<Request>| {
            Json(state.lock().unwrap().answer(request))
        };
        let router = axum::Router::new()
            .route("/", axum::routing::post(answer))
            .with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    async fn ask(&self, request: Request) -> Result<Reply, ChainError> {
        let lost = |_| ChainError::Unreachable("lost".to_owned());
        let reply = match self {
            Self::Here(state) => state.lock().unwrap().answer(request),
            Self::There(client, url) => {
                let sent = client.post(url).json(&request).send().await.map_err(lost)?;
                sent.json().await.map_err(lost)?
            }
        };
        match reply {
            Reply::Lost => Err(ChainError::Unreachable("lost".to_owned())),
            reply => Ok(reply),
        }
    }
}

impl Chain for World {
    async fn latest_epoch(&self) -> Result<Option<u64>, ChainError> {
        match self.ask(Request::Latest).await? {
            Reply::Latest(epoch) => Ok(epoch),
            other => panic!("{other:?}"),
        }
    }

    async fn epoch(&self, epoch: u64) -> Result<Seen, ChainError> {
        match self.ask(Request::Epoch(epoch)).await? {
            Reply::Seen(seen) => Ok(seen),
            other => panic!("{other:?}"),
        }
    }

    async fn sign(&self, call: &Call) -> Result<SignedCall, ChainError> {
        match self.ask(Request::Sign(call.clone())).await? {
            Reply::Signed(signed) => Ok(signed),
            other => panic!("{other:?}"),
        }
    }

    async fn submit(&self, signed: &SignedCall) -> Result<(), ChainError> {
        self.ask(Request::Submit(signed.clone())).await.map(|_| ())
    }
}
