//! What the base tree has at a path.

use std::sync::Arc;

use git2::{ErrorCode, Oid, Repository, Tree};
use protocol::paths::escaped;

use super::PatchRefusal;
use crate::checkout::{CheckoutError, EntryKind, all_below};

/// A regular file in the making. Content that the base has already is not copied.
#[derive(Debug, Clone)]
pub(super) struct NewFile {
    pub(super) blob: Oid,
    pub(super) size: u64,
    pub(super) executable: bool,
    pub(super) content: Option<Arc<[u8]>>,
}

/// Everything that is at one path.
pub(super) enum Found {
    Nothing,
    Directory,
    File(NewFile),
    /// A symbolic link; its content is the target.
    Link(NewFile),
    Submodule,
}

/// The tree of the pinned commit.
#[derive(Clone, Copy)]
pub(super) struct BaseTree<'a> {
    pub(super) repo: &'a Repository,
    pub(super) tree: &'a Tree<'a>,
}

impl BaseTree<'_> {
    /// What is at `path`.
    pub(super) fn find(&self, path: &str) -> Result<Found, PatchRefusal> {
        let damaged = |e: git2::Error| CheckoutError::from_objects(&e);
        let entry = match self.tree.get_path(path.as_ref()) {
            Ok(entry) => entry,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(damaged(error).into()),
        };
        let kind = match EntryKind::of_mode(entry.filemode_raw()) {
            None => return Ok(Found::Directory),
            Some(EntryKind::Submodule) => return Ok(Found::Submodule),
            Some(kind) => kind,
        };
        let (size, _) = self
            .repo
            .odb()
            .and_then(|odb| odb.read_header(entry.id()))
            .map_err(damaged)?;
        let file = NewFile {
            blob: entry.id(),
            size: size as u64,
            executable: kind == EntryKind::Executable,
            content: None,
        };
        Ok(match kind {
            EntryKind::Symlink => Found::Link(file),
            _ => Found::File(file),
        })
    }

    /// The content of a file.
    pub(super) fn read(&self, blob: Oid) -> Result<Arc<[u8]>, CheckoutError> {
        let blob = self
            .repo
            .find_blob(blob)
            .map_err(|e| CheckoutError::from_objects(&e))?;
        Ok(Arc::from(blob.content()))
    }

    /// Whether `test` holds for every file below `directory`.
    pub(super) fn all_below(
        &self,
        directory: &str,
        test: impl Fn(&str) -> bool,
    ) -> Result<bool, CheckoutError> {
        all_below(self.repo, self.tree, directory, test)
    }
}

/// The file that was found, or why it cannot be patched.
pub(super) fn regular(found: Found, path: &str) -> Result<NewFile, PatchRefusal> {
    match found {
        Found::File(file) => Ok(file),
        Found::Nothing => Err(PatchRefusal::does_not_apply(
            path,
            "is not in the pinned commit; are the prefixes a/ and b/ there?",
        )),
        Found::Directory => Err(PatchRefusal::does_not_apply(path, "is a directory")),
        Found::Link(_) => Err(PatchRefusal::Symlink {
            path: escaped(path.as_bytes()),
        }),
        Found::Submodule => Err(PatchRefusal::Submodule {
            path: escaped(path.as_bytes()),
        }),
    }
}
