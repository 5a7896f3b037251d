//! Applies diffs to the base tree, in memory, all or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use git2::{ObjectType, Oid};

use super::base::{BaseTree, Found, NewFile, regular};
use super::binary::{BinaryDiff, Unusable};
use super::header::{Action, Header};
use super::hunk::{self, Misfit};
use super::parse::{Body, FileDiff};
use super::{Oversize, PatchRefusal};
use crate::checkout::CheckoutError;

/// The mode of a symbolic link.
const LINK: u32 = 0o120_000;

/// What the diffs make of the paths that they touch.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// The new file, or `None` where a file is removed.
    pub(super) files: BTreeMap<String, Option<NewFile>>,
    /// New paths of executable files that were renamed or copied.
    pub(super) inherited_executable: BTreeSet<String>,
}

pub(super) struct Applier<'a> {
    base: BaseTree<'a>,
    patch: &'a [u8],
    /// The most bytes in all changed files together.
    limit: u64,
    /// How many more bytes may be read and written.
    work: u64,
    /// Paths that some diff renames away: others may take their place.
    vacated: BTreeSet<String>,
    /// Paths of the base that were taken over before they were renamed away.
    displaced: BTreeSet<String>,
    applied: Applied,
    live_bytes: u64,
}

impl<'a> Applier<'a> {
    pub(super) fn new(base: BaseTree<'a>, patch: &'a [u8], limit: u64) -> Self {
        Self {
            base,
            patch,
            limit,
            work: limit.saturating_mul(8).saturating_add(patch.len() as u64),
            vacated: BTreeSet::new(),
            displaced: BTreeSet::new(),
            applied: Applied::default(),
            live_bytes: 0,
        }
    }

    /// Applies every diff, in order.
    pub(super) fn run(mut self, diffs: &[FileDiff]) -> Result<Applied, PatchRefusal> {
        self.vacated = diffs
            .iter()
            .filter(|diff| diff.header.action == Action::Rename)
            .map(|diff| text(&diff.header.old.path))
            .collect();
        for diff in diffs {
            self.one(diff)?;
        }
        self.check_directories()?;
        Ok(self.applied)
    }

    fn one(&mut self, diff: &FileDiff) -> Result<(), PatchRefusal> {
        let header = &diff.header;
        let (old, new) = (text(&header.old.path), text(&header.new.path));
        match header.action {
            Action::ModifyOrCreate if matches!(self.find(&old)?, Found::Nothing) => {
                self.create(diff, &new)
            }
            Action::Modify | Action::ModifyOrCreate => self.modify(diff, &old),
            Action::Create => self.create(diff, &new),
            Action::Delete => self.delete(diff, &old),
            Action::Rename | Action::Copy => self.derive(diff, &old, &new),
        }
    }

    fn modify(&mut self, diff: &FileDiff, path: &str) -> Result<(), PatchRefusal> {
        let file = regular(self.find(path)?, path)?;
        let changed = self.edit(diff, Some(&file), path)?;
        if diff.header.rewritten && self.vacated.contains(path) {
            self.displaced.insert(path.to_owned());
        }
        self.put(path, changed)
    }

    fn create(&mut self, diff: &FileDiff, path: &str) -> Result<(), PatchRefusal> {
        self.claim(path)?;
        let file = self.edit(diff, None, path)?;
        self.put(path, file)
    }

    fn delete(&mut self, diff: &FileDiff, path: &str) -> Result<(), PatchRefusal> {
        // Removing a link is harmless; everything else about one is refused.
        let file = match (self.find(path)?, diff.header.modes == [LINK]) {
            (Found::Link(link), true) => link,
            (Found::File(_), true) => {
                return Err(PatchRefusal::does_not_apply(
                    path,
                    "is removed as a link, but is a file",
                ));
            }
            (found, _) => regular(found, path)?,
        };
        match &diff.body {
            Body::Binary(_) => check_index(&diff.header, Some(&file), None, path)?,
            _ => {
                if self.edit(diff, Some(&file), path)?.size != 0 {
                    return Err(PatchRefusal::does_not_apply(
                        path,
                        "is deleted, but not all of its lines are; make the diff against the pinned commit",
                    ));
                }
            }
        }
        self.remove(path);
        Ok(())
    }

