//! From a reward snapshot to weights on the chain.
//!
//! In the order of a round: the [`snapshot`] is read, its [`policy`] checked as a
//! whole, its targets are [`resolve`]d in the metagraph of this very moment,
//! [`normalise`]d to the chain's integers, held against the subnet's rules in a
//! [`plan`], and only then is anything signed. [`round`] is the one file that knows
//! the whole order.

pub mod lock;
pub mod metrics;
pub mod normalise;
pub mod plan;
pub mod policy;
pub mod resolve;
pub mod round;
pub mod snapshot;
