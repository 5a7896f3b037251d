//! The files that must be as they were: every tracked one that the patch may
//! not change.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use protocol::paths::{AllowedPaths, InTree, escaped};
use protocol::spec::PatchRules;

use super::writer::{Writer, beneath};
use super::written::{Written, is_placeholder};
use super::{Pristine, TreeError};
use crate::checkout::{BaseEntry, EntryKind};
use crate::sandbox::SandboxUser;

/// The tracked files outside the allowed paths, and their pristine content.
#[derive(Debug, Clone)]
pub struct Protected {
    pristine: PathBuf,
    user: SandboxUser,
    seconds: i64,
    files: BTreeMap<String, BaseEntry>,
    displaced: Vec<String>,
}

impl Protected {
    /// The files of `pristine` that `rules` do not let a patch change.
    pub fn of(pristine: &Pristine, rules: &PatchRules) -> Result<Self, TreeError> {
        Self::beside(pristine, rules, &Written::default())
    }

    /// The same without what the stages of the task write by its own word,
    /// unless `rules` protect that by name.
    pub fn beside(
        pristine: &Pristine,
        rules: &PatchRules,
        written: &Written,
    ) -> Result<Self, TreeError> {
        let entries = pristine.entries();
        let allowed = AllowedPaths::new(&rules.allowed_paths, &rules.protected_paths)?
            .in_tree(|path| in_tree(entries, path));
        let unguarded = AllowedPaths::new(&["**".to_owned()], &rules.protected_paths)?;
        let (mut files, mut displaced) = (BTreeMap::new(), Vec::new());
        for entry in entries {
            let path = entry.path.as_str();
            if allowed.allows(path) {
                continue;
            }
            if unguarded.allows(path) {
                if written.is_result(path) {
                    continue;
                }
                if written.output_over(path).is_some() {
                    displaced.extend((!is_placeholder(path)).then(|| path.to_owned()));
                    continue;
                }
            }
            files.insert(entry.path.clone(), entry.clone());
        }
        let protected = Self {
            pristine: pristine.path(),
            user: pristine.user(),
            seconds: pristine.seconds(),
            files,
            displaced,
        };
        protected.check(written)?;
        Ok(protected)
    }

    /// Refuses a task that says two things of a file.
    fn check(&self, written: &Written) -> Result<(), TreeError> {
        let unusable = |path: &str, problem| TreeError::Unusable {
            path: escaped(path.as_bytes()),
            problem,
        };
        let is_above = |path: &str| self.is_above(Path::new(path));
        if let Some(result) = written.result.as_deref().filter(|path| is_above(path)) {
            return Err(unusable(
                result,
                "is a directory of tracked files, and the task's result_path; name a file that the benchmark makes",
            ));
        }
        // Nothing of such a directory is hidden from a stage, so that the scorer
        // would see what the benchmark made of the rest.
        let mixed = |path: &&String| written.output_over(path).is_some_and(is_above);
        match self.displaced.iter().find(mixed) {
            Some(path) => Err(unusable(
                path,
                "lies in one of the task's outputs beside protected files; name it in protected_paths, too, or remove it from the repository",
            )),
            None => Ok(()),
        }
    }

    /// Tracked files outside the allowed paths at whose place the task declares
    /// an output: no stage sees them, and the scorer what the benchmark wrote.
    pub fn displaced(&self) -> &[String] {
        &self.displaced
    }

    /// The files, in the order of their paths.
    pub fn files(&self) -> impl Iterator<Item = &BaseEntry> {
        self.files.values()
    }

    /// The time that everything in the tree carries, in seconds since 1970.
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Room in bytes for all of them, in pages, with their directories.
    pub fn room_bytes(&self) -> u64 {
        let content: u64 = self.files.values().map(|entry| entry.size).sum();
        content + self.room_files() * 4096
    }

    /// Room in files for all of them with their directories.
    pub fn room_files(&self) -> u64 {
        let directories = |path: &String| path.matches('/').count() as u64;
        self.files
            .keys()
            .map(|path| 1 + directories(path))
            .sum::<u64>()
            + 64
    }

    /// Whether `path` is one of them.
    pub fn contains(&self, path: &Path) -> bool {
        path.to_str()
            .is_some_and(|path| self.files.contains_key(path))
    }

    /// Whether one of them lies below `path`.
    pub fn is_above(&self, path: &Path) -> bool {
        let Some(below) = path.to_str().map(|path| format!("{path}/")) else {
            return false;
        };
        self.files
            .range(below.clone()..)
            .next()
            .is_some_and(|(file, _)| file.starts_with(&below))
    }

