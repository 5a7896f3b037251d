//! Files for the sandbox's users to read, whatever this process's umask is.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Writes a file that every user may read, at once or not at all.
pub(crate) fn write_readable(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let file = tempfile::NamedTempFile::new_in(dir)?;
    fs::write(file.path(), bytes)?;
    file.as_file()
        .set_permissions(Permissions::from_mode(0o444))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
