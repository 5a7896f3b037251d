//! Writes normalised files beneath one directory.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, fchmod, futimens, mkdirat, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat, symlinkat};

use super::TreeError;
use crate::sandbox::SandboxUser;

/// A directory that files are written into, all with one owner and one time.
pub(super) struct Writer {
    root: OwnedFd,
    /// The sandbox's user, if this process may give files away.
    owner: Option<(Uid, Gid)>,
    time: TimeSpec,
    made: BTreeSet<String>,
    /// The directory written to last, since its neighbours come next.
    last: Option<(String, OwnedFd)>,
}

impl Writer {
    /// Opens `root`, which exists; everything will be `user`'s, every time stamp
    /// `seconds`.
    pub(super) fn open(root: &Path, user: SandboxUser, seconds: i64) -> Result<Self, TreeError> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let (uid, gid) = (Uid::from_raw(user.id()), Gid::from_raw(user.id()));
        let mut writer = Self {
            root: open(root, flags, Mode::empty())?,
            owner: Uid::effective().is_root().then_some((uid, gid)),
            time: TimeSpec::new(seconds, 0),
            made: BTreeSet::new(),
            last: None,
        };
        writer.normalise(&writer.root, 0o755)?;
        writer.made.insert(String::new());
        Ok(writer)
    }

    /// Writes a regular file that is not there yet.
    pub(super) fn file(
        &mut self,
        path: &str,
        content: &mut dyn io::Read,
        executable: bool,
    ) -> Result<(), TreeError> {
        let name = self.enter(path)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let mut file = File::from(beneath(self.current(), name, flags, 0o600)?);
        io::copy(content, &mut file)?;
        self.normalise(&file, if executable { 0o755 } else { 0o644 })?;
        futimens(&file, &self.time, &self.time)?;
        Ok(())
    }

    /// Makes a symbolic link; its target is never looked at.
    pub(super) fn symlink(&mut self, path: &str, target: &[u8]) -> Result<(), TreeError> {
        let name = self.enter(path)?;
        let directory = self.current();
        symlinkat(target, directory, name)?;
        if let Some((uid, gid)) = self.owner {
            fchownat(
                directory,
                name,
                Some(uid),
                Some(gid),
                AtFlags::AT_SYMLINK_NOFOLLOW,
            )?;
        }
        utimensat(
            directory,
            name,
            &self.time,
            &self.time,
            UtimensatFlags::NoFollowSymlink,
        )?;
        Ok(())
    }

    /// Makes a directory and those above it, where they are not there yet.
    pub(super) fn directory(&mut self, path: &str) -> Result<(), TreeError> {
        self.enter(&format!("{path}/.")).map(drop)
    }

    /// Hides whatever is at `path` in the layers below: overlayfs takes a
    /// character device 0:0 for a removed file.
    pub(super) fn whiteout(&mut self, path: &str) -> Result<(), TreeError> {
        let name = self.enter(path)?;
        mknodat(self.current(), name, SFlag::S_IFCHR, Mode::empty(), 0)?;
        Ok(())
    }

    /// Makes a directory that hides the contents of the same one below.
    pub(super) fn opaque_directory(&mut self, path: &str) -> Result<(), TreeError> {
        self.directory(path)?;
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::fsetxattr(self.current(), "trusted.overlay.opaque", b"y", flags)
            .map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
        Ok(())
    }

    /// Sets the times of directories, which every new entry has changed.
    pub(super) fn finish(self) -> Result<OwnedFd, TreeError> {
        for path in self.made.iter().rev() {
            let directory = match path.as_str() {
                "" => self.root.try_clone()?,
                path => beneath(&self.root, path, OFlag::O_DIRECTORY, 0)?,
            };
            futimens(&directory, &self.time, &self.time)?;
        }
        Ok(self.root)
    }

    /// Goes to the directory of `path`, making what is missing; the file's name.
    fn enter<'p>(&mut self, path: &'p str) -> Result<&'p str, TreeError> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if self
            .last
            .as_ref()
            .is_some_and(|(last, _)| last == directory)
        {
            return Ok(name);
        }
        let mut current = self.root.try_clone()?;
        let mut end = 0;
        for component in directory.split('/').filter(|part| !part.is_empty()) {
            end = if end == 0 {
                component.len()
            } else {
                end + 1 + component.len()
            };
            let made = match mkdirat(&current, component, Mode::from_bits_truncate(0o700)) {
                Ok(()) => true,
                Err(Errno::EEXIST) => false,
                Err(errno) => return Err(errno.into()),
            };
            current = beneath(&current, component, OFlag::O_DIRECTORY, 0)?;
            if made {
                self.normalise(&current, 0o755)?;
                self.made.insert(directory[..end].to_owned());
            }
        }
        self.last = Some((directory.to_owned(), current));
        Ok(name)
    }

    fn current(&self) -> &OwnedFd {
        self.last
            .as_ref()
            .map_or(&self.root, |(_, directory)| directory)
    }

    fn normalise(&self, file: &impl AsFd, mode: u32) -> Result<(), Errno> {
        if let Some((uid, gid)) = self.owner {
            fchown(file, Some(uid), Some(gid))?;
        }
        fchmod(file, Mode::from_bits_truncate(mode))
    }
}

/// Opens `path` below `directory`, through no link and into no other mount.
pub(super) fn beneath(
    directory: impl AsFd,
    path: &str,
    flags: OFlag,
    mode: u32,
) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
        .mode(Mode::from_bits_truncate(mode))
        .resolve(
            ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_SYMLINKS
                | ResolveFlag::RESOLVE_NO_MAGICLINKS
                | ResolveFlag::RESOLVE_NO_XDEV,
        );
    openat2(directory, path, how)
}
