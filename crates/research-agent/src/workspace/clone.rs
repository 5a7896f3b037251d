//! A clone at the pinned commit, made through the engine's own checkout: over
//! https only, without hooks, filters or submodules, every object hashed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use git2::{Oid, Repository, RepositoryInitOptions};
use protocol::CommitId;
use replay_runner::checkout::{Mirrors, Source};
use tokio_util::sync::CancellationToken;

use crate::failure::{Done, Failure};

/// The branch that a miner works on.
const BRANCH: &str = "refs/heads/work";

/// Makes a repository in `directory`, which must not exist, whose work tree is
/// `reference` of `source`, and says which commit that is. Nothing is left if it
/// fails or is interrupted.
pub(crate) async fn clone_at(
    source: Source,
    reference: String,
    directory: &Path,
    cancel: &CancellationToken,
) -> Done<CommitId> {
    if directory.exists() {
        return Err(Failure::Refused(format!(
            "{} exists already; remove it, or name another directory",
            directory.display()
        )));
    }
    let parent = directory.parent().unwrap_or(Path::new("."));
    // Beside the target, so that its files move there. It is removed here and not
    // by the thread, which a hanging server may hold.
    let room = tempfile::Builder::new()
        .prefix(".clone-")
        .tempdir_in(parent)
        .with_context(|| format!("nothing can be written in {}", parent.display()))?;
    let (place, target) = (room.path().to_owned(), directory.to_owned());
    let cloning =
        tokio::task::spawn_blocking(move || clone_in(&place, &source, &reference, &target));
    tokio::select! {
        cloned = cloning => Ok(cloned.map_err(anyhow::Error::from)??),
        () = cancel.cancelled() => Err(Failure::Interrupted),
    }
}

fn clone_in(
    room: &Path,
    source: &Source,
    reference: &str,
    directory: &Path,
) -> anyhow::Result<CommitId> {
    let place = room.join("mirrors");
    let mirrors = Mirrors::new(&place);
    let commit = mirrors.resolve(source, Some(reference))?;
    mirrors.pinned(source, commit)?;
    let made = room.join("repo");
    assemble(&place, &made, commit, source)?;
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
fn only_mirror(mirrors: &Path) -> anyhow::Result<PathBuf> {
    for entry in fs::read_dir(mirrors)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "git") {
            return Ok(path);
        }
    }
    bail!("the checkout left no mirror")
}
