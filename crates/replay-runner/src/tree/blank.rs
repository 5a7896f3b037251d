//! A layer that hides what is stale: a result or an output that was there before
//! the stage that has to write it. A layer, and not a removal: what lies below
//! may be what submitted code left, in which nothing is safe to write.

use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};

use super::TreeError;
use super::writer::{Writer, beneath};
use crate::sandbox::SandboxUser;

/// What to hide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// Whatever is at this path.
    Path(String),
    /// What is in the directory at this path; the directory itself is kept.
    Contents(String),
}

impl Stale {
    /// How to hide what any of `layers` has at `path`, if one has anything
    /// there. A declared output may be a directory that its author committed, and
    /// is then kept as an empty one.
    pub fn find(
        layers: &[&Path],
        path: &str,
        keep_directory: bool,
    ) -> Result<Option<Self>, TreeError> {
        let path = path.trim_end_matches('/');
        let mut found = None;
        for layer in layers {
            let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let root = open(*layer, flags, Mode::empty())?;
            match beneath(&root, path, OFlag::O_PATH, 0) {
                Ok(entry) => {
                    let kind = SFlag::from_bits_truncate(fstat(&entry)?.st_mode) & SFlag::S_IFMT;
                    if keep_directory && kind == SFlag::S_IFDIR {
                        return Ok(Some(Self::Contents(path.to_owned())));
                    }
                    found = Some(Self::Path(path.to_owned()));
                }
                Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) => {}
                // A link on the way: what is at its end is stale as well.
                Err(_) => found = Some(Self::Path(path.to_owned())),
            }
        }
        Ok(found)
    }
}

/// Writes the layer that hides `stale` into the empty directory `layer`.
pub fn write_blank_layer(
    stale: &[Stale],
    layer: &Path,
    user: SandboxUser,
    seconds: i64,
) -> Result<(), TreeError> {
    let mut writer = Writer::open(layer, user, seconds)?;
    for stale in stale {
        match stale {
            Stale::Path(path) => writer.whiteout(path)?,
            Stale::Contents(path) => writer.opaque_directory(path)?,
        }
    }
    writer.finish().map(drop)
}
