//! Repositories on this machine, read as files: references from their text,
//! objects through the object store. Opening them as repositories would read
//! their configuration, and refuse those that belong to another user.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use git2::{Odb, Oid, Repository};
use nix::fcntl::OFlag;
use protocol::CommitId;

use super::mirror::bytes;
use super::{CheckoutError, FetchProblem};

/// Room for some hundred thousand references.
const LARGEST_PACKED_REFS: u64 = 64 << 20;

/// The commit that `reference` names in the repository at `path`.
pub(super) fn resolve(
    path: &Path,
    reference: Option<&str>,
) -> Result<Option<CommitId>, CheckoutError> {
    let git = GitDirectory::of(path)?;
    let found = match reference {
        None | Some("HEAD") => git.head(),
        Some(name) if name.starts_with("refs/") => git.reference(name),
        Some(name) => git
            .reference(&format!("refs/tags/{name}"))
            .or_else(|| git.reference(&format!("refs/heads/{name}"))),
    };
    let Some(id) = found else { return Ok(None) };
    let repo = git
        .objects()
        .and_then(Repository::from_odb)
        .map_err(|e| damaged(&e))?;
    let Ok(object) = repo.find_object(id, None) else {
        return Err(CheckoutError::FetchFailed(FetchProblem::Damaged));
    };
    Ok(object
        .peel_to_commit()
        .ok()
        .map(|commit| CommitId::from_bytes(bytes(commit.id()))))
}

/// Copies the commit and all of its tree, without its history, into the mirror.
/// Does nothing if the repository has no such commit.
pub(super) fn fetch(mirror: &Repository, path: &Path, commit: Oid) -> Result<(), CheckoutError> {
    let git = GitDirectory::of(path)?;
    let source = git
        .objects()
        .and_then(Repository::from_odb)
        .map_err(|e| damaged(&e))?;
    let Ok(found) = source.find_commit(commit) else {
        return Ok(());
    };
    let copy = || -> Result<(), git2::Error> {
        // The mirror sees the source's objects for as long as the copy takes.
        let target = mirror.odb()?;
        let view = Repository::open_bare(mirror.path())?;
        git.add_objects_to(&view.odb()?)?;
        let mut pack = view.packbuilder()?;
        pack.insert_object(commit, None)?;
        pack.insert_tree(found.tree_id())?;
        let mut writer = target.packwriter()?;
        let mut failed = None;
        pack.foreach(|chunk| {
            failed = writer.write_all(chunk).err();
            failed.is_none()
        })?;
        if let Some(error) = failed {
            return Err(git2::Error::from_str(&error.to_string()));
        }
        writer.commit()?;
        target.refresh()
    };
    copy().map_err(|e| damaged(&e))
}

fn damaged(error: &git2::Error) -> CheckoutError {
    CheckoutError::from_objects(error)
}

/// Where a repository keeps its references and objects. A linked work tree has
/// its own HEAD, and shares the rest.
struct GitDirectory {
    own: PathBuf,
    common: PathBuf,
}

impl GitDirectory {
    fn of(path: &Path) -> Result<Self, CheckoutError> {
        let nothing = CheckoutError::FetchFailed(FetchProblem::NotARepository);
        let dot_git = path.join(".git");
        let own = if dot_git.is_file() {
            let text = small_text(&dot_git).unwrap_or_default();
            let Some(target) = text.strip_prefix("gitdir:") else {
                return Err(nothing);
            };
            path.join(target.trim())
        } else if dot_git.is_dir() {
            dot_git
        } else {
            path.to_owned()
        };
        let common = match small_text(&own.join("commondir")) {
            Some(text) => own.join(text.trim()),
            None => own.clone(),
        };
        if !common.join("objects").is_dir() || !own.join("HEAD").is_file() {
            return Err(nothing);
        }
        if common.join("reftable").is_dir() {
            return Err(CheckoutError::FetchFailed(FetchProblem::UnsupportedFormat));
        }
        Ok(Self { own, common })
    }

    fn objects(&self) -> Result<Odb<'static>, git2::Error> {
        let odb = Odb::new()?;
        self.add_objects_to(&odb)?;
        Ok(odb)
    }

    fn add_objects_to(&self, odb: &Odb<'_>) -> Result<(), git2::Error> {
        let path = self.common.join("objects");
        let path = path
            .to_str()
            .ok_or_else(|| git2::Error::from_str("the repository's path is not UTF-8"))?;
        odb.add_disk_alternate(path)
    }

    fn head(&self) -> Option<Oid> {
        let text = small_text(&self.own.join("HEAD"))?;
        match text.strip_prefix("ref:") {
            Some(name) => self.reference(name.trim()),
            None => full_id(text.trim()),
        }
    }

    /// The object of a full reference name, loose before packed.
    fn reference(&self, name: &str) -> Option<Oid> {
        let mut name = name.to_owned();
        for _ in 0..5 {
            if !git2::Reference::is_valid_name(&name) || !is_plain(&name) {
                return None;
            }
            let Some(text) = small_text(&self.common.join(&name)) else {
                return self.packed(&name);
            };
            match text.strip_prefix("ref:") {
                Some(target) => target.trim().clone_into(&mut name),
                None => return full_id(text.trim()),
            }
        }
        None
    }

    fn packed(&self, name: &str) -> Option<Oid> {
        let text = text_of(&self.common.join("packed-refs"), LARGEST_PACKED_REFS)?;
        text.lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(_, packed)| *packed == name)
            .and_then(|(id, _)| full_id(id))
    }
}

/// Exactly forty hex digits: libgit2 would take fewer as well.
fn full_id(text: &str) -> Option<Oid> {
    let id: CommitId = text.parse().ok()?;
    Oid::from_bytes(id.as_bytes()).ok()
}

fn is_plain(name: &str) -> bool {
    Path::new(name)
        .components()
        .all(|c| matches!(c, Component::Normal(_)))
}

/// A file that is a line or two of text.
fn small_text(path: &Path) -> Option<String> {
    text_of(path, 8192)
}

/// The beginning of a regular file; nothing else of that name counts. Opened
/// without waiting: a FIFO has no end, and may have no writer.
fn text_of(path: &Path, limit: u64) -> Option<String> {
    let file = fs::File::options()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)
        .ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    file.take(limit).read_to_string(&mut text).ok()?;
    Some(text)
}
