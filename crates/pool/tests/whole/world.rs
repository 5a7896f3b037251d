//! A stand-in for the chain and its contract, for tests only: blocks that are
//! finalized late, transactions that get lost or run out, answers that never
//! arrive. It has no nonces, so that nothing but our own care keeps a call from
//! being executed twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use pool::Rao;
use pool::chain::{Books, BooksSeen, Call, Chain, ChainError, Paid, Published, Seen, SignedCall};
use protocol::ss58::Address;

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
    uris: BTreeMap<u64, String>,
    disputes: BTreeMap<u64, u64>,
    /// What was paid to whom, and on which block.
    payments: Vec<(u64, Address, u64)>,
    /// About how many hotkeys it was asked what they were paid.
    pub(crate) asked: usize,
    /// Whether no answer tells anything of payments.
    pub(crate) hides_payments: bool,
    /// Every call that was executed, also those that the contract refused.
    pub(crate) executed: Vec<Call>,
}

enum Request {
    Latest,
    Epoch(u64),
    Books,
    Paid(Vec<Address>),
    Uri(u64),
    Sign(Call),
    Submit(SignedCall),
}

#[derive(Debug)]
enum Reply {
    Latest(Option<u64>),
    Uri(String),
    Seen(Seen),
    Books(BooksSeen),
    Paid(Paid),
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
                    is_disputed: false,
                    is_void: false,
                    claims_open_at: self.block + 100,
                };
                self.epochs.entry(epoch).or_insert((self.block, published));
                self.uris.entry(epoch).or_insert(uri);
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

    /// What was paid by the finalized block to those whom `to` names.
    fn paid(&self, to: impl Fn(&Address) -> bool) -> u64 {
        let finalized = self.finalized();
        let payments = self.payments.iter();
        payments
            .filter(|(at, hotkey, _)| *at <= finalized && to(hotkey))
            .map(|(_, _, rao)| rao)
            .sum()
    }

    fn books(&self) -> BooksSeen {
        let finalized_block = self.finalized();
        let mut newest_first = self.epochs.iter().rev();
        let latest =
            newest_first.find(|(_, (at, published))| *at <= finalized_block && !published.is_void);
        let total = latest.map_or(0, |(_, (_, published))| published.total_rao.0);
        BooksSeen {
            finalized_block,
            books: Books {
                latest_epoch: latest.map(|(epoch, _)| *epoch),
                outstanding_rao: Rao(total - self.paid(|_| true)),
            },
        }
    }

    fn answer(&mut self, request: Request) -> Reply {
        self.next_block();
        let reply = match request {
            Request::Latest => Reply::Latest(self.books().books.latest_epoch),
            Request::Epoch(epoch) => Reply::Seen(self.seen(epoch)),
            Request::Books | Request::Paid(_) if self.hides_payments => Reply::Lost,
            Request::Books => Reply::Books(self.books()),
            Request::Paid(hotkeys) => {
                self.asked += hotkeys.len();
                Reply::Paid(Paid {
                    seen: self.books(),
                    amounts: hotkeys
                        .into_iter()
                        .map(|hotkey| (hotkey, Rao(self.paid(|to| *to == hotkey))))
                        .collect(),
                })
            }
            Request::Uri(epoch) => Reply::Uri(self.uris[&epoch].clone()),
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

/// The chain, shared by all who hold a clone.
#[derive(Debug, Clone)]
pub(crate) struct World(Arc<Mutex<State>>);

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            seed,
            ..State::default()
        })))
    }

    /// Looks at the state, and changes it behind everybody's back.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Puts an epoch on the chain without any publisher.
    pub(crate) fn publish(&self, epoch: u64, published: Published, uri: String) {
        self.with(|state| {
            state.epochs.insert(epoch, (state.block, published));
            state.uris.insert(epoch, uri);
        });
    }

    /// Pays a miner.
    pub(crate) fn pay(&self, hotkey: Address, rao: u64) {
        self.with(|state| state.payments.push((state.block, hotkey, rao)));
    }

    /// Answers as a node does that has not heard of the last blocks.
    pub(crate) fn fall_behind(&self, blocks: u64) {
        self.with(|state| state.block -= blocks);
    }

    /// Strikes an epoch down.
    pub(crate) fn strike_down(&self, epoch: u64) {
        self.with(|state| {
            let (_, published) = state.epochs.get_mut(&epoch).unwrap();
            (published.is_disputed, published.is_void) = (true, true);
            state.disputes.insert(epoch, 0);
        });
    }

    fn ask(&self, request: Request) -> Result<Reply, ChainError> {
        match self.with(|state| state.answer(request)) {
            Reply::Lost => Err(ChainError::Unreachable("lost".to_owned())),
            reply => Ok(reply),
        }
    }
}

impl Chain for World {
    fn contract(&self) -> Address {
        crate::common::CONTRACT
    }

    async fn latest_epoch(&self) -> Result<Option<u64>, ChainError> {
        match self.ask(Request::Latest)? {
            Reply::Latest(epoch) => Ok(epoch),
            other => panic!("{other:?}"),
        }
    }

    async fn epoch(&self, epoch: u64) -> Result<Seen, ChainError> {
        match self.ask(Request::Epoch(epoch))? {
            Reply::Seen(seen) => Ok(seen),
            other => panic!("{other:?}"),
        }
    }

    async fn books(&self) -> Result<BooksSeen, ChainError> {
        match self.ask(Request::Books)? {
            Reply::Books(seen) => Ok(seen),
            other => panic!("{other:?}"),
        }
    }

    async fn paid(&self, hotkeys: &[Address]) -> Result<Paid, ChainError> {
        match self.ask(Request::Paid(hotkeys.to_vec()))? {
            Reply::Paid(paid) => Ok(paid),
            other => panic!("{other:?}"),
        }
    }

    async fn uri(&self, epoch: u64, _: &Published) -> Result<String, ChainError> {
        match self.ask(Request::Uri(epoch))? {
            Reply::Uri(uri) => Ok(uri),
            other => panic!("{other:?}"),
        }
    }

    async fn sign(&self, call: &Call) -> Result<SignedCall, ChainError> {
        match self.ask(Request::Sign(call.clone()))? {
            Reply::Signed(signed) => Ok(signed),
            other => panic!("{other:?}"),
        }
    }

    async fn submit(&self, signed: &SignedCall) -> Result<(), ChainError> {
        self.ask(Request::Submit(signed.clone())).map(|_| ())
    }
}
