//! A commit that is here and whole. Everything after the checkout starts from
//! one, and only [`Mirrors`](super::Mirrors) can make one.

use std::collections::HashSet;
use std::path::PathBuf;

use git2::{ObjectType, Odb, Oid, Repository};
use protocol::paths::{check_safe, escaped};
use protocol::{CommitId, TreeId};

use super::{CheckoutError, FetchProblem};

/// A commit whose objects are all in a mirror on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedCommit {
    pub(super) objects: PathBuf,
    pub(super) commit: CommitId,
    pub(super) tree: TreeId,
    pub(super) seconds: i64,
}

/// One entry of the base tree that is not a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseEntry {
    /// Safe, relative, from the root.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// The id of its content; of the commit, for a submodule.
    pub blob: Oid,
    /// The length of its content.
    pub size: u64,
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A regular file that may be executed.
    Executable,
    /// A symbolic link; its content is the target.
    Symlink,
    /// A commit of another repository, which is never fetched.
    Submodule,
}

impl EntryKind {
    /// The kind of an entry with this mode, or `None` for a directory.
    pub(crate) fn of_mode(mode: i32) -> Option<Self> {
        match mode & 0o170_000 {
            0o040_000 => None,
            0o120_000 => Some(Self::Symlink),
            0o160_000 => Some(Self::Submodule),
            _ if mode & 0o100 != 0 => Some(Self::Executable),
            _ => Some(Self::File),
        }
    }
}

impl PinnedCommit {
    /// The commit.
    pub fn commit(&self) -> CommitId {
        self.commit
    }

    /// Its tree.
    pub fn tree(&self) -> TreeId {
        self.tree
    }

    /// The time that every file of it carries, in seconds since 1970: the
    /// commit's own, moved to where archives and 32-bit readers can follow.
    pub fn seconds(&self) -> i64 {
        const YEAR_1980: i64 = 315_619_200;
        self.seconds.clamp(YEAR_1980, i64::from(u32::MAX) / 2)
    }

    /// The content of the file at `path`, or `None` if there is no file or it is
    /// longer than `limit`.
    pub fn read_blob(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, CheckoutError> {
        let repo = self.repository()?;
        let tree = self.tree_of(&repo)?;
        let entry = match tree.get_path(path.as_ref()) {
            Ok(entry) => entry,
            Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(CheckoutError::from_objects(&error)),
        };
        match EntryKind::of_mode(entry.filemode()) {
            Some(EntryKind::File | EntryKind::Executable) => read_object(&repo, entry.id(), limit),
            _ => Ok(None),
        }
    }

    /// The content with this id, or `None` if it is longer than `limit`.
    pub fn read_id(&self, blob: Oid, limit: u64) -> Result<Option<Vec<u8>>, CheckoutError> {
        read_object(&self.repository()?, blob, limit)
    }

    /// Every file, link and submodule, in the order of their paths' bytes.
    pub fn entries(&self) -> Result<Vec<BaseEntry>, CheckoutError> {
        let repo = self.repository()?;
        let odb = repo.odb().map_err(|e| CheckoutError::from_objects(&e))?;
        let mut entries = Vec::new();
        walk(
            &repo,
            self.tree_of(&repo)?.id(),
            "",
            &mut |path, mode, id| {
                let Some(kind) = EntryKind::of_mode(mode) else {
                    return Ok(());
                };
                let size = match kind {
                    EntryKind::Submodule => 0,
                    _ => {
                        odb.read_header(id)
                            .map_err(|e| CheckoutError::from_objects(&e))?
                            .0 as u64
                    }
                };
                entries.push(BaseEntry {
                    path: path.to_owned(),
                    kind,
                    blob: id,
                    size,
                });
                Ok(())
            },
        )?;
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// A view of the mirror's objects that has no configuration and that
    /// nothing can be written through.
    pub(crate) fn repository(&self) -> Result<Repository, CheckoutError> {
        let open = || {
            let odb = Odb::new()?;
            self.add_objects_to(&odb)?;
            Repository::from_odb(odb)
        };
        open().map_err(|e| CheckoutError::from_objects(&e))
    }

    pub(crate) fn add_objects_to(&self, odb: &Odb<'_>) -> Result<(), git2::Error> {
        let path = self
            .objects
            .to_str()
            .ok_or_else(|| git2::Error::from_str("the state directory's name is not UTF-8"))?;
        odb.add_disk_alternate(path)
    }

    pub(crate) fn tree_of<'r>(
        &self,
        repo: &'r Repository,
    ) -> Result<git2::Tree<'r>, CheckoutError> {
        Oid::from_bytes(self.tree.as_bytes())
            .and_then(|id| repo.find_tree(id))
            .map_err(|e| CheckoutError::from_objects(&e))
    }
}

fn read_object(repo: &Repository, id: Oid, limit: u64) -> Result<Option<Vec<u8>>, CheckoutError> {
    let damaged = |e: git2::Error| CheckoutError::from_objects(&e);
    let odb = repo.odb().map_err(damaged)?;
    let (size, kind) = odb.read_header(id).map_err(damaged)?;
    if kind != ObjectType::Blob {
        return Err(CheckoutError::FetchFailed(FetchProblem::Damaged));
    }
    if size as u64 > limit {
        return Ok(None);
    }
    Ok(Some(odb.read(id).map_err(damaged)?.data().to_vec()))
}

/// Calls `visit(path, mode, id)` for every entry below `tree`, directories
/// included. Refuses trees with names that no path rule allows.
pub(super) fn walk(
    repo: &Repository,
    tree: Oid,
    above: &str,
    visit: &mut impl FnMut(&str, i32, Oid) -> Result<(), CheckoutError>,
) -> Result<(), CheckoutError> {
    let tree = repo
        .find_tree(tree)
        .map_err(|e| CheckoutError::from_objects(&e))?;
    let mut names = HashSet::new();
    for entry in &tree {
        let path = [above.as_bytes(), entry.name_bytes()].concat();
        let path = check_safe(&path).map_err(|e| CheckoutError::UnusableTree(e.to_string()))?;
        if entry.name_bytes().contains(&b'/') {
            return Err(CheckoutError::UnusableTree(
                "a name has a '/' in it".to_owned(),
            ));
        }
        // Sorted as git sorts, a file and a directory of one name are no neighbours.
        if !names.insert(entry.name_bytes().to_owned()) {
            return Err(CheckoutError::UnusableTree(format!(
                "{} is in it twice",
                escaped(path.as_bytes())
            )));
        }
        visit(path, entry.filemode_raw(), entry.id())?;
        if EntryKind::of_mode(entry.filemode_raw()).is_none() {
            walk(repo, entry.id(), &format!("{path}/"), visit)?;
        }
    }
    Ok(())
}

/// Whether `test` holds for every file below `directory` of `tree`.
pub(crate) fn all_below(
    repo: &Repository,
    tree: &git2::Tree<'_>,
    directory: &str,
    test: impl Fn(&str) -> bool,
) -> Result<bool, CheckoutError> {
    let damaged = |e: git2::Error| CheckoutError::from_objects(&e);
    let entry = tree.get_path(directory.as_ref()).map_err(damaged)?;
    let mut pending = vec![(entry.id(), format!("{directory}/"))];
    while let Some((id, above)) = pending.pop() {
        for entry in &repo.find_tree(id).map_err(damaged)? {
            let path = format!("{above}{}", String::from_utf8_lossy(entry.name_bytes()));
            if entry.kind() == Some(ObjectType::Tree) {
                pending.push((entry.id(), path + "/"));
            } else if !test(&path) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