    /// Which of them a stage changed, read off the upper layer that it wrote:
    /// other content, another kind, removed, or hidden. Touching a file or
    /// changing its mode is not a change. Costs as much as was written where
    /// protected files are, however large the tree is.
    pub fn changed(&self, written: &Path) -> Result<Vec<String>, TreeError> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let upper = open(written, flags, Mode::empty())?;
        let pristine = open(&self.pristine, flags, Mode::empty())?;
        let mut search = Search {
            pristine,
            changed: Vec::new(),
        };
        let files: Vec<&BaseEntry> = self.files.values().collect();
        search.directory(Some(&upper), &files, 0, false)?;
        Ok(search.changed)
    }

    /// Writes the pristine content of `paths` into `layer`, an empty directory.
    pub fn restore(&self, paths: &[String], layer: &Path) -> Result<(), TreeError> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let pristine = open(&self.pristine, flags, Mode::empty())?;
        let mut writer = Writer::open(layer, self.user, self.seconds)?;
        for entry in paths.iter().filter_map(|path| self.files.get(path)) {
            match entry.kind {
                EntryKind::Submodule => writer.directory(&entry.path)?,
                EntryKind::Symlink => {
                    let target = readlinkat(&pristine, entry.path.as_str())?;
                    writer.symlink(&entry.path, target.as_encoded_bytes())?;
                }
                kind => {
                    let mut content =
                        File::from(beneath(&pristine, &entry.path, OFlag::O_RDONLY, 0)?);
                    writer.file(&entry.path, &mut content, kind == EntryKind::Executable)?;
                }
            }
        }
        writer.finish().map(drop)
    }
}

/// What the sorted `entries` have at `path`.
fn in_tree(entries: &[BaseEntry], path: &str) -> Option<InTree> {
    let first_not_before = |path: &str| entries.partition_point(|entry| entry.path.as_str() < path);
    let at = |index: usize| entries.get(index).map_or("", |entry| entry.path.as_str());
    let below = format!("{path}/");
    if at(first_not_before(path)) == path {
        Some(InTree::File)
    } else {
        at(first_not_before(&below))
            .starts_with(&below)
            .then_some(InTree::Directory)
    }
}

struct Search {
    pristine: OwnedFd,
    changed: Vec<String>,
}

impl Search {
    /// Compares the protected `files`, all below one directory whose path is
    /// `depth` bytes long, with that directory of the upper layer; `None` where
    /// the upper layer hides it.
    fn directory(
        &mut self,
        upper: Option<&OwnedFd>,
        files: &[&BaseEntry],
        depth: usize,
        opaque: bool,
    ) -> Result<(), TreeError> {
        let mut rest = files;
        while let Some(first) = rest.first() {
            let name = first.path[depth..].split('/').next().unwrap_or_default();
            let end = depth + name.len();
            let count = rest
                .iter()
                .take_while(|file| {
                    file.path.as_bytes().get(..end) == first.path.as_bytes().get(..end)
                        && file.path.as_bytes().get(end).is_none_or(|b| *b == b'/')
                })
                .count()
                .max(1);
            let (group, after) = rest.split_at(count);
            rest = after;
            let is_file = first.path.len() == end;
            let found = match upper {
                Some(upper) => stat(upper, name)?,
                None => None,
            };
            match (found, upper) {
                (None, _) if opaque => self.all(group),
                (None, _) | (_, None) => {}
                (Some(found), Some(upper)) if is_file => {
                    if !self.same(upper, name, &found, first)? {
                        self.all(group);
                    }
                }
                (Some(found), Some(upper)) if kind(&found) == SFlag::S_IFDIR => {
                    let below = beneath(upper, name, OFlag::O_DIRECTORY | OFlag::O_RDONLY, 0)?;
                    let opaque = opaque || is_opaque(&below);
                    self.directory(Some(&below), group, end + 1, opaque)?;
                }
                _ => self.all(group),
            }
        }
        Ok(())
    }

    fn all(&mut self, files: &[&BaseEntry]) {
        self.changed
            .extend(files.iter().map(|file| file.path.clone()));
    }

    fn same(
        &self,
        upper: &OwnedFd,
        name: &str,
        found: &FileStat,
        file: &BaseEntry,
    ) -> Result<bool, TreeError> {
        match (file.kind, kind(found)) {
            (EntryKind::Submodule, SFlag::S_IFDIR) => Ok(true),
            (EntryKind::Symlink, SFlag::S_IFLNK) => {
                Ok(readlinkat(upper, name)? == readlinkat(&self.pristine, file.path.as_str())?)
            }
            (EntryKind::File | EntryKind::Executable, SFlag::S_IFREG) => {
                if u64::try_from(found.st_size) != Ok(file.size) {
                    return Ok(false);
                }
                let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
                let now = File::from(beneath(upper, name, flags, 0)?);
                let before = File::from(beneath(&self.pristine, &file.path, flags, 0)?);
                Ok(equal(now, before)?)
            }
            _ => Ok(false),
        }
    }
}

fn stat(directory: &OwnedFd, name: &str) -> Result<Option<FileStat>, TreeError> {
    match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// Whether overlayfs shows nothing of the layers below in this directory: it
/// was removed and made again.
fn is_opaque(directory: &impl AsFd) -> bool {
    let mut value = [0u8; 8];
    // Any program may set the attribute of the same name below `user.`: it means
    // nothing to a mount like ours.
    matches!(rustix::fs::fgetxattr(directory, "trusted.overlay.opaque", &mut value[..]), Ok(len) if len > 0)
}

/// Compares two files piece by piece; either may be large.
fn equal(mut a: impl Read, mut b: impl Read) -> std::io::Result<bool> {
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let (n, m) = (fill(&mut a, &mut left)?, fill(&mut b, &mut right)?);
        if left[..n] != right[..m] {
            return Ok(false);
        }
        if n == 0 {
            return Ok(true);
        }
    }
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match from.read(&mut buffer[len..])? {
            0 => break,
            n => len += n,
        }
    }
    Ok(len)
}
