//! Content-addressed files on disk: `<root>/<first two digits>/<sha256>`, with
//! a seal beside each. Several processes may share a cache.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nix::fcntl::OFlag;
use protocol::Sha256Digest;

use super::hashing::hash_through;
use super::incoming::{self, Incoming, Published};
use super::layer::layer_path;
use super::seal::{self, Seal};
use super::{ArtifactError, Secrecy, Watch};

/// A file whose bytes were hashed and found to be what they should be. Nothing
/// but a verification makes one.
///
/// While it lives, no runner on this host evicts the file.
#[derive(Debug, Clone)]
pub struct VerifiedArtifact {
    path: PathBuf,
    sha256: Sha256Digest,
    size_bytes: u64,
    /// Its shared lock is what [`Cache::evict`] asks for.
    held: Arc<File>,
}

impl VerifiedArtifact {
    /// Where it lies on this host: a regular read-only file, to be mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file itself.
    pub(super) fn held(&self) -> &File {
        &self.held
    }

    /// The digest of its bytes.
    pub fn sha256(&self) -> Sha256Digest {
        self.sha256
    }

    /// The number of its bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

pub(super) struct Cache {
    root: PathBuf,
    secrecy: Secrecy,
    verify_again_after: Duration,
}

impl Cache {
    /// Opens or creates the cache, and sweeps what dead processes left in it.
    pub(super) fn open(
        root: &Path,
        secrecy: Secrecy,
        verify_again_after: Duration,
    ) -> Result<Self, ArtifactError> {
        create_private_dir(root).map_err(ArtifactError::host("create the cache"))?;
        incoming::sweep(root)?;
        Ok(Self {
            root: root.to_owned(),
            secrecy,
            verify_again_after,
        })
    }

    /// A file to receive `size_bytes` into.
    pub(super) fn receive(&self, size_bytes: u64) -> Result<Incoming, ArtifactError> {
        let incoming = Incoming::create(&self.root)?;
        incoming.reserve(size_bytes)?;
        Ok(incoming)
    }

    /// The file with this digest, if there is one. One that was changed, or
    /// whose seal is old, is hashed again; a corrupt one is dropped.
    pub(super) fn find(
        &self,
        sha256: Sha256Digest,
        watch: &Watch,
    ) -> Result<Option<VerifiedArtifact>, ArtifactError> {
        let path = self.path_of(sha256);
        let failed = ArtifactError::host("read a kept file");
        let Some(file) = open_and_hold(&path).map_err(&failed)? else {
            return Ok(None);
        };
        let seal_path = seal_path(&path);
        let metadata = file.metadata().map_err(&failed)?;
        let seal = Seal::read(&seal_path);
        if seal.is_some_and(|seal| seal.holds(&metadata, self.verify_again_after)) {
            seal::touch(&seal_path);
        } else {
            let mut so_far = 0;
            let (found, _) = hash_through(&file, &failed, |piece| {
                so_far += piece.len() as u64;
                watch.tell(so_far);
                watch.check()
            })?;
            if found != sha256 {
                tracing::warn!(%sha256, "a kept artifact is corrupt and is dropped");
                remove_if_same(&path, &metadata).map_err(&failed)?;
                return Ok(None);
            }
            // Taken before the pass: a change in the meantime breaks the seal.
            Seal::now(&metadata).write(&seal_path).map_err(&failed)?;
        }
        Ok(Some(VerifiedArtifact {
            path,
            sha256,
            size_bytes: metadata.len(),
            held: Arc::new(file),
        }))
    }

    /// What was copied from `path` while it was the file that `metadata` is of.
    pub(super) fn remembered(
        &self,
        path: &Path,
        metadata: &fs::Metadata,
        watch: &Watch,
    ) -> Result<Option<VerifiedArtifact>, ArtifactError> {
        let Ok(note) = fs::read_to_string(self.note_path(path)) else {
            return Ok(None);
        };
        let known = note.split_once(' ').and_then(|(sha256, seal)| {
            let seal: Seal = seal.parse().ok()?;
            let sha256: Sha256Digest = sha256.parse().ok()?;
            seal.holds(metadata, self.verify_again_after)
                .then_some(sha256)
        });
        known.map_or(Ok(None), |sha256| self.find(sha256, watch))
    }

    /// Notes that `path`, sealed before it was read, holds these bytes.
    pub(super) fn remember(
        &self,
        path: &Path,
        sha256: Sha256Digest,
        seal: Seal,
    ) -> Result<(), ArtifactError> {
        let note = self.note_path(path);
        create_private_dir(note.parent().unwrap_or(&note))
            .and_then(|()| seal::write_whole(&note, &format!("{sha256} {seal}")))
            .map_err(ArtifactError::host("note a local file"))
    }

