//! Reading and writing files of a clone by names that a stranger chose: a model,
//! or whoever wrote the repository. The kernel keeps every step below the
//! directory and off symbolic links.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};

/// Reads the regular file at `path` below `root`, if it has at most `limit` bytes.
pub(crate) fn read(root: &Path, path: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = open(root, path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() > limit {
        return Ok(None);
    }
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content)?;
    Ok((content.len() as u64 <= limit).then_some(content))
}

/// Writes the file at `path` below `root`, and the directories above it.
pub(crate) fn write(root: &Path, path: &str, content: &[u8]) -> io::Result<()> {
    let mut above = String::new();
    let names: Vec<&str> = path.split('/').collect();
    for name in names.iter().take(names.len().saturating_sub(1)) {
        let parent = open(
            root,
            if above.is_empty() { "." } else { &above },
            OFlags::PATH | OFlags::DIRECTORY,
            Mode::empty(),
        )?;
        match rustix::fs::mkdirat(&parent, *name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        if !above.is_empty() {
            above.push('/');
        }
        above.push_str(name);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NONBLOCK;
    let mut file = open(root, path, flags, Mode::from_raw_mode(0o644))?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    // Not at opening: that would empty what turns out to be no regular file.
    file.set_len(0)?;
    file.write_all(content)
}

/// Removes the file at `path` below `root`.
pub(crate) fn remove(root: &Path, path: &str) -> io::Result<()> {
    let (above, name) = path.rsplit_once('/').unwrap_or((".", path));
    let parent = open(root, above, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    Ok(rustix::fs::unlinkat(
        &parent,
        name,
        rustix::fs::AtFlags::empty(),
    )?)
}

fn open(root: &Path, path: &str, flags: OFlags, mode: Mode) -> io::Result<File> {
    let root = File::open(root)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(File::from(rustix::fs::openat2(
        &root,
        path,
        flags | OFlags::CLOEXEC,
        mode,
        resolve,
    )?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_written_read_and_removed_below_the_root_and_nowhere_else() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("repo");
        fs::create_dir(&root).unwrap();
        fs::write(outer.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink(outer.path(), root.join("out")).unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();

        write(&root, "a/b/c.txt", b"long text").unwrap();
        write(&root, "a/b/c.txt", b"short").unwrap();
        assert_eq!(read(&root, "a/b/c.txt", 100).unwrap().unwrap(), b"short");
        assert_eq!(read(&root, "a/b/c.txt", 4).unwrap(), None);
        for path in [
            "../secret",
            "/etc/passwd",
            "out/secret",
            "link",
            "a/../../secret",
            "out/new/x",
        ] {
            assert!(read(&root, path, 100).is_err(), "{path} was read");
            assert!(write(&root, path, b"x").is_err(), "{path} was written");
            assert!(
                path == "link" || remove(&root, path).is_err(),
                "{path} was removed"
            );
        }
        assert_eq!(fs::read(outer.path().join("secret")).unwrap(), b"s");
        assert!(!outer.path().join("new").exists());
        remove(&root, "a/b/c.txt").unwrap();
        assert!(!root.join("a/b/c.txt").exists());
    }
}
