//! A clone at the pinned commit, made through the engine's own checkout: over
//! https only, without hooks, filters or submodules, every object hashed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use git2::{Oid, Repository, RepositoryInitOptions};
use protocol::CommitId;
use replay_runner::checkout::{Mirrors, Source};

/// The branch that a miner works on.
const BRANCH: &str = "refs/heads/work";

/// Makes a repository in `directory`, which must not exist, whose work tree is
/// `reference` of `source`, and says which commit that is. Blocking.
pub(crate) fn clone_at(
    source: &Source,
    reference: &str,
    directory: &Path,
) -> anyhow::Result<CommitId> {
    if directory.exists() {
        bail!(
            "{} exists already; remove it, or name another directory",
            directory.display()
        );
    }
    let parent = directory.parent().unwrap_or(Path::new("."));
    // Beside the target, so that its files move there and nothing is left on failure.
    let room = tempfile::Builder::new()
        .prefix(".clone-")
        .tempdir_in(parent)?;
    let mirrors = room.path().join("mirrors");
    let commit = {
        let mirrors = Mirrors::new(&mirrors);
        let commit = mirrors.resolve(source, Some(reference))?;
        mirrors.pinned(source, commit)?;
        commit
    };
    let made = room.path().join("repo");
    assemble(&mirrors, &made, commit, source)?;
    fs::rename(&made, directory)
        .with_context(|| format!("{} cannot be made", directory.display()))?;
    Ok(commit)
}

fn assemble(mirrors: &Path, made: &Path, commit: CommitId, source: &Source) -> anyhow::Result<()> {
    let mut options = RepositoryInitOptions::new();
    // Templates may bring hooks.
    options.external_template(false).initial_head(BRANCH);
    let repo = Repository::init_opts(made, &options)?;
    let objects = repo.path().join("objects");
    fs::remove_dir_all(&objects)?;
    fs::rename(only_mirror(mirrors)?.join("objects"), &objects)?;
    // Opened anew: what it knew of its objects is gone.
    let repo = Repository::open(made)?;
    let id = Oid::from_bytes(commit.as_bytes())?;
    let object = repo
        .find_commit(id)
        .context("the commit is not in the clone")?;
    let whole = object
        .parent_ids()
        .all(|parent| repo.find_commit(parent).is_ok());
    if !whole {
        // Without this mark git would miss the history that was not fetched.
        fs::write(repo.path().join("shallow"), format!("{commit}\n"))?;
    }
    repo.reference(BRANCH, id, true, "clone")?;
    if let Source::Remote(url) = source {
        repo.remote("origin", url.as_str())?;
    }
    let mut checkout = git2::build::CheckoutBuilder::new();
    checkout.force().disable_filters(true);
    repo.checkout_tree(object.as_object(), Some(&mut checkout))?;
    Ok(())
}

/// The one mirror in a directory that was made for it.
fn only_mirror(mirrors: &Path) -> anyhow::Result<std::path::PathBuf> {
    for entry in fs::read_dir(mirrors)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "git") {
            return Ok(path);
        }
    }
    bail!("the checkout left no mirror")
}
