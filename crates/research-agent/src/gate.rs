//! The engine's own gate, before anything is signed: what it refuses here, every
//! validator would refuse later.

use std::path::Path;

use protocol::spec::PatchRules;
use protocol::{Code, CommitId, Task, TreeId};
use replay_runner::checkout::{Mirrors, Source};
use replay_runner::patch::{Patch, PatchGate};

/// Why a patch would be rejected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateError {
    /// The gate refuses it.
    #[error("the gate refuses this patch: {code}: {problem}")]
    Refused {
        /// The stable code that validators would report.
        code: Code,
        /// The sentence.
        problem: String,
    },
    /// The base commit cannot be read.
    #[error("the base commit cannot be read: {0}")]
    Base(String),
}

/// Passes `patch` through the gate, against `base` as the repository in `repo`
/// has it, and gives the identity of what would be submitted. Blocking.
pub(crate) fn review(
    repo: &Path,
    base: CommitId,
    task: &Task,
    patch: &str,
) -> Result<TreeId, GateError> {
    let unreadable = |error: &dyn std::fmt::Display| GateError::Base(error.to_string());
    let room = tempfile::tempdir().map_err(|error| unreadable(&error))?;
    let source = Source::parse(&repo.display().to_string(), Path::new("/"))
        .map_err(|error| unreadable(&error))?;
    let base = Mirrors::new(room.path())
        .pinned(&source, base)
        .map_err(|error| unreadable(&error))?;
    let rules = rules(task);
    let refused = |error: replay_runner::patch::PatchRefusal| GateError::Refused {
        code: error.code(),
        problem: error.to_string(),
    };
    let gate = PatchGate::new(&rules).map_err(refused)?;
    let patched = gate
        .review(&base, &Patch::new(patch.as_bytes()))
        .map_err(refused)?;
    Ok(patched.id())
}

/// The rules of a task, as its replay spec states them.
fn rules(task: &Task) -> PatchRules {
    PatchRules {
        allowed_paths: task.allowed_patch_paths.clone(),
        protected_paths: task.protected_paths.clone(),
        max_bytes: task.max_patch_bytes,
        max_files: task.max_patch_files,
        max_decoded_bytes: task.max_decoded_bytes,
        allow_binary: task.allow_binary_patch,
        allow_executable: task.allow_executable,
    }
}
