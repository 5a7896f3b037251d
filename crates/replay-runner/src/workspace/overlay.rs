//! Layers upon layers: the mount that a stage works in.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use protocol::Limits;

use super::scratch::detach;
use super::{Scratch, WorkspaceError, beneath};
use crate::sandbox::SandboxUser;

/// A mounted work tree with an empty writable layer when it is made.
#[derive(Debug)]
pub struct Workspace {
    merged: Mounted,
    scratch: Scratch,
    pub(super) user: SandboxUser,
}

/// What a stage left, no longer writable by anyone: a layer for the next work tree.
#[derive(Debug)]
pub struct FrozenLayer(Scratch);

impl FrozenLayer {
    /// The layer's directory.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("upper")
    }

    /// How much memory it holds.
    pub fn bytes(&self) -> u64 {
        self.0.used_bytes()
    }
}

/// A mount point; unmounted when dropped.
#[derive(Debug)]
pub(super) struct Mounted(pub(super) PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        detach(&self.0);
    }
}

impl Workspace {
    /// Mounts `layers`, the topmost first, at a place below `dir`, which must
    /// not have been used for another work tree that still lives. It is `user`'s
    /// to write.
    pub fn mount(
        dir: &Path,
        layers: &[&Path],
        limits: &Limits,
        user: SandboxUser,
    ) -> Result<Self, WorkspaceError> {
        let scratch = Scratch::mount(
            &dir.join("scratch"),
            limits.workspace.get(),
            limits.workspace_files,
        )?;
        let upper = scratch.path().join("upper");
        let work = scratch.path().join("work");
        for path in [&upper, &work] {
            fs::create_dir(path).map_err(WorkspaceError::io("making a layer"))?;
        }
        chown(&upper, Some(user.id()), Some(user.id()))
            .map_err(WorkspaceError::io("giving away a layer"))?;
        let merged = dir.join("merged");
        fs::create_dir_all(&merged).map_err(WorkspaceError::io("making a mount point"))?;
        // The kernel shows these options inside the container as they were given:
        // open directories name no path of this host.
        let open =
            |path: &Path| beneath::open_root(path).map_err(WorkspaceError::io("opening a layer"));
        let lowers: Vec<File> = layers
            .iter()
            .map(|layer| open(layer))
            .collect::<Result<_, _>>()?;
        let (upper, work) = (open(&upper)?, open(&work)?);
        let name = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());
        let lower: Vec<String> = lowers.iter().map(name).collect();
        // Without redirects and metadata copies a layer holds whole files at
        // their own paths, so that what a stage changed can be read off it.
        let options = format!(
            "lowerdir={},upperdir={},workdir={},index=off,redirect_dir=off,metacopy=off,xino=off",
            lower.join(":"),
            name(&upper),
            name(&work)
        );
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(
            Some("overlay"),
            &merged,
            Some("overlay"),
            flags,
            Some(options.as_str()),
        )
        .map_err(WorkspaceError::io("mounting the layers"))?;
        Ok(Self {
            merged: Mounted(merged),
            scratch,
            user,
        })
    }

    /// The mount point: what a container gets as its work tree.
    pub fn path(&self) -> &Path {
        &self.merged.0
    }

    /// The directory that holds exactly what was written since it was mounted.
    pub fn written(&self) -> PathBuf {
        self.scratch.path().join("upper")
    }

    /// Whether it can take no more.
    pub fn is_full(&self) -> bool {
        self.scratch.is_full()
    }

    /// Ends it and keeps what was written as a layer.
    pub fn freeze(self) -> FrozenLayer {
        let Self {
            merged, scratch, ..
        } = self;
        drop(merged);
        FrozenLayer(scratch)
    }
}
