//! Where a miner works: a clone at the pinned commit, the onboarding page and
//! the two JSON files beside it.

pub(crate) mod beneath;
mod clone;
mod diff;
mod layout;

pub(crate) use clone::clone_at;
pub(crate) use diff::diff;
pub(crate) use layout::{Workspace, write};
