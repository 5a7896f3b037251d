//! Receipts as files: written whole or not at all, read within bounds.

use std::fs::{File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use protocol::receipt::{Envelope, Expected, Trust, Verified, verify};

use super::ReceiptError;

/// The largest receipt that is read.
const MAX_RECEIPT_BYTES: u64 = 16 << 20;

/// Stores a receipt at `path`, in place of what is there; other users may read it.
///
/// # Errors
/// [`ReceiptError::Io`]; then `path` is as it was.
pub fn write(path: &Path, receipt: &Envelope) -> Result<(), ReceiptError> {
    let mut json = serde_json::to_vec_pretty(receipt)?;
    json.push(b'\n');
    replace(path, &json)
}

/// Reads a receipt.
///
/// # Errors
/// [`ReceiptError::Io`] or [`ReceiptError::Json`]; also for more than 16 MiB.
pub fn read(path: &Path) -> Result<Envelope, ReceiptError> {
    let failed = |error| ReceiptError::io(format!("read {}", path.display()))(error);
    let file = File::open(path).map_err(failed)?;
    let mut json = Vec::new();
    file.take(MAX_RECEIPT_BYTES + 1)
        .read_to_end(&mut json)
        .map_err(failed)?;
    if json.len() as u64 > MAX_RECEIPT_BYTES {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(serde_json::from_slice(&json)?)
}

/// Reads the receipt at `path` and checks it: at least `threshold` keys that are
/// trusted signed it, and it speaks of what is expected.
///
/// # Errors
/// As [`read`], and [`ReceiptError::Refused`].
pub fn verify_file(
    path: &Path,
    trust: &[Trust],
    threshold: usize,
    expected: &Expected,
) -> Result<Verified, ReceiptError> {
    Ok(verify(&read(path)?, trust, threshold, expected)?)
}

/// Whether a receipt could be written to `path` now: who asks before a long
/// replay learns of a wrong path before it, not after.
///
/// # Errors
/// [`ReceiptError::Io`] as [`write()`] would say it.
pub fn can_write(path: &Path) -> Result<(), ReceiptError> {
    let failed = |error| ReceiptError::io(format!("write {}", path.display()))(error);
    if path.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    tempfile::tempfile_in(directory_of(path))
        .map(drop)
        .map_err(failed)
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Replaces `path` by a file with these bytes, durably and in one step.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ReceiptError> {
    let failed = |error| ReceiptError::io(format!("write {}", path.display()))(error);
    let directory = directory_of(path);
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    let readable = Permissions::from_mode(0o644);
    file.as_file().set_permissions(readable).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    sync_directory(directory).map_err(failed)
}

/// Makes new names in `directory` survive a power cut.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
