//! The one place that talks to the chain.
//!
//! Everything else of the system sees plain values: a [`Metagraph`], [`SubnetRules`],
//! a [`WeightVector`], the [`Inclusion`] of what was submitted. This crate knows how
//! to get them from a node that may be slow, behind, on another chain or hostile:
//!
//! * several [`Endpoint`]s, asked in turn until one answers; each has to show the
//!   expected genesis block before it is believed;
//! * state is read at finalized blocks only, and a node whose newest one is old is
//!   passed over;
//! * metadata comes from the chain, but what is *signed* is checked byte by byte
//!   against an encoding of our own ([`PinnedCall`]): no node can make a hotkey sign
//!   another call than the one that was meant;
//! * extrinsics are mortal, so that waiting for one has a definite end.
//!
//! `README.md` beside this crate says what of it was proved how.

mod at;
mod chain;
pub mod claims;
mod commit;
mod contract;
mod emitted;
mod endpoint;
mod error;
mod failover;
mod fee;
mod metagraph;
mod node;
mod pinned;
#[cfg(test)]
mod recorded;
mod refusal;
mod reveal;
mod rules;
mod settings;
mod signer;
mod submit;
mod timelock;
mod wait;
mod weights;

pub use at::At;
pub use chain::Chain;
pub use contract::{ContractCall, DryRun, Gas, Message, decode_return};
pub use emitted::EpochPublished;
pub use endpoint::{Endpoint, EndpointError, Plaintext};
pub use error::ChainError;
pub use metagraph::{Metagraph, Neuron};
pub use pinned::PinnedCall;
pub use refusal::Refusal;
pub use reveal::{EpochSchedule, RevealError};
pub use rules::SubnetRules;
pub use settings::{FINNEY_GENESIS, Settings, SettingsError};
pub use submit::{ERA_BLOCKS, Signed};
pub use timelock::{TimelockError, WeightsPayload, round_at, seal};
pub use wait::Inclusion;
pub use weights::{CommittedWeights, VectorError, WeightVector};

/// Configuration of extrinsics and blocks: Substrate's defaults, as this chain uses
/// them.
pub type ChainConfig = subxt::config::SubstrateConfig;
