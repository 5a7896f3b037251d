//! The gate itself: the one way from a [`Patch`] to a [`PatchedTree`].

use std::collections::BTreeSet;

use git2::{ObjectType, Odb, Oid, Repository, Tree};
use protocol::TreeId;
use protocol::paths::{AllowedPaths, InTree, check_safe, escaped, is_generated};
use protocol::spec::PatchRules;

use super::apply::{Applied, Applier};
use super::base::{BaseTree, NewFile};
use super::compare::{self, Difference};
use super::patched::Content;
use super::{Change, ChangeKind, Oversize, Patch, PatchRefusal, PatchedTree, parse, rules};
use crate::checkout::{CheckoutError, PinnedCommit};

/// Decides which patches may run, by the rules of one task.
#[derive(Debug, Clone)]
pub struct PatchGate<'a> {
    rules: &'a PatchRules,
    allowed: AllowedPaths,
}

impl<'a> PatchGate<'a> {
    /// A gate with these rules, if every path and glob in them is one.
    pub fn new(rules: &'a PatchRules) -> Result<Self, PatchRefusal> {
        Ok(Self {
            rules,
            allowed: AllowedPaths::new(&rules.allowed_paths, &rules.protected_paths)?,
        })
    }

    /// Applies the patch to the base tree and judges the result.
    ///
    /// Nothing is written: not to the mirror, not to a directory.
    pub fn review(&self, base: &PinnedCommit, patch: &Patch) -> Result<PatchedTree, PatchRefusal> {
        self.check_size(patch)?;
        let diffs = parse::parse(patch.text(), self.rules.max_files)?;
        if diffs.is_empty() {
            return Err(PatchRefusal::Empty);
        }
        let view = base.repository()?;
        let base_tree = base.tree_of(&view)?;
        let allowed = self
            .allowed
            .clone()
            .in_tree(|path| in_tree(&base_tree, path));

        let announced = rules::check(&diffs, self.rules, &allowed)?;
        let limit = self.rules.max_decoded_bytes.get();
        let tree = BaseTree {
            repo: &view,
            tree: &base_tree,
        };
        let applied = Applier::new(tree, patch.text(), limit).run(&diffs)?;

        let scratch = scratch(base).map_err(|e| storage(&e))?;
        let id = build(&scratch, base_tree.id(), &applied).map_err(|e| storage(&e))?;
        let differences = compare::differences(&scratch, Some(base_tree.id()), Some(id))
            .map_err(|e| storage(&e))?;
        let judge = Judge {
            rules: self.rules,
            allowed: &allowed,
            announced: &announced,
            applied: &applied,
        };
        let changes = judge.changes(&scratch, &differences)?;
        Ok(PatchedTree {
            id: tree_id(id),
            base: base.clone(),
            changes,
        })
    }

    fn check_size(&self, patch: &Patch) -> Result<(), PatchRefusal> {
        let (bytes, limit) = (patch.text().len() as u64, self.rules.max_bytes);
        if bytes > limit {
            return Err(PatchRefusal::TooLarge(Oversize::Text { bytes, limit }));
        }
        Ok(())
    }
}

/// A place for new objects that is gone with the review: they go to memory, the
/// base's objects are read through.
fn scratch(base: &PinnedCommit) -> Result<Repository, git2::Error> {
    let odb = Odb::new()?;
    odb.add_new_mempack_backend(1000)?;
    base.add_objects_to(&odb)?;
    Repository::from_odb(odb)
}

fn build(scratch: &Repository, base: Oid, applied: &Applied) -> Result<Oid, git2::Error> {
    let odb = scratch.odb()?;
    for file in applied.files.values().flatten() {
        if let Some(content) = &file.content {
            odb.write(ObjectType::Blob, content)?;
        }
    }
    let files: Vec<_> = applied
        .files
        .iter()
        .map(|(path, file)| (path.as_str(), file.as_ref()))
        .collect();
    let base = scratch.find_tree(base)?;
    match compare::write_tree(scratch, Some(&base), &files)? {
        Some(id) => Ok(id),
        None => scratch.treebuilder(None)?.write(),
    }
}

fn in_tree(tree: &Tree<'_>, path: &str) -> Option<InTree> {
    let entry = tree.get_path(path.as_ref()).ok()?;
    Some(match entry.kind() {
        Some(ObjectType::Tree) => InTree::Directory,
        _ => InTree::File,
    })
}

fn storage(error: &git2::Error) -> PatchRefusal {
    CheckoutError::from_objects(error).into()
}

fn tree_id(id: Oid) -> TreeId {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(&id.as_bytes()[..20]);
    TreeId::from_bytes(bytes)
}

/// The last word: what really differs between the two trees.
struct Judge<'a> {
    rules: &'a PatchRules,
    allowed: &'a AllowedPaths,
    /// What the text said that it changes.
    announced: &'a BTreeSet<String>,
    applied: &'a Applied,
}