    /// One note for each path; its name tells nothing of the path.
    fn note_path(&self, path: &Path) -> PathBuf {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let name = Sha256Digest::of(path.as_os_str().as_encoded_bytes());
        self.root.join("local").join(name.to_string())
    }

    /// Stores a received file, whose bytes the caller has just hashed to
    /// `sha256`, under its name.
    pub(super) fn keep(
        &self,
        mut incoming: Incoming,
        sha256: Sha256Digest,
        watch: &Watch,
    ) -> Result<VerifiedArtifact, ArtifactError> {
        let path = self.path_of(sha256);
        let failed = ArtifactError::host("store a file");
        loop {
            match incoming.publish(&path, self.secrecy.mode())? {
                Published::New(file) => {
                    let metadata = file.metadata().map_err(&failed)?;
                    let seal = Seal::now(&metadata);
                    seal.write(&seal_path(&path)).map_err(&failed)?;
                    file.lock_shared().map_err(&failed)?;
                    return Ok(VerifiedArtifact {
                        path,
                        sha256,
                        size_bytes: metadata.len(),
                        held: Arc::new(file),
                    });
                }
                Published::NameTaken(again) => {
                    if let Some(kept) = self.find(sha256, watch)? {
                        return Ok(kept);
                    }
                    // It was corrupt, or evicted just now: the name is free.
                    incoming = again;
                }
            }
        }
    }

    /// Deletes the files that were not used for the longest time until at most
    /// `max_bytes` are kept, and returns how many bytes it freed. A file that a
    /// runner holds stays.
    pub(super) fn evict(&self, max_bytes: u64) -> Result<u64, ArtifactError> {
        let failed = ArtifactError::host("evict kept files");
        let mut kept = self.entries().map_err(&failed)?;
        kept.sort_by_key(|entry| entry.last_used);
        let mut total: u64 = kept.iter().map(|entry| entry.size_bytes).sum();
        let before = total;
        for entry in kept {
            if total <= max_bytes {
                break;
            }
            if entry.remove_unless_held().map_err(&failed)? {
                total -= entry.size_bytes;
            }
        }
        Ok(before - total)
    }

    fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        for shard in fs::read_dir(&self.root)? {
            let shard = shard?;
            if shard.file_name().len() != 2 || !shard.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(shard.path())? {
                let file = file?;
                let is_entry = file
                    .file_name()
                    .to_str()
                    .is_some_and(|name| name.parse::<Sha256Digest>().is_ok());
                // Another process may evict at the same time.
                let Ok(metadata) = file.metadata() else {
                    continue;
                };
                if is_entry && metadata.is_file() {
                    found.push(Entry {
                        last_used: seal::last_used(&seal_path(&file.path())),
                        size_bytes: metadata.len(),
                        path: file.path(),
                    });
                }
            }
        }
        Ok(found)
    }

    fn path_of(&self, sha256: Sha256Digest) -> PathBuf {
        let name = sha256.to_string();
        self.root.join(&name[..2]).join(name)
    }
}

/// A kept file as eviction sees it.
struct Entry {
    path: PathBuf,
    size_bytes: u64,
    last_used: SystemTime,
}

impl Entry {
    fn remove_unless_held(&self) -> io::Result<bool> {
        let Some(file) = open(&self.path)? else {
            return Ok(false);
        };
        match file.try_lock() {
            Ok(()) => remove_if_same(&self.path, &file.metadata()?),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Creates a directory, and its parents, that only this user may enter.
pub(super) fn create_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Opens the file at `path` and locks it against eviction; `None` if there is
/// none, or if it was evicted just then.
fn open_and_hold(path: &Path) -> io::Result<Option<File>> {
    let Some(file) = open(path)? else {
        return Ok(None);
    };
    file.lock_shared()?;
    Ok(is_at(path, &file.metadata()?)?.then_some(file))
}

fn open(path: &Path) -> io::Result<Option<File>> {
    let opened = File::options()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path);
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(io::Error::other("a kept file is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether `path` still names the file that `metadata` was read from.
fn is_at(path: &Path, metadata: &fs::Metadata) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (metadata.dev(), metadata.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove_if_same(path: &Path, metadata: &fs::Metadata) -> io::Result<bool> {
    let same = is_at(path, metadata)?;
    if same {
        // The seal first: a file without a seal is hashed before use.
        let _ = fs::remove_file(seal_path(path));
        // Its second name would keep the bytes on the disk.
        match fs::remove_dir_all(layer_path(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::remove_file(path)?;
    }
    Ok(same)
}

pub(super) fn seal_path(path: &Path) -> PathBuf {
    path.with_added_extension("verified")
}
