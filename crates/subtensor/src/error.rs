//! Why the chain could not be read, or did not take what was sent.

use crate::failover::NodesError;

/// Why the chain could not be read, or did not take what was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// No endpoint gave an answer.
    #[error(transparent)]
    Nodes(#[from] NodesError),
    /// A list of endpoints without one.
    #[error("no endpoint of the chain is configured; name at least one")]
    NoEndpoint,
    /// What a node answered cannot be understood.
    #[error("{what} cannot be read from the chain: {problem}")]
    Read {
        /// What was asked for.
        what: &'static str,
        /// What was wrong, in one bounded line.
        problem: String,
    },
    /// The newest finalized block of every endpoint is old: they are behind, or the
    /// chain stands.
    #[error(
        "the newest finalized block ({block}) of every endpoint is {age_seconds} s old, more than {limit_seconds} s; wait for the nodes to catch up, or name other endpoints"
    )]
    Stale {
        /// Its number.
        block: u64,
        /// Its age by this machine's clock.
        age_seconds: u64,
        /// What is allowed.
        limit_seconds: u64,
    },
    /// There is no such subnet.
    #[error("subnet {0} does not exist on this chain")]
    NoSubnet(u16),
    /// An extrinsic could not be put together.
    #[error("{call} cannot be encoded: {problem}")]
    Encode {
        /// Which call.
        call: &'static str,
        /// What was wrong.
        problem: String,
    },
    /// The chain's metadata encodes a call in another way than this program knows.
    /// Nothing was signed.
    #[error(
        "the chain's metadata encodes {call} as {found}…, and this program knows it as {expected}…; nothing was signed; update this program, or distrust the endpoint"
    )]
    CallChanged {
        /// Which call.
        call: &'static str,
        /// How this program encodes it: hex, the first bytes.
        expected: String,
        /// What the metadata gives.
        found: String,
    },
    /// The transaction pool refused the extrinsic. It is on no block, and will be on
    /// none.
    #[error("the chain refused {call}: {reason}")]
    Refused {
        /// Which call.
        call: &'static str,
        /// The node's words, and what they mean.
        reason: String,
    },
    /// The extrinsic is on a finalized block, and failed there.
    #[error("{call} failed on block {block}: {reason}")]
    Failed {
        /// Which call.
        call: &'static str,
        /// The block's number.
        block: u64,
        /// The chain's name of the error.
        reason: String,
    },
    /// The era of the extrinsic ended without it. It can never be included any more.
    #[error(
        "{call} was not included by block {last_block}, where its validity ended; it can be sent again"
    )]
    Expired {
        /// Which call.
        call: &'static str,
        /// The last block that could have held it.
        last_block: u64,
    },
    /// Finality did not come within the time that was allowed. Whether the extrinsic
    /// is included is not known yet.
    #[error(
        "{call} was sent, and no finalized block has told of it within {seconds} s; it may still be included"
    )]
    Unknown {
        /// Which call.
        call: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// A contract's answer is of no use.
    #[error("the contract's {message}: {problem}")]
    Contract {
        /// Which message.
        message: String,
        /// What was wrong.
        problem: String,
    },
    /// The claim contract refused a message.
    #[error("the contract refuses {message}: {refusal}")]
    ContractRefused {
        /// Which message.
        message: String,
        /// Its reason.
        refusal: crate::Refusal,
    },
    /// Weights could not be sealed until their reveal.
    #[error(transparent)]
    Timelock(#[from] crate::timelock::TimelockError),
    /// The block of the reveal could not be foretold.
    #[error(transparent)]
    Reveal(#[from] crate::reveal::RevealError),
}

impl ChainError {
    /// Whether the same thing may succeed later without anybody's doing.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Nodes(_) | Self::Stale { .. } | Self::Expired { .. } | Self::Unknown { .. }
        )
    }

    pub(crate) fn read(what: &'static str, error: &dyn std::error::Error) -> Self {
        let problem = one_line(&error.to_string());
        Self::Read { what, problem }
    }
}

/// What others wrote, fit for a log: one line without control characters, of at
/// most 400 characters.
pub(crate) fn one_line(text: &str) -> String {
    const LONGEST: usize = 400;
    let mut line: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}
