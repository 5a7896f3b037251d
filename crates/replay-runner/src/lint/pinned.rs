//! The pinned tree, as far as lint reads it.

use protocol::paths::{AllowedPaths, InTree};
use protocol::{Sha256Digest, Task};

use crate::checkout::{BaseEntry, EntryKind, PinnedCommit};
use crate::failure::Failure;

/// Longer files are not looked into.
const LARGEST: u64 = 4 << 20;

/// A file of the pinned tree.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: String,
    /// Whether a patch may change it.
    pub(crate) is_allowed: bool,
    /// Its content, if it is no longer than what is looked into.
    pub(crate) content: Option<Vec<u8>>,
}

impl File {
    /// Its content as text.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.content.as_deref()?).ok()
    }

    pub(crate) fn digest(&self) -> Option<Sha256Digest> {
        self.content.as_deref().map(Sha256Digest::of)
    }

    /// What is after the last dot of its name.
    pub(crate) fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

/// The regular files of a commit.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
    allowed: AllowedPaths,
}

impl Tree {
    /// Reads the files of `base` with the path rules of `task`.
    pub(crate) fn read(base: &PinnedCommit, task: &Task) -> Result<Self, Failure> {
        let entries = base.entries()?;
        let in_tree = |path: &str| find(&entries, path);
        let allowed = AllowedPaths::new(&task.allowed_patch_paths, &task.protected_paths)
            .map_err(|error| Failure::new(protocol::Code::SpecInvalid, error.to_string()))?
            .in_tree(in_tree);
        let mut files = Vec::new();
        for entry in &entries {
            if matches!(entry.kind, EntryKind::File | EntryKind::Executable) {
                files.push(File {
                    path: entry.path.clone(),
                    is_allowed: allowed.allows(&entry.path),
                    content: base.read_id(entry.blob, LARGEST)?,
                });
            }
        }
        Ok(Self { files, allowed })
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether a patch may make or change `path`.
    pub(crate) fn allows(&self, path: &str) -> bool {
        self.allowed.allows(path)
    }

    /// The files that the words of a shell command name.
    pub(crate) fn named_in<'a>(&'a self, command: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| {
            words(command).any(|word| word.trim_start_matches("./") == file.path)
        })
    }
}

/// The words of a shell command, as far as that can be told without a shell.
fn words(command: &str) -> impl Iterator<Item = &str> {
    command
        .split(|c: char| {
            c.is_whitespace()
                || matches!(
                    c,
                    ';' | '&' | '|' | '(' | ')' | '<' | '>' | '"' | '\'' | '='
                )
        })
        .filter(|word| !word.is_empty())
}

fn find(entries: &[BaseEntry], path: &str) -> Option<InTree> {
    let below = format!("{path}/");
    if entries.iter().any(|entry| entry.path == path) {
        return Some(InTree::File);
    }
    entries
        .iter()
        .any(|entry| entry.path.starts_with(&below))
        .then_some(InTree::Directory)
}
