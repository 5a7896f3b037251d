//! The patch of a work tree: everything that differs from the base commit,
//! committed, staged or neither.

use std::path::Path;

use anyhow::{Context as _, bail};
use git2::{Delta, DiffOptions, Oid, Repository};
use protocol::paths::{AllowedPaths, check_safe, escaped, is_generated};
use protocol::{CommitId, Task};

/// No patch is made beyond this, whatever the task allows.
const LARGEST: usize = 64 << 20;

/// A work tree's difference from its base.
#[derive(Debug)]
pub(crate) struct WorkDiff {
    /// The unified git diff; empty if nothing differs.
    pub(crate) patch: String,
    /// New files that are not part of it.
    pub(crate) left_out: Vec<LeftOut>,
}

/// A new file that is no part of the patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Its path, escaped.
    pub(crate) path: String,
    /// Why.
    pub(crate) reason: &'static str,
}

/// The diff of the work tree in `repo` against `base`. Blocking.
///
/// New files that git does not track are left out where the task does not allow
/// them, or where they are compiled: that is what running a benchmark leaves
/// behind. A *tracked* file that may not be changed stays in, for the gate to
/// refuse: its author changed it, or should know that something did.
pub(crate) fn diff(repo: &Path, base: CommitId, task: &Task) -> anyhow::Result<WorkDiff> {
    let shown = repo.display();
    let repo = Repository::open(repo).with_context(|| format!("{shown} is no git repository"))?;
    if repo.is_bare() {
        bail!("{shown} is a bare repository; name a clone with a work tree");
    }
    let commit = Oid::from_bytes(base.as_bytes()).and_then(|id| repo.find_commit(id));
    let tree = commit.and_then(|commit| commit.tree()).map_err(|_| {
        anyhow::anyhow!("{shown} has no commit {base}; fetch it, or use `init` for a fresh clone")
    })?;
    let allowed = AllowedPaths::new(&task.allowed_patch_paths, &task.protected_paths)?;

    let mut options = DiffOptions::new();
    options
        .include_untracked(true)
        .recurse_untracked_dirs(true)
        .show_untracked_content(true)
        .show_binary(true)
        .include_typechange(true)
        .ignore_submodules(true)
        // A person's own settings would change the names in the patch.
        .old_prefix("a/")
        .new_prefix("b/")
        .context_lines(3)
        .id_abbrev(40);
    let diff = repo
        .diff_tree_to_workdir_with_index(Some(&tree), Some(&mut options))
        .with_context(|| format!("{shown} cannot be compared with {base}"))?;

    let mut patch = Vec::new();
    let mut left_out = Vec::new();
    for (index, delta) in diff.deltas().enumerate() {
        let path = delta.new_file().path_bytes().unwrap_or_default();
        if delta.status() == Delta::Untracked
            && let Some(reason) = reason_to_leave_out(path, &allowed)
        {
            left_out.push(LeftOut {
                path: escaped(path),
                reason,
            });
            continue;
        }
        if let Some(mut one) = git2::Patch::from_diff(&diff, index)? {
            patch.extend_from_slice(&one.to_buf()?);
        }
        if patch.len() > LARGEST {
            bail!("the changes in {shown} make a patch of more than {LARGEST} bytes");
        }
    }
    let patch = String::from_utf8(patch)
        .map_err(|_| anyhow::anyhow!("the patch is not UTF-8 text, as a coordinator needs it; a changed file has another encoding"))?;
    Ok(WorkDiff { patch, left_out })
}

fn reason_to_leave_out(path: &[u8], allowed: &AllowedPaths) -> Option<&'static str> {
    match check_safe(path) {
        Err(_) => Some("is new and has an unsafe name"),
        Ok(path) if is_generated(path) => Some("is new and generated"),
        Ok(path) if !allowed.allows(path) => Some("is new, where the task allows no changes"),
        Ok(_) => None,
    }
}
