//! The patch gate: from untrusted bytes to a tree that may run.
//!
//! The patch is parsed once, by a small strict parser in safe code, and applied
//! to the base *tree* in memory. The two trees are then compared, and that
//! comparison is the authority: whatever the text pretended, what is checked is
//! what will run. Nothing a miner wrote reaches a C parser or the file system.
//!
//! Reading follows `git apply -p1`: prose around the diffs is ignored, both
//! names of a diff lose their first component, `rename` and `copy` take their
//! source from the base commit, other diffs of one file apply in order.
//! Stricter than git: a hunk applies at exactly the lines it names, on both
//! sides, or not at all. More lenient in one point: a hunk needs no context
//! (`diff -U0`), since its position leaves nothing open.

mod apply;
mod base;
mod binary;
mod compare;
mod gate;
mod header;
mod hunk;
mod lines;
mod names;
mod parse;
mod patched;
mod refusal;
mod rules;

pub use gate::PatchGate;
pub use patched::{Change, ChangeKind, Patch, PatchedTree};
pub use refusal::{Oversize, PatchRefusal};
