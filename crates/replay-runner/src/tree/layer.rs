//! What a patch changes, as a layer of an overlay over the pristine tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use git2::ObjectType;

use super::TreeError;
use super::writer::Writer;
use crate::checkout::CheckoutError;
use crate::patch::{ChangeKind, PatchedTree};

impl PatchedTree {
    /// Writes the changes into `layer`, an empty directory: regular files, and
    /// whiteouts for what is gone. With the pristine tree below, it shows
    /// exactly the patched tree: a directory without files is gone, too.
    pub fn write_layer(&self, layer: &Path) -> Result<(), TreeError> {
        let mut writer = Writer::open(layer, self.base().seconds())?;
        for change in self.changes() {
            if let ChangeKind::Write { executable, .. } = &change.kind {
                let content = self.content(change)?.unwrap_or_default();
                writer.file(&change.path, &content, *executable)?;
            }
        }
        for path in self.vanished()? {
            writer.whiteout(&path)?;
        }
        writer.finish()?;
        Ok(())
    }

    /// The topmost paths of the base that the patched tree has no more, where
    /// nothing new is in their place.
    fn vanished(&self) -> Result<BTreeSet<String>, TreeError> {
        let (mut deleted, mut written) = (BTreeSet::new(), BTreeSet::new());
        let mut directories = BTreeSet::new();
        for change in self.changes() {
            let path = change.path.as_str();
            if change.kind == ChangeKind::Delete {
                deleted.insert(path);
            } else {
                written.insert(path);
                directories.extend(above(path));
            }
        }
        let mut base = BaseDirectories {
            tree: self,
            deleted: &deleted,
            emptied: BTreeMap::new(),
        };
        let mut vanished = BTreeSet::new();
        for path in &deleted {
            let mut gone = Some(*path).filter(|path| !directories.contains(path));
            for directory in above(path) {
                if written.contains(directory) {
                    gone = None;
                    break;
                }
                if !directories.contains(directory) && base.is_emptied(directory)? {
                    gone = Some(directory);
                    break;
                }
            }
            vanished.extend(gone.map(str::to_owned));
        }
        Ok(vanished)
    }
}

/// Which directories of the base have lost every file.
struct BaseDirectories<'t> {
    tree: &'t PatchedTree,
    deleted: &'t BTreeSet<&'t str>,
    emptied: BTreeMap<String, bool>,
}

impl BaseDirectories<'_> {
    fn is_emptied(&mut self, directory: &str) -> Result<bool, TreeError> {
        if let Some(known) = self.emptied.get(directory) {
            return Ok(*known);
        }
        let emptied = self.look(directory)?;
        self.emptied.insert(directory.to_owned(), emptied);
        Ok(emptied)
    }

    fn look(&self, directory: &str) -> Result<bool, TreeError> {
        let damaged = |e: git2::Error| CheckoutError::from_objects(&e);
        let repo = self.tree.base().repository()?;
        let root = self.tree.base().tree_of(&repo)?;
        let entry = root.get_path(directory.as_ref()).map_err(damaged)?;
        let mut pending = vec![(entry.id(), format!("{directory}/"))];
        while let Some((id, prefix)) = pending.pop() {
            for entry in &repo.find_tree(id).map_err(damaged)? {
                let path = format!("{prefix}{}", String::from_utf8_lossy(entry.name_bytes()));
                if entry.kind() == Some(ObjectType::Tree) {
                    pending.push((entry.id(), path + "/"));
                } else if !self.deleted.contains(path.as_str()) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// The directories above `path`, topmost first.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}
