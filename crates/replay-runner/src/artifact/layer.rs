//! A verified file as a layer of a work tree: a directory that holds it at its
//! place, and nothing else.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::VerifiedArtifact;
use super::cache::seal_path;
use super::seal::Seal;

impl VerifiedArtifact {
    /// The layer that shows the file at `place`. It is made once per file and
    /// kept beside it: a second name changes a file's times, and a file whose
    /// times have changed is hashed again before its next use.
    pub fn layer(&self, place: &str) -> io::Result<PathBuf> {
        let root = layer_path(self.path());
        let target = root.join(place);
        let file = self.held().metadata()?;
        if is_same_file(&target, &file) {
            return Ok(root);
        }
        make_readable_dirs(&root, place)?;
        // Left by a file that was evicted while its layer was in use.
        match fs::remove_file(&target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match fs::hard_link(self.path(), &target) {
            Err(_) if is_same_file(&target, &file) => return Ok(root),
            linked => linked?,
        }
        let seal_path = seal_path(self.path());
        if let Some(seal) = Seal::read(&seal_path).filter(|seal| seal.is_of(&file)) {
            seal.renewed(&self.held().metadata()?).write(&seal_path)?;
        }
        Ok(root)
    }
}

/// Where the layer of the kept file `path` is.
pub(super) fn layer_path(path: &Path) -> PathBuf {
    path.with_added_extension("layer")
}

fn is_same_file(path: &Path, file: &fs::Metadata) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|there| (there.dev(), there.ino()) == (file.dev(), file.ino()))
}

/// The sandbox's user must get through to the file, whatever this process's umask.
fn make_readable_dirs(root: &Path, place: &str) -> io::Result<()> {
    let mut dir = root.to_owned();
    let above = Path::new(place).parent().unwrap_or(Path::new(""));
    for name in std::iter::once(None).chain(above.iter().map(Some)) {
        dir.extend(name);
        match fs::create_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        fs::set_permissions(&dir, Permissions::from_mode(0o755))?;
    }
    Ok(())
}
