//! Documents by their SHA-256 digest, one file each in one directory: what an
//! epoch was computed from is there, whole, or not there at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use protocol::Sha256Digest;

/// A directory of documents.
#[derive(Debug, Clone)]
pub struct Blobs {
    directory: PathBuf,
}

/// Why a document cannot be had or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The directory or a file in it fails.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It was never kept here.
    #[error("no document with the digest {digest} in {}", directory.display())]
    Missing {
        /// What was asked for.
        digest: Sha256Digest,
        /// Where.
        directory: PathBuf,
    },
    /// The file is not what its name says.
    #[error("{} was changed: its digest is {found}", path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
        /// What it is now.
        found: Sha256Digest,
    },
}

impl Blobs {
    /// The documents in `directory`, which need not be there before one is kept.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The file of a document.
    pub fn path(&self, digest: Sha256Digest) -> PathBuf {
        self.directory.join(digest.to_string())
    }

    /// Keeps a document; when this returns it survives a power cut.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn put(&self, bytes: &[u8]) -> Result<Sha256Digest, BlobError> {
        let digest = Sha256Digest::of(bytes);
        let path = self.path(digest);
        self.write(&path, bytes).map_err(|source| BlobError::Io {
            path: path.clone(),
            source,
        })?;
        Ok(digest)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        if fs::read(path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(&self.directory)?.sync_all()
    }

    /// A document, checked against its digest.
    ///
    /// # Errors
    /// [`BlobError`].
    pub fn get(&self, digest: Sha256Digest) -> Result<Vec<u8>, BlobError> {
        let path = self.path(digest);
        let bytes = fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => BlobError::Missing {
                digest,
                directory: self.directory.clone(),
            },
            _ => BlobError::Io {
                path: path.clone(),
                source,
            },
        })?;
        let found = Sha256Digest::of(&bytes);
        if found == digest {
            Ok(bytes)
        } else {
            Err(BlobError::Changed { path, found })
        }
    }

    /// Whether a document is here and what its name says.
    pub fn has(&self, digest: Sha256Digest) -> bool {
        self.get(digest).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_comes_back_or_is_named_as_changed_or_missing() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_directory(directory.path().join("new"));
        let digest = blobs.put(b"text").unwrap();
        assert_eq!(blobs.get(digest).unwrap(), b"text");
        assert_eq!(blobs.put(b"text").unwrap(), digest);
        fs::write(blobs.path(digest), b"Text").unwrap();
        assert!(matches!(blobs.get(digest), Err(BlobError::Changed { .. })));
        blobs.put(b"text").unwrap();
        assert!(blobs.has(digest), "a damaged document is mended");
        let missing = blobs.get(Sha256Digest::of(b"other"));
        assert!(matches!(missing, Err(BlobError::Missing { .. })));
    }

    #[test]
    fn nothing_but_documents_is_left_in_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_directory(directory.path());
        let digest = blobs.put(b"text").unwrap();
        let names: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, [std::ffi::OsString::from(digest.to_string())]);
    }
}
