//! What the text of a patch says, against what the task allows. The tree is
//! judged again after applying; this gives the more precise answer, and refuses
//! what the tree would hide.

use std::collections::BTreeSet;

use protocol::paths::{AllowedPaths, check_safe, escaped, is_generated};
use protocol::spec::PatchRules;

use super::header::{Action, Header};
use super::parse::{Body, FileDiff};
use super::{Oversize, PatchRefusal};

/// More than any honest patch touches.
const MOST_DIRECTORIES: usize = 10_000;

/// Refuses the first diff that breaks a rule; safety before permission.
pub(super) fn check(
    diffs: &[FileDiff],
    rules: &PatchRules,
    allowed: &AllowedPaths,
) -> Result<BTreeSet<String>, PatchRefusal> {
    for diff in diffs {
        safe_names(&diff.header)?;
    }
    for diff in diffs {
        regular_modes(&diff.header, rules)?;
    }
    let mut changed = BTreeSet::new();
    for diff in diffs {
        for path in changed_paths(&diff.header)? {
            permitted(path, allowed)?;
            changed.insert(path.to_owned());
        }
    }
    few_enough(&changed, rules)?;
    for diff in diffs {
        let path = &diff.header.new.path;
        if diff.header.action != Action::Delete && is_generated(&String::from_utf8_lossy(path)) {
            return Err(PatchRefusal::GeneratedFile {
                path: escaped(path),
            });
        }
        if !rules.allow_binary && !matches!(diff.body, Body::Hunks(_)) {
            return Err(PatchRefusal::Binary {
                path: escaped(path),
            });
        }
    }
    Ok(changed)
}

/// Bounds the paths, and the directories above them: a patch of long paths
/// would make a hundred directories a line.
fn few_enough(changed: &BTreeSet<String>, rules: &PatchRules) -> Result<(), PatchRefusal> {
    let limit = rules.max_files;
    if changed.len() > limit as usize {
        return Err(PatchRefusal::TooLarge(Oversize::Files { limit }));
    }
    let mut directories = BTreeSet::new();
    for path in changed {
        directories.extend(path.match_indices('/').map(|(slash, _)| &path[..slash]));
    }
    if directories.len() > MOST_DIRECTORIES {
        return Err(PatchRefusal::TooLarge(Oversize::Directories {
            limit: MOST_DIRECTORIES,
        }));
    }
    Ok(())
}

/// Both names of a diff, with and without their prefixes.
fn safe_names(header: &Header) -> Result<(), PatchRefusal> {
    for name in [&header.old, &header.new] {
        check_safe(&name.path)?;
    }
    for raw in &header.named {
        check_safe(raw.strip_prefix(b"./").unwrap_or(raw))?;
    }
    Ok(())
}

fn regular_modes(header: &Header, rules: &PatchRules) -> Result<(), PatchRefusal> {
    let path = || escaped(&header.new.path);
    for mode in &header.modes {
        match mode {
            0o100_644 | 0o100_755 => {}
            0o120_000 if header.action == Action::Delete => {}
            0o160_000 => return Err(PatchRefusal::Submodule { path: path() }),
            mode if mode & 0o170_000 == 0o120_000 => {
                return Err(PatchRefusal::Symlink { path: path() });
            }
            mode => {
                return Err(PatchRefusal::ModeChange {
                    path: path(),
                    mode: *mode,
                });
            }
        }
    }
    let becomes_executable = header.new_mode == Some(0o100_755)
        && (header.action == Action::Create || header.changes_mode);
    if becomes_executable && !rules.allow_executable {
        return Err(PatchRefusal::ModeChange {
            path: path(),
            mode: 0o100_755,
        });
    }
    Ok(())
}

/// The paths that a diff writes or removes.
fn changed_paths(header: &Header) -> Result<Vec<&str>, PatchRefusal> {
    let names = match header.action {
        Action::Rename => vec![&header.old, &header.new],
        _ => vec![&header.new],
    };
    names
        .into_iter()
        .map(|name| Ok(check_safe(&name.path)?))
        .collect()
}

pub(super) fn permitted(path: &str, allowed: &AllowedPaths) -> Result<(), PatchRefusal> {
    if allowed.allows(path) {
        Ok(())
    } else {
        Err(PatchRefusal::PathNotAllowed {
            path: escaped(path.as_bytes()),
        })
    }
}
