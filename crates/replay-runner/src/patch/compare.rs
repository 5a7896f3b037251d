//! Trees: writing the patched one, and what differs between two.

use std::collections::BTreeMap;

use git2::{Oid, Repository, Tree};

use super::base::NewFile;

const TREE: i32 = 0o040_000;

/// Writes the tree that `base` becomes with `files`, sorted by path. The caller
/// has made sure that no file is where a directory is.
pub(super) fn write_tree(
    repo: &Repository,
    base: Option<&Tree<'_>>,
    files: &[(&str, Option<&NewFile>)],
) -> Result<Option<Oid>, git2::Error> {
    let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    for (path, file) in files {
        match path.split_once('/') {
            Some((directory, rest)) => groups
                .entry(directory)
                .or_default()
                .below
                .push((rest, *file)),
            None => groups.entry(path).or_default().here = *file,
        }
    }
    let mut builder = repo.treebuilder(base)?;
    for (name, group) in groups {
        let before = builder
            .get(name)?
            .map(|entry| (entry.id(), entry.filemode_raw()));
        let result = if let Some(file) = group.here {
            let mode = if file.executable {
                0o100_755
            } else {
                0o100_644
            };
            Some((file.blob, mode))
        } else {
            let subtree = match before {
                Some((id, TREE)) => Some(repo.find_tree(id)?),
                _ => None,
            };
            write_tree(repo, subtree.as_ref(), &group.below)?.map(|id| (id, TREE))
        };
        match result {
            Some((entry, mode)) => drop(builder.insert(name, entry, mode)?),
            None if before.is_some() => builder.remove(name)?,
            None => {}
        }
    }
    if builder.is_empty() {
        Ok(None)
    } else {
        builder.write().map(Some)
    }
}

#[derive(Default)]
struct Group<'f> {
    /// The file of this name, unless it is removed.
    here: Option<&'f NewFile>,
    below: Vec<(&'f str, Option<&'f NewFile>)>,
}

/// One path that differs, as the two trees have it: mode and id.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) path: Vec<u8>,
    pub(super) old: Option<(i32, Oid)>,
    pub(super) new: Option<(i32, Oid)>,
}

/// Every path below the root that is not the same in both trees, without any
/// detection of renames.
pub(super) fn differences(
    repo: &Repository,
    old: Option<Oid>,
    new: Option<Oid>,
) -> Result<Vec<Difference>, git2::Error> {
    let mut found = Vec::new();
    collect(repo, old, new, &[], &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

type Entries = BTreeMap<Vec<u8>, (i32, Oid)>;

fn collect(
    repo: &Repository,
    old: Option<Oid>,
    new: Option<Oid>,
    above: &[u8],
    found: &mut Vec<Difference>,
) -> Result<(), git2::Error> {
    let (old, new) = (entries(repo, old)?, entries(repo, new)?);
    let names = old
        .keys()
        .chain(new.keys().filter(|name| !old.contains_key(*name)));
    for name in names {
        let (before, after) = (old.get(name).copied(), new.get(name).copied());
        if before == after {
            continue;
        }
        let path = [above, name].concat();
        let tree =
            |entry: Option<(i32, Oid)>| entry.filter(|(mode, _)| *mode == TREE).map(|(_, id)| id);
        let leaf = |entry: Option<(i32, Oid)>| entry.filter(|(mode, _)| *mode != TREE);
        if tree(before).is_some() || tree(after).is_some() {
            let below = [path.as_slice(), b"/"].concat();
            collect(repo, tree(before), tree(after), &below, found)?;
        }
        if leaf(before) != leaf(after) {
            found.push(Difference {
                path,
                old: leaf(before),
                new: leaf(after),
            });
        }
    }
    Ok(())
}

fn entries(repo: &Repository, tree: Option<Oid>) -> Result<Entries, git2::Error> {
    let Some(id) = tree else {
        return Ok(Entries::new());
    };
    let tree = repo.find_tree(id)?;
    Ok(tree
        .iter()
        .map(|entry| {
            (
                entry.name_bytes().to_vec(),
                (entry.filemode_raw(), entry.id()),
            )
        })
        .collect())
}
