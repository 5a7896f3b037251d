//! The epochs that are handed out: read and hashed once, then kept in memory.

use std::sync::Arc;

use protocol::Sha256Digest;
use protocol::claims::ClaimPackage;
use protocol::ss58::Address;
use tokio::sync::Mutex;

use crate::blobs::{BlobError, Blobs};
use crate::epoch::{EpochFile, FileError};
use crate::merkle::{Tree, TreeError};

/// How many epochs are kept in memory: at a million leaves, 140 MB each.
const KEPT: usize = 4;

/// An epoch with its tree.
#[derive(Debug)]
pub struct ServedEpoch {
    /// The epoch file.
    pub file: EpochFile,
    /// Its digest.
    pub digest: Sha256Digest,
    tree: Tree,
}

/// Why an epoch cannot be handed out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Its file cannot be had.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// Its file is unreadable.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its file has no tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Its tree has another root than it says: no proof would be good.
    #[error("the epoch file {0} has another root than it says")]
    Root(Sha256Digest),
    /// The work was cut off.
    #[error("reading the epoch did not end")]
    Cancelled,
}

/// The epochs in memory.
#[derive(Debug)]
pub struct ServedEpochs {
    blobs: Blobs,
    /// The one asked for last is last.
    kept: Mutex<Vec<Arc<ServedEpoch>>>,
}

impl ServedEpochs {
    /// Hands out epochs whose files are in `blobs`.
    pub fn new(blobs: Blobs) -> Self {
        Self {
            blobs,
            kept: Mutex::new(Vec::new()),
        }
    }

    /// The documents behind the epochs.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// The epoch whose file has this digest.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn get(&self, digest: Sha256Digest) -> Result<Arc<ServedEpoch>, ServeError> {
        // Held while an epoch is read, so that a crowd asking for a new one reads
        // it once.
        let mut kept = self.kept.lock().await;
        if let Some(place) = kept.iter().position(|one| one.digest == digest) {
            let found = kept.remove(place);
            kept.push(found.clone());
            return Ok(found);
        }
        let blobs = self.blobs.clone();
        let read = tokio::task::spawn_blocking(move || ServedEpoch::read(&blobs, digest));
        let epoch = Arc::new(read.await.map_err(|_| ServeError::Cancelled)??);
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(epoch.clone());
        Ok(epoch)
    }
}

impl ServedEpoch {
    fn read(blobs: &Blobs, digest: Sha256Digest) -> Result<Self, ServeError> {
        let file = EpochFile::parse(&blobs.get(digest)?)?;
        let tree = file.tree()?;
        if tree.root() != file.root {
            return Err(ServeError::Root(digest));
        }
        Ok(Self { file, digest, tree })
    }

    /// The claim package of `hotkey`, if it has a leaf.
    pub fn package(&self, hotkey: &Address) -> Option<ClaimPackage> {
        self.file.package(&self.tree, hotkey)
    }
}
