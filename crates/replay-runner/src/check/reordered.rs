//! The pinned tree once more in memory, with its directories listed in a chosen
//! order. A tmpfs lists what was made last first, which other file systems need
//! not do: the order of a directory is nobody's promise.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, lchown, symlink};
use std::path::Path;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use super::setting::Listing;
use crate::failure::Failure;
use crate::workspace::{Scratch, WorkspaceError};

/// Copies the tree at `from`, of files that this process laid out itself, into a
/// directory in memory at `to`.
pub(crate) fn copy(from: &Path, to: &Path, listing: Listing) -> Result<Scratch, Failure> {
    let failed = WorkspaceError::io::<std::io::Error>;
    let (bytes, files) = measure(from).map_err(failed("measuring the tree"))?;
    let room = files + 64;
    let scratch = Scratch::mount(to, bytes + room * 8192, room * 2)?;
    copy_directory(from, to, listing).map_err(failed("copying the tree"))?;
    Ok(scratch)
}

fn measure(dir: &Path) -> std::io::Result<(u64, u64)> {
    let (mut bytes, mut files) = (0, 1);
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        files += 1;
        if meta.is_dir() {
            let below = measure(&entry.path())?;
            bytes += below.0;
            files += below.1;
        } else {
            bytes += meta.len();
        }
    }
    Ok((bytes, files))
}

fn copy_directory(from: &Path, to: &Path, listing: Listing) -> std::io::Result<()> {
    let mut names: Vec<_> = fs::read_dir(from)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()?;
    names.sort();
    if listing == Listing::Ascending {
        names.reverse();
    }
    for name in names {
        let (from, to) = (from.join(&name), to.join(&name));
        let meta = fs::symlink_metadata(&from)?;
        if meta.is_dir() {
            fs::create_dir(&to)?;
            copy_directory(&from, &to, listing)?;
        } else if meta.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
            copy_owner_and_time(&meta, &to)?;
        } else {
            fs::copy(&from, &to)?;
            copy_owner_and_time(&meta, &to)?;
        }
    }
    let meta = fs::metadata(from)?;
    fs::set_permissions(to, meta.permissions())?;
    copy_owner_and_time(&meta, to)
}

fn copy_owner_and_time(meta: &fs::Metadata, to: &Path) -> std::io::Result<()> {
    lchown(to, Some(meta.uid()), Some(meta.gid()))?;
    let time = TimeSpec::new(meta.mtime(), meta.mtime_nsec());
    utimensat(AT_FDCWD, to, &time, &time, UtimensatFlags::NoFollowSymlink)?;
    Ok(())
}
