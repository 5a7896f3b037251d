//! What a patch changes, as a layer of an overlay over the pristine tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::TreeError;
use super::writer::Writer;
use crate::checkout::all_below;
use crate::patch::{ChangeKind, PatchedTree};
use crate::sandbox::SandboxUser;

impl PatchedTree {
    /// Writes the changes into `layer`, an empty directory, as `user`'s: regular files, and
    /// whiteouts for what is gone. With the pristine tree below, it shows
    /// exactly the patched tree: a directory without files is gone, too.
    pub fn write_layer(&self, layer: &Path, user: SandboxUser) -> Result<(), TreeError> {
        let mut writer = Writer::open(layer, user, self.base().seconds())?;
        for change in self.changes() {
            if let ChangeKind::Write { executable, .. } = &change.kind {
                let content = self.content(change)?.unwrap_or_default();
                writer.file(&change.path, &mut &content[..], *executable)?;
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
        let repo = self.base().repository()?;
        let base = self.base().tree_of(&repo)?;
        let mut emptied = BTreeMap::new();
        let mut vanished = BTreeSet::new();
        for path in &deleted {
            let mut gone = Some(*path).filter(|path| !directories.contains(path));
            for directory in above(path) {
                if written.contains(directory) {
                    gone = None;
                    break;
                }
                if directories.contains(directory) {
                    continue;
                }
                let is_emptied = match emptied.get(directory) {
                    Some(known) => *known,
                    None => all_below(&repo, &base, directory, |path| deleted.contains(path))?,
                };
                emptied.insert(directory, is_emptied);
                if is_emptied {
                    gone = Some(directory);
                    break;
                }
            }
            vanished.extend(gone.map(str::to_owned));
        }
        Ok(vanished)
    }
}

/// The directories above `path`, topmost first.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}
