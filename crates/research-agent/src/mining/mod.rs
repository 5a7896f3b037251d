//! From a work tree to a submission: by a miner's own hand, or in attempts of an
//! agent that are measured in the sandbox.

mod attempts;
mod body;
mod claim;
mod feedback;
mod peer;
mod references;
mod work;

pub(crate) use attempts::{Leftovers, Mined, Miner, Settings};
pub(crate) use body::submission_body;
pub(crate) use claim::HeldClaim;
pub(crate) use peer::{Evaluated, Peer};
pub(crate) use work::Work;
