//! What a replay lays out on disk before anything runs: the trees, the artifact,
//! the private inputs; all of it in a directory that is removed with the replay.

use std::fs;
use std::path::{Path, PathBuf};

use tracing::debug_span;

use crate::artifact::VerifiedArtifact;
use crate::failure::Failure;
use crate::host::Host;
use crate::patch::PatchedTree;
use crate::sandbox::SandboxUser;
use crate::spec::{Prepared, Request, blocking, lay_out_private};
use crate::stages::{ARTIFACT_PATH, Side};
use crate::tree::{Pristine, Protected, Written};
use crate::workspace::{Scratch, View, WorkspaceError};

/// A directory of this replay's own, removed with it.
pub(crate) struct RunDir {
    pub(crate) path: PathBuf,
    /// The replay's name among those of its process.
    pub(crate) replay: String,
}

impl RunDir {
    /// Makes the directory of the next replay of `host`.
    pub(crate) fn make(host: &Host) -> Result<Self, Failure> {
        let replay = host.next_replay();
        let path = host.owner.run_dir().join(&replay);
        fs::create_dir_all(&path).map_err(WorkspaceError::io("making the run directory"))?;
        Ok(Self { path, replay })
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, "the run directory could not be removed; the next start will");
        }
    }
}

/// The trees of a replay on disk.
pub(crate) struct Trees {
    pristine: PathBuf,
    patch: Option<Scratch>,
    protected: Protected,
}

impl Trees {
    /// The base tree as its author committed it.
    pub(crate) fn pristine(&self) -> &Path {
        &self.pristine
    }

    /// Shows stages the base tree at `path` instead, which has the same files.
    pub(crate) fn replace_pristine(&mut self, path: PathBuf) {
        self.pristine = path;
    }
}

/// Lays out the pristine tree, and what the patch changes, as `user`'s.
pub(crate) async fn lay_out_trees(
    host: &Host,
    prepared: &Prepared,
    patched: PatchedTree,
    room: &RunDir,
    user: SandboxUser,
) -> Result<Trees, Failure> {
    let trees = host.state.dir("trees")?;
    let spec = prepared.spec.clone();
    let layer_dir = room.path.join("patch");
    blocking(move || {
        let pristine =
            debug_span!("pristine").in_scope(|| Pristine::prepare(&trees, patched.base(), user))?;
        let protected = debug_span!("protected")
            .in_scope(|| Protected::beside(&pristine, &spec.patch_rules, &Written::of(&spec)))?;
        let patch = if patched.changes().is_empty() {
            None
        } else {
            let _span = debug_span!("patch_layer").entered();
            // Room for every changed byte, in pages, and for deep directories.
            let files = 64 * patched.changes().len() as u64 + 64;
            let bytes = spec.patch_rules.max_decoded_bytes.get() + files * 4096;
            let layer = Scratch::mount(&layer_dir, bytes, files)?;
            patched.write_layer(layer.path(), user)?;
            Some(layer)
        };
        Ok(Trees {
            pristine: pristine.path(),
            patch,
            protected,
        })
    })
    .await
}

/// The candidate and the baseline it is compared with.
pub(crate) struct Sides {
    pub(crate) candidate: Side,
    pub(crate) baseline: Side,
    pub(crate) protected: Protected,
    /// The private inputs, if there are any.
    pub(crate) private: Option<View>,
    _patch: Option<Scratch>,
}

impl Sides {
    /// Lays out what distinguishes the two.
    pub(crate) fn new(
        request: &Request,
        prepared: &Prepared,
        trees: Trees,
        room: &RunDir,
    ) -> Result<Self, Failure> {
        let patch = request.submission.patch.as_ref();
        let layer = |artifact: &VerifiedArtifact| artifact.layer(ARTIFACT_PATH);
        let side = |suffix, artifact: Option<&VerifiedArtifact>| -> Result<Side, Failure> {
            Ok(Side {
                suffix,
                base: trees.pristine.clone(),
                patch: None,
                artifact: artifact
                    .map(layer)
                    .transpose()
                    .map_err(WorkspaceError::io("laying out the artifact"))?,
                artifact_bytes: artifact.map_or(0, VerifiedArtifact::size_bytes),
                patch_bytes: 0,
                artifact_uri: None,
            })
        };
        let candidate = Side {
            patch: trees.patch.as_ref().map(|layer| layer.path().to_owned()),
            patch_bytes: patch.map_or(0, |patch| patch.text().len() as u64),
            artifact_uri: request.submission.artifact_uri.clone(),
            ..side("", prepared.artifact.as_ref())?
        };
        let baseline = side(" (baseline)", prepared.baseline_artifact.as_ref())?;
        let private = if prepared.private_inputs.is_empty() {
            None
        } else {
            let dir = room.path.join("private");
            lay_out_private(&dir, &prepared.private_inputs)
                .map_err(WorkspaceError::io("laying out private inputs"))?;
            Some(View::mount(&room.path.join("shown"), &dir)?)
        };
        Ok(Self {
            candidate,
            baseline,
            protected: trees.protected,
            private,
            _patch: trees.patch,
        })
    }
}
