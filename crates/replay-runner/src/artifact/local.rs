//! Local files: opened without following where a stranger's name may lead, and
//! hashed while they are copied into the cache.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use protocol::Sha256Digest;

use super::cache::{Cache, VerifiedArtifact};
use super::error::shortened;
use super::hashing::hash_through;
use super::seal::Seal;
use super::{ArtifactError, Declared, LocalFiles, Watch};

/// Copies `path` into the cache in one pass, and checks it against what is
/// declared. A file that was copied before, and is still that very file by its
/// inode and change time, is not read again until its seal is old.
pub(super) fn bring_in(
    cache: &Cache,
    path: &Path,
    policy: &LocalFiles,
    declared: Declared,
    max_bytes: u64,
    watch: &Watch,
) -> Result<VerifiedArtifact, ArtifactError> {
    if let Some(size) = declared.size_bytes.filter(|size| *size > max_bytes) {
        // As for an address: whatever the file is, it is not allowed.
        return Err(ArtifactError::TooLarge {
            size,
            max: max_bytes,
        });
    }
    let (file, metadata) = open(path, policy)?;
    let size = metadata.len();
    check_size(size, declared, max_bytes)?;
    let seal = Seal::now(&metadata);
    if let Some(kept) = cache.remembered(path, &metadata, watch)? {
        return check_digest(kept.sha256(), declared).map(|()| kept);
    }
    let mut incoming = cache.receive(size)?;
    let mut so_far = 0;
    let unreadable = |error: io::Error| unavailable(path, &error);
    let (found, read) = hash_through(&file, unreadable, |piece| {
        so_far += piece.len() as u64;
        // The file may grow while it is read.
        check_size(so_far.max(size), declared, max_bytes)?;
        watch.check()?;
        incoming.write(piece)?;
        watch.tell(so_far);
        Ok(())
    })?;
    check_size(read, declared, max_bytes)?;
    check_digest(found, declared)?;
    let kept = cache.keep(incoming, found, watch)?;
    if !seal.is_racy() {
        cache.remember(path, found, seal)?;
    }
    Ok(kept)
}

fn check_digest(found: Sha256Digest, declared: Declared) -> Result<(), ArtifactError> {
    match declared.sha256 {
        Some(declared) if declared != found => {
            Err(ArtifactError::DigestMismatch { declared, found })
        }
        _ => Ok(()),
    }
}

fn check_size(size: u64, declared: Declared, max: u64) -> Result<(), ArtifactError> {
    if size > max {
        return Err(ArtifactError::TooLarge { size, max });
    }
    match declared.size_bytes {
        Some(declared) if declared != size => Err(ArtifactError::size(
            declared,
            format!("the file has {size} bytes"),
        )),
        _ => Ok(()),
    }
}

fn open(path: &Path, policy: &LocalFiles) -> Result<(File, Metadata), ArtifactError> {
    let file = match policy {
        LocalFiles::Refused => {
            return Err(ArtifactError::Scheme {
                uri: shortened(&path.to_string_lossy()),
                problem: "is not an https address; local files are not allowed here",
            });
        }
        LocalFiles::Anywhere => File::options()
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
            .open(path),
        LocalFiles::Beneath(directory) => open_beneath(directory, path),
    };
    let file = file.map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ELOOP) => refused(path, "is a symbolic link; name the file itself"),
        Some(Errno::EXDEV) => refused(path, "leads out of the allowed directory"),
        Some(Errno::ENXIO) => refused(path, "is not a regular file"),
        _ => unavailable(path, &error),
    })?;
    let metadata = file.metadata().map_err(|error| unavailable(path, &error))?;
    if !metadata.is_file() {
        return Err(refused(path, "is not a regular file"));
    }
    Ok((file, metadata))
}

fn open_beneath(directory: &Path, path: &Path) -> io::Result<File> {
    let directory = File::open(directory)?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
        .resolve(
            ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_SYMLINKS
                | ResolveFlag::RESOLVE_NO_MAGICLINKS,
        );
    Ok(File::from(openat2(&directory, path, how)?))
}

/// The last component alone: reports do not say where things lie on this host.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    shortened(&name.to_string_lossy())
}

fn refused(path: &Path, problem: &'static str) -> ArtifactError {
    ArtifactError::LocalPath {
        name: name_of(path),
        problem,
    }
}

fn unavailable(path: &Path, error: &io::Error) -> ArtifactError {
    ArtifactError::Unavailable {
        host: format!("the file {:?}", name_of(path)),
        reason: error.kind().to_string(),
    }
}
