//! What comes out of the gate.

use std::sync::Arc;

use git2::Oid;
use protocol::spec;
use protocol::{Sha256Digest, TreeId};

use crate::checkout::{CheckoutError, PinnedCommit};

/// A patch as it was received, unjudged.
#[derive(Debug, Clone)]
pub struct Patch {
    text: Arc<[u8]>,
    sha256: Sha256Digest,
}

impl Patch {
    /// Takes the bytes as they are.
    pub fn new(text: impl Into<Arc<[u8]>>) -> Self {
        let text = text.into();
        let sha256 = Sha256Digest::of(&text);
        Self { text, sha256 }
    }

    /// The bytes.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Their digest and number, as a spec names them.
    pub fn content(&self) -> spec::Content {
        spec::Content {
            sha256: self.sha256,
            size_bytes: self.text.len() as u64,
        }
    }
}

/// The base tree with an approved patch applied. Only the gate makes one.
#[derive(Debug, Clone)]
pub struct PatchedTree {
    pub(super) id: TreeId,
    pub(super) base: PinnedCommit,
    pub(super) changes: Vec<Change>,
}

/// One path that differs from the base tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Safe, relative, from the root.
    pub path: String,
    /// What becomes of it.
    pub kind: ChangeKind,
}

/// What becomes of a changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// A regular file with this content.
    Write {
        /// The id of its content.
        blob: Oid,
        /// The length of its content.
        size: u64,
        /// Whether it may be executed.
        executable: bool,
        /// Its content, unless that is a file of the base commit already.
        content: Option<Content>,
    },
    /// No file any more.
    Delete,
}

/// Bytes that the patch made. Shows only their number.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(pub(super) Arc<[u8]>);

impl std::ops::Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({} bytes)", self.0.len())
    }
}

impl PatchedTree {
    /// The tree of a replay without a patch: the base itself.
    pub fn unpatched(base: &PinnedCommit) -> Self {
        Self {
            id: base.tree(),
            base: base.clone(),
            changes: Vec::new(),
        }
    }

    /// The tree's id: the identity of what was submitted. Equal ids are equal files.
    pub fn id(&self) -> TreeId {
        self.id
    }

    /// The commit that was patched.
    pub fn base(&self) -> &PinnedCommit {
        &self.base
    }

    /// Every path that differs from the base, in the order of their bytes.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The content of a changed file, from the patch or from the base; `None`
    /// for one that is deleted.
    pub fn content(&self, change: &Change) -> Result<Option<Arc<[u8]>>, CheckoutError> {
        match &change.kind {
            ChangeKind::Delete => Ok(None),
            ChangeKind::Write {
                content: Some(content),
                ..
            } => Ok(Some(Arc::clone(&content.0))),
            ChangeKind::Write { blob, size, .. } => {
                Ok(self.base.read_id(*blob, *size)?.map(Arc::from))
            }
        }
    }
}
