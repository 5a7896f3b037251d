//! Several nodes, asked in turn until one answers.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::value::RawValue;
use subxt::rpcs;
use subxt::rpcs::client::{RawRpcFuture, RawRpcSubscription, RpcClientT};

use crate::node::{Node, NodeError};
use crate::{ChainError, Endpoint};

/// Every node's reason, in the order they were asked.
#[derive(Debug, Clone)]
pub struct NodesError(Vec<(String, NodeError)>);

impl fmt::Display for NodesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no endpoint of the chain answered")?;
        for (index, (name, error)) in self.0.iter().enumerate() {
            write!(f, "{} {name}: {error}", if index == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for NodesError {}

/// The nodes, and which of them is asked first.
#[derive(Debug)]
pub(crate) struct Failover {
    nodes: Vec<Known>,
    first: AtomicUsize,
    /// `0x` and 64 hex digits, as nodes write it.
    genesis: String,
}

#[derive(Debug)]
struct Known {
    node: Node,
    /// Whether it has shown the right first block.
    right_chain: AtomicBool,
}

/// What became of an extrinsic that was sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// A node has it, or may have it.
    Taken,
    /// A node refused it, and no other can have it.
    Refused(NodeError),
}

impl Failover {
    pub(crate) fn new(
        endpoints: &[Endpoint],
        genesis: [u8; 32],
        timeout: Duration,
    ) -> Result<Self, ChainError> {
        let mut nodes = Vec::new();
        for endpoint in endpoints {
            let node = Node::new(endpoint.clone(), timeout)
                .map_err(|error| NodesError(vec![(endpoint.to_string(), error)]))?;
            nodes.push(Known {
                node,
                right_chain: AtomicBool::new(false),
            });
        }
        if nodes.is_empty() {
            return Err(ChainError::NoEndpoint);
        }
        Ok(Self {
            nodes,
            first: AtomicUsize::new(0),
            genesis: format!("0x{}", hex::encode(genesis)),
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Asks another node first from now on.
    pub(crate) fn turn(&self) {
        self.first.fetch_add(1, Ordering::Relaxed);
    }

    /// The nodes in the order they are asked now, each with its place.
    fn in_turn(&self) -> impl Iterator<Item = (usize, &Known)> {
        let first = self.first.load(Ordering::Relaxed);
        (0..self.nodes.len()).filter_map(move |offset| {
            let place = first.wrapping_add(offset) % self.nodes.len();
            Some((place, self.nodes.get(place)?))
        })
    }

    /// Asks one after another until one answers; that one is asked first from then
    /// on.
    pub(crate) async fn ask(
        &self,
        method: &str,
        params: &RawValue,
    ) -> Result<Box<RawValue>, NodesError> {
        let mut failures = Vec::new();
        for (place, known) in self.in_turn() {
            match self.ask_one(known, method, params).await {
                Ok(answer) => {
                    if !failures.is_empty() {
                        self.first.store(place, Ordering::Relaxed);
                    }
                    return Ok(answer);
                }
                Err(error) => {
                    let name = known.node.endpoint.to_string();
                    tracing::debug!(endpoint = name, method, %error, "no answer");
                    failures.push((name, error));
                }
            }
        }
        Err(NodesError(failures))
    }

    /// Sends an extrinsic to one node after another until one takes it. The bytes
    /// are the same for all, so that it cannot be included twice.
    ///
    /// # Errors
    /// [`NodesError`] when no node was reached at all; then none has it.
    pub(crate) async fn send(&self, params: &RawValue) -> Result<Sent, NodesError> {
        const METHOD: &str = "author_submitExtrinsic";
        let mut refusal = None;
        let mut perhaps_taken = false;
        let mut failures = Vec::new();
        for (_, known) in self.in_turn() {
            if let Err(error) = self.check_chain(known).await {
                failures.push((known.node.endpoint.to_string(), error));
                continue;
            }
            match known.node.ask(METHOD, params).await {
                Ok(_)
                | Err(NodeError::Answered {
                    code: ALREADY_IMPORTED,
                    ..
                }) => return Ok(Sent::Taken),
                Err(error @ NodeError::Answered { .. }) => {
                    refusal.get_or_insert(error);
                }
                Err(error) => {
                    tracing::warn!(endpoint = %known.node.endpoint, %error, "sending an extrinsic");
                    perhaps_taken = true;
                }
            }
        }
        match refusal {
            // A later node may refuse it for the very reason that an earlier one,
            // whose answer was lost, has brought it onto a block.
            _ if perhaps_taken => Ok(Sent::Taken),
            Some(error) => Ok(Sent::Refused(error)),
            None => Err(NodesError(failures)),
        }
    }

    async fn ask_one(
        &self,
        known: &Known,
        method: &str,
        params: &RawValue,
    ) -> Result<Box<RawValue>, NodeError> {
        self.check_chain(known).await?;
        known.node.ask(method, params).await
    }

    /// Makes sure, once, that a node is one of the expected chain.
    async fn check_chain(&self, known: &Known) -> Result<(), NodeError> {
        if known.right_chain.load(Ordering::Relaxed) {
            return Ok(());
        }
        let params = RawValue::from_string("[0]".to_owned())
            .map_err(|error| NodeError::Transport(error.to_string()))?;
        let answer = known.node.ask("chain_getBlockHash", &params).await?;
        let found: String = serde_json::from_str(answer.get())
            .map_err(|_| NodeError::Transport("its first block has no hash".to_owned()))?;
        if found.eq_ignore_ascii_case(&self.genesis) {
            known.right_chain.store(true, Ordering::Relaxed);
            return Ok(());
        }
        Err(NodeError::OtherChain {
            found: crate::error::one_line(&found),
            expected: self.genesis.clone(),
        })
    }
}

/// The pool has this extrinsic already.
const ALREADY_IMPORTED: i64 = 1013;

/// Whether metadata of the oldest version is asked for. The library does so when the
/// answer that tells newer versions was lost, and keeps what it got; it would know no
/// function of the runtime from then on. As an error it is asked for again.
fn asks_for_old_metadata(method: &str, params: &RawValue) -> bool {
    method == "state_call" && params.get().starts_with(r#"["Metadata_metadata","#)
}

impl RpcClientT for Failover {
    fn request_raw<'a>(
        &'a self,
        method: &'a str,
        params: Option<Box<RawValue>>,
    ) -> RawRpcFuture<'a, Box<RawValue>> {
        Box::pin(async move {
            let params = match params {
                Some(params) => params,
                None => {
                    RawValue::from_string("[]".to_owned()).map_err(rpcs::Error::Serialization)?
                }
            };
            if asks_for_old_metadata(method, &params) {
                return Err(rpcs::Error::Client(
                    "metadata of version 14 is not used".into(),
                ));
            }
            self.ask(method, &params)
                .await
                .map_err(|error| rpcs::Error::Client(Box::new(error)))
        })
    }

    fn subscribe_raw<'a>(
        &'a self,
        _subscribe: &'a str,
        _params: Option<Box<RawValue>>,
        _unsubscribe: &'a str,
    ) -> RawRpcFuture<'a, RawRpcSubscription> {
        // Nothing here subscribes: polling survives a change of nodes.
        Box::pin(async { Err(rpcs::Error::Client("subscriptions are not used".into())) })
    }
}
