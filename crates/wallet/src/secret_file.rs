//! Reading a small secret file into memory that is wiped.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use crate::WalletError;

/// A hotkey file has about 600 bytes.
const MAX_BYTES: usize = 64 * 1024;

/// What was in the file.
pub(crate) struct SecretFile {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// Whether its mode lets other users read or change it.
    pub(crate) open_to_others: bool,
}

pub(crate) fn read(path: &Path) -> Result<SecretFile, WalletError> {
    let io = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => WalletError::Missing(path.to_owned()),
        _ => WalletError::Io {
            path: path.to_owned(),
            source,
        },
    };
    // A pipe without a writer would hold an unattended program for ever.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| io(error.into()))?;
    let file = File::from(file);
    let meta = file.metadata().map_err(io)?;
    if !meta.is_file() {
        return Err(WalletError::NotAFile(path.to_owned()));
    }
    // Sized once: a buffer that grows leaves its former places unwiped.
    let mut bytes = Zeroizing::new(vec![0; MAX_BYTES + 1]);
    let mut length = 0;
    while length < bytes.len() {
        match (&file).read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(io(error)),
        }
    }
    if length > MAX_BYTES {
        return Err(WalletError::TooLarge {
            path: path.to_owned(),
            limit: MAX_BYTES,
        });
    }
    bytes.truncate(length);
    Ok(SecretFile {
        bytes,
        open_to_others: meta.mode() & 0o077 != 0,
    })
}
