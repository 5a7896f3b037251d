//! Opening what submitted code wrote: below a given directory, through no
//! symbolic link, without waiting for whoever is at the other end of a FIFO.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, SFlag, fstat};

/// Opens `path` below `dir` with `flags` beside the safe ones.
pub(super) fn open(dir: impl AsFd, path: &Path, flags: OFlag) -> Result<File, Errno> {
    let mut flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    if !flags.contains(OFlag::O_PATH) {
        // Not with `O_PATH`: openat2 refuses flags that would have no effect.
        flags |= OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    }
    let how = OpenHow::new().flags(flags).resolve(
        ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS,
    );
    openat2(dir, path, how).map(File::from)
}

/// Opens the directory that everything else is resolved beneath.
pub(super) fn open_root(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(File::from(nix::fcntl::open(
        path,
        flags,
        nix::sys::stat::Mode::empty(),
    )?))
}

/// What kind of file an open one is.
pub(super) fn stat(file: &File) -> Result<FileStat, Errno> {
    fstat(file.as_fd())
}

/// Whether `stat` is of a regular file.
pub(super) fn is_regular(stat: &FileStat) -> bool {
    kind(stat) == SFlag::S_IFREG
}

/// Whether `stat` is of a directory.
pub(super) fn is_directory(stat: &FileStat) -> bool {
    kind(stat) == SFlag::S_IFDIR
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}
