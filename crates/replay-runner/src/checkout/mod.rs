//! Checkout: from a repository's address to a commit that is here, whole, and
//! cannot move.
//!
//! Nothing of a repository is ever executed or interpreted: no hooks, filters,
//! attributes, aliases, submodules or configuration. There is no work tree at
//! this stage, only objects.

mod error;
mod local;
mod mirror;
mod pinned;
mod remote;
mod snapshot;
mod source;

pub use error::{CheckoutError, FetchProblem};
pub use mirror::Mirrors;
pub(crate) use pinned::all_below;
pub use pinned::{BaseEntry, EntryKind, PinnedCommit};
pub use source::Source;
