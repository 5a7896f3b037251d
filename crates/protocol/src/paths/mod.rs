//! Path rules: which paths are safe to name at all, and which ones a patch may
//! change. Pure, so that a coordinator, a runner and a miner's tool agree.

mod allowed;
mod safe;

pub use allowed::{AllowedPaths, InTree, PathRuleError};
pub use safe::{UnsafePath, UnsafeReason, check_safe, escaped, is_generated};
