//! The files that a stage wrote, by digest, so that two replays can be compared.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, SFlag, fstat};
use protocol::Sha256Digest;
use sha2::{Digest as _, Sha256};

use crate::tree::TreeError;

/// Directories deeper than this are not looked into.
const DEEPEST: usize = 64;

/// Paths below a directory with what is there: a digest for a regular file, a
/// word for anything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FileDigests(BTreeMap<String, String>);

impl FileDigests {
    /// What is in `dir`; if there are any `chosen` paths, only what is at or
    /// below those. Nothing may be writing there any more. No symbolic link is
    /// followed and no file waited for.
    pub(crate) fn of(dir: &Path, chosen: &[String]) -> Result<Self, TreeError> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let root = nix::fcntl::open(dir, flags, Mode::empty())?;
        let mut found = Self::default();
        found.directory(&root, "", chosen, 0)?;
        Ok(found)
    }

    /// Each path with what is there.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(path, what)| (path.as_str(), what.as_str()))
    }

    fn directory(
        &mut self,
        dir: &OwnedFd,
        above: &str,
        chosen: &[String],
        depth: usize,
    ) -> Result<(), TreeError> {
        let mut listing = Dir::from_fd(dir.try_clone()?)?;
        for entry in listing.iter() {
            let entry = entry?;
            let name = String::from_utf8_lossy(entry.file_name().to_bytes()).into_owned();
            let path = format!("{above}{name}");
            if name == "." || name == ".." || !is_chosen(&path, chosen) {
                continue;
            }
            let file = match beneath(dir, entry.file_name()) {
                Ok(file) => file,
                Err(errno) => {
                    self.0.insert(path, word(errno).to_owned());
                    continue;
                }
            };
            match SFlag::from_bits_truncate(fstat(&file)?.st_mode) & SFlag::S_IFMT {
                SFlag::S_IFDIR if depth < DEEPEST => {
                    self.directory(&file, &format!("{path}/"), chosen, depth + 1)?;
                }
                SFlag::S_IFREG => {
                    let digest = digest(File::from(file))?;
                    self.0.insert(path, digest.to_string());
                }
                _ => {
                    self.0.insert(path, "no regular file".to_owned());
                }
            }
        }
        Ok(())
    }
}

/// What cannot be opened is a link, or hides what is below, or is a socket.
fn word(errno: Errno) -> &'static str {
    match errno {
        Errno::ELOOP => "a symbolic link",
        _ => "no regular file",
    }
}

/// Whether `path` leads to, is, or is below one of `chosen`.
fn is_chosen(path: &str, chosen: &[String]) -> bool {
    let is_at_or_below = |path: &str, top: &str| {
        path.strip_prefix(top)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    chosen.is_empty()
        || chosen.iter().any(|chosen| {
            let chosen = chosen.trim_end_matches('/');
            is_at_or_below(path, chosen) || is_at_or_below(chosen, path)
        })
}

fn beneath(dir: impl AsFd, name: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new()
        .flags(
            OFlag::O_RDONLY
                | OFlag::O_NOFOLLOW
                | OFlag::O_NONBLOCK
                | OFlag::O_NOCTTY
                | OFlag::O_CLOEXEC,
        )
        .resolve(
            ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_SYMLINKS
                | ResolveFlag::RESOLVE_NO_MAGICLINKS,
        );
    openat2(dir, name, how)
}

fn digest(mut file: File) -> Result<Sha256Digest, TreeError> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Sha256Digest::from_bytes(hash.finalize().into())),
            count => hash.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn regular_files_are_told_by_digest_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("out/deep")).unwrap();
        fs::write(dir.path().join("out/deep/a"), "a").unwrap();
        fs::write(dir.path().join("other"), "b").unwrap();
        symlink("/etc", dir.path().join("out/etc")).unwrap();
        let all = FileDigests::of(dir.path(), &[]).unwrap();
        let paths: Vec<&str> = all.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["other", "out/deep/a", "out/etc"]);
        assert!(all.iter().any(|one| one == ("out/etc", "a symbolic link")));
        let chosen = FileDigests::of(dir.path(), &["out/deep/".to_owned()]).unwrap();
        let paths: Vec<&str> = chosen.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["out/deep/a"]);
    }
}