    /// A rename or copy. Its source is the file of the base commit: the diffs
    /// of one `git diff` do not depend on their order.
    fn derive(&mut self, diff: &FileDiff, old: &str, new: &str) -> Result<(), PatchRefusal> {
        let source = regular(self.base.find(old)?, old)?;
        if diff.header.action == Action::Rename {
            match self.applied.files.get(old) {
                None => self.remove(old),
                Some(Some(_)) if self.displaced.remove(old) => {}
                Some(None) => {
                    return Err(PatchRefusal::does_not_apply(
                        old,
                        "is renamed, but an earlier diff has removed it",
                    ));
                }
                Some(Some(_)) => {
                    return Err(PatchRefusal::Unparseable {
                        line: diff.header.line,
                        problem: "renames a file that an earlier diff changes; squash the patch into one diff",
                    });
                }
            }
        }
        self.claim(new)?;
        let file = self.edit(diff, Some(&source), new)?;
        if source.executable {
            self.applied.inherited_executable.insert(new.to_owned());
        }
        self.put(new, file)
    }

    /// Makes sure that a new file may be at `path`: nothing is there, or what is
    /// there is renamed away by a later diff.
    fn claim(&mut self, path: &str) -> Result<(), PatchRefusal> {
        match self.find(path)? {
            Found::Nothing | Found::Directory => Ok(()),
            Found::File(_)
                if self.vacated.contains(path) && !self.applied.files.contains_key(path) =>
            {
                self.displaced.insert(path.to_owned());
                Ok(())
            }
            Found::File(_) => Err(PatchRefusal::does_not_apply(
                path,
                "is a new file, but there is one already",
            )),
            found => regular(found, path).map(drop),
        }
    }

    /// What the body of a diff makes of `source`; of nothing for a new file.
    fn edit(
        &mut self,
        diff: &FileDiff,
        source: Option<&NewFile>,
        path: &str,
    ) -> Result<NewFile, PatchRefusal> {
        let executable = match diff.header.new_mode {
            Some(mode) => mode & 0o100 != 0,
            None => source.is_some_and(|file| file.executable),
        };
        let content = match &diff.body {
            Body::Hunks(hunks) if hunks.is_empty() => match source {
                Some(file) => {
                    return Ok(NewFile {
                        executable,
                        ..file.clone()
                    });
                }
                None => Vec::new(),
            },
            Body::Hunks(hunks) => {
                let old = self.read(source)?;
                hunk::apply(&old, hunks, self.patch, self.limit).map_err(|misfit| match misfit {
                    Misfit::Context(problem) => PatchRefusal::does_not_apply(path, problem),
                    Misfit::TooLong => self.too_long(),
                })?
            }
            Body::Binary(binary) => self.edit_binary(binary, source, path)?,
            Body::BinaryWithoutData => {
                return Err(PatchRefusal::Unparseable {
                    line: diff.header.line,
                    problem: "says that binary files differ, but not how; use `git diff --binary`",
                });
            }
        };
        self.spend(content.len() as u64)?;
        let blob = Oid::hash_object(ObjectType::Blob, &content)
            .map_err(|e| CheckoutError::from_objects(&e))?;
        let file = NewFile {
            blob,
            size: content.len() as u64,
            executable,
            content: Some(content.into()),
        };
        if matches!(diff.body, Body::Binary(_)) {
            check_index(&diff.header, source, Some(&file), path)?;
        }
        Ok(file)
    }

    fn edit_binary(
        &mut self,
        binary: &BinaryDiff,
        source: Option<&NewFile>,
        path: &str,
    ) -> Result<Vec<u8>, PatchRefusal> {
        let old = if binary.is_delta() {
            self.read(source)?
        } else {
            Arc::from([])
        };
        binary.apply(&old, self.limit).map_err(|problem| match problem {
            Unusable::TooLong => self.too_long(),
            Unusable::Corrupt => PatchRefusal::does_not_apply(path, "its binary data is corrupt"),
            Unusable::WrongBase => PatchRefusal::does_not_apply(path, "its binary data is for another version; make the diff against the pinned commit"),
        })
    }