impl Judge<'_> {
    fn changes(
        &self,
        scratch: &Repository,
        differences: &[Difference],
    ) -> Result<Vec<Change>, PatchRefusal> {
        if differences.is_empty() {
            return Err(PatchRefusal::Empty);
        }
        if differences.len() > self.rules.max_files as usize {
            return Err(PatchRefusal::TooLarge(Oversize::Files {
                limit: self.rules.max_files,
            }));
        }
        let odb = scratch.odb().map_err(|e| storage(&e))?;
        let mut left = self.rules.max_decoded_bytes.get();
        let mut changes = Vec::with_capacity(differences.len());
        for difference in differences {
            let path = self.path(difference)?;
            let kind = match difference.new {
                None => ChangeKind::Delete,
                Some((mode, blob)) => {
                    let executable = self.is_executable(difference, mode, path)?;
                    let size = odb.read_header(blob).map_err(|e| storage(&e))?.0 as u64;
                    left = left.checked_sub(size).ok_or(PatchRefusal::TooLarge(
                        Oversize::Decoded {
                            limit: self.rules.max_decoded_bytes.get(),
                        },
                    ))?;
                    ChangeKind::Write {
                        blob,
                        size,
                        executable,
                        content: self.content(path, blob),
                    }
                }
            };
            changes.push(Change {
                path: path.to_owned(),
                kind,
            });
        }
        Ok(changes)
    }

    /// The path of a difference, if it may differ at all.
    fn path<'d>(&self, difference: &'d Difference) -> Result<&'d str, PatchRefusal> {
        let path = check_safe(&difference.path)?;
        let shown = || escaped(path.as_bytes());
        let removed = difference.new.is_none();
        for (mode, _) in [difference.old, difference.new].into_iter().flatten() {
            match mode & 0o170_000 {
                0o100_000 => {}
                0o120_000 if removed => {}
                0o160_000 => return Err(PatchRefusal::Submodule { path: shown() }),
                _ => return Err(PatchRefusal::Symlink { path: shown() }),
            }
        }
        rules::permitted(path, self.allowed)?;
        if !self.announced.contains(path) {
            return Err(PatchRefusal::PathNotAllowed { path: shown() });
        }
        if difference.new.is_some() && is_generated(path) {
            return Err(PatchRefusal::GeneratedFile { path: shown() });
        }
        Ok(path)
    }

    /// Whether the new file is executable, if it may be what it is: executable
    /// files stay so, also under a new name.
    fn is_executable(
        &self,
        difference: &Difference,
        mode: i32,
        path: &str,
    ) -> Result<bool, PatchRefusal> {
        let was = difference.old.is_some_and(|(mode, _)| mode & 0o100 != 0);
        match mode {
            0o100_644 => Ok(false),
            0o100_755
                if was
                    || self.rules.allow_executable
                    || self.applied.inherited_executable.contains(path) =>
            {
                Ok(true)
            }
            _ => Err(PatchRefusal::ModeChange {
                path: escaped(path.as_bytes()),
                mode: mode.unsigned_abs(),
            }),
        }
    }

    fn content(&self, path: &str, blob: Oid) -> Option<Content> {
        let file: &NewFile = self.applied.files.get(path)?.as_ref()?;
        (file.blob == blob).then(|| file.content.clone().map(Content))?
    }
}

#[cfg(test)]
mod tests {
    use protocol::Code;
    use protocol::limits::Bytes;

    use super::*;

    /// The tree has the last word also where the text has said nothing wrong.
    #[test]
    fn what_the_trees_show_is_judged_without_the_text() {
        let rules = PatchRules {
            allowed_paths: vec!["src/".to_owned()],
            protected_paths: vec!["src/eval".to_owned()],
            max_bytes: 1,
            max_files: 9,
            max_decoded_bytes: Bytes::new(9),
            allow_binary: false,
            allow_executable: false,
        };
        let allowed =
            AllowedPaths::new(&rules.allowed_paths, &rules.protected_paths).expect("rules compile");
        let announced = ["src/a", "src/eval/a", "eval/a", "src/a.pyc", "src/.git/a"];
        let judge = Judge {
            rules: &rules,
            allowed: &allowed,
            announced: &announced.map(str::to_owned).into(),
            applied: &Applied::default(),
        };
        let judged = |path: &str, old: Option<i32>, new: Option<i32>| {
            let entry = |mode: Option<i32>| mode.map(|mode| (mode, Oid::ZERO_SHA1));
            let difference = Difference {
                path: path.into(),
                old: entry(old),
                new: entry(new),
            };
            let path = judge.path(&difference).map_err(|refusal| refusal.code())?;
            let mode = new.unwrap_or(0o100_644);
            judge
                .is_executable(&difference, mode, path)
                .map_err(|refusal| refusal.code())
        };
        let file = Some(0o100_644);
        for (path, old, new, code) in [
            ("src/b", None, file, Code::PatchPathNotAllowed), // A24: not announced
            ("src/eval/a", file, None, Code::PatchPathNotAllowed),
            ("eval/a", None, file, Code::PatchPathNotAllowed),
            ("src/.git/a", None, file, Code::PatchPathUnsafe),
            ("src/a.pyc", None, file, Code::PatchGeneratedFile),
            ("src/a", file, Some(0o120_000), Code::PatchSymlink),
            ("src/a", Some(0o120_000), file, Code::PatchSymlink),
            ("src/a", file, Some(0o160_000), Code::PatchSubmodule),
            ("src/a", Some(0o160_000), None, Code::PatchSubmodule),
            ("src/a", file, Some(0o100_755), Code::PatchModeChange),
            ("src/a", file, Some(0o100_664), Code::PatchModeChange),
            ("src/a", None, Some(0o104_755), Code::PatchModeChange),
        ] {
            assert_eq!(judged(path, old, new), Err(code), "{path} {old:?} {new:?}");
        }
        assert_eq!(judged("src/a", file, file), Ok(false));
        assert_eq!(judged("src/a", Some(0o100_755), Some(0o100_755)), Ok(true));
        assert_eq!(judged("src/a", Some(0o120_000), None), Ok(false));
    }
}