    /// The bytes of a file, unless they cannot fit into an allowed result.
    fn read(&mut self, file: Option<&NewFile>) -> Result<Arc<[u8]>, PatchRefusal> {
        let Some(file) = file else {
            return Ok(Arc::from([]));
        };
        // Each byte that a patch removes is in its text.
        if file.size > self.limit.saturating_add(self.patch.len() as u64) {
            return Err(self.too_long());
        }
        self.spend(file.size)?;
        if let Some(content) = &file.content {
            return Ok(Arc::clone(content));
        }
        Ok(self.base.read(file.blob)?)
    }

    fn spend(&mut self, bytes: u64) -> Result<(), PatchRefusal> {
        self.work = self
            .work
            .checked_sub(bytes)
            .ok_or(PatchRefusal::TooLarge(Oversize::Work))?;
        Ok(())
    }

    fn too_long(&self) -> PatchRefusal {
        PatchRefusal::TooLarge(Oversize::Decoded { limit: self.limit })
    }

    fn put(&mut self, path: &str, file: NewFile) -> Result<(), PatchRefusal> {
        self.live_bytes += file.size;
        if let Some(Some(before)) = self.applied.files.insert(path.to_owned(), Some(file)) {
            self.live_bytes -= before.size;
        }
        if self.live_bytes > self.limit {
            return Err(self.too_long());
        }
        Ok(())
    }

    fn remove(&mut self, path: &str) {
        if let Some(Some(before)) = self.applied.files.insert(path.to_owned(), None) {
            self.live_bytes -= before.size;
        }
    }

    /// What is at `path` after the diffs so far.
    fn find(&self, path: &str) -> Result<Found, PatchRefusal> {
        match self.applied.files.get(path) {
            Some(Some(file)) => Ok(Found::File(file.clone())),
            Some(None) => Ok(Found::Nothing),
            None => self.base.find(path),
        }
    }

    /// No file may end up where a directory is, nor below another file.
    fn check_directories(&self) -> Result<(), PatchRefusal> {
        let mut sound = BTreeSet::new();
        let written = self.applied.files.iter().filter(|(_, file)| file.is_some());
        for (path, _) in written {
            for (slash, _) in path.match_indices('/') {
                let above = &path[..slash];
                if !sound.insert(above) {
                    continue;
                }
                match self.find(above)? {
                    Found::Nothing | Found::Directory => {}
                    Found::File(_) => {
                        return Err(PatchRefusal::does_not_apply(path, "is below a file"));
                    }
                    found => drop(regular(found, above)?),
                }
            }
            let removed = |path: &str| matches!(self.applied.files.get(path), Some(None));
            if matches!(self.base.find(path)?, Found::Directory)
                && !self.base.all_below(path, removed)?
            {
                return Err(PatchRefusal::does_not_apply(path, "is a directory"));
            }
        }
        Ok(())
    }
}

/// Binary diffs must say in full what they start from and what they make.
fn check_index(
    header: &Header,
    old: Option<&NewFile>,
    new: Option<&NewFile>,
    path: &str,
) -> Result<(), PatchRefusal> {
    let says = |given: &[u8], file: Option<&NewFile>| match file {
        Some(file) => given == file.blob.to_string().as_bytes(),
        None => given.iter().all(|digit| *digit == b'0'),
    };
    let (given_old, given_new) = header
        .index
        .as_ref()
        .filter(|(old, new)| old.len() == 40 && new.len() == 40)
        .ok_or(PatchRefusal::Unparseable {
            line: header.line,
            problem: "a binary diff needs full ids on its index line; use `git diff --binary`",
        })?;
    if !says(given_old, old) || !says(given_new, new) {
        return Err(PatchRefusal::does_not_apply(
            path,
            "the ids of its index line are not those of the old and new content",
        ));
    }
    Ok(())
}

/// Paths are text once the rules have passed.
fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
