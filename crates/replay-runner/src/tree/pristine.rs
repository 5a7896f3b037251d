//! The base tree as its author committed it, on disk, once per commit and user.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use git2::Oid;
use protocol::CommitId;
use protocol::paths::escaped;

use super::TreeError;
use super::writer::Writer;
use crate::checkout::{BaseEntry, CheckoutError, EntryKind, PinnedCommit};
use crate::sandbox::SandboxUser;

/// What every pointer of git-lfs begins with.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";

/// The base tree on disk, complete and never written again.
#[derive(Debug, Clone)]
pub struct Pristine {
    root: PathBuf,
    commit: CommitId,
    user: SandboxUser,
    seconds: i64,
    entries: Vec<BaseEntry>,
}

impl Pristine {
    /// The tree of `base` below `trees`, all of it `user`'s: the one that is
    /// there, or a new one.
    pub fn prepare(
        trees: &Path,
        base: &PinnedCommit,
        user: SandboxUser,
    ) -> Result<Self, TreeError> {
        let root = trees.join(format!("{}-{}", base.commit(), user.id()));
        let entries =
            read_manifest(&root).map_or_else(|| under_lock(trees, &root, base, user), Ok)?;
        Ok(Self {
            root,
            commit: base.commit(),
            user,
            seconds: base.seconds(),
            entries,
        })
    }

    /// The directory that holds the tree.
    pub fn path(&self) -> PathBuf {
        files(&self.root)
    }

    /// The commit that it is the tree of.
    pub fn commit(&self) -> CommitId {
        self.commit
    }

    /// Whose it is.
    pub fn user(&self) -> SandboxUser {
        self.user
    }

    /// The time that everything in it carries, in seconds since 1970.
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Every file, link and submodule in it, in the order of their paths.
    pub fn entries(&self) -> &[BaseEntry] {
        &self.entries
    }
}

fn files(root: &Path) -> PathBuf {
    root.join("files")
}

fn under_lock(
    trees: &Path,
    root: &Path,
    base: &PinnedCommit,
    user: SandboxUser,
) -> Result<Vec<BaseEntry>, TreeError> {
    fs::create_dir_all(trees)?;
    let lock = File::create(root.with_extension("lock"))?;
    lock.lock()?;
    // Another process may have made it while this one waited.
    read_manifest(root).map_or_else(|| lay_out(trees, root, base, user), Ok)
}

/// Writes the tree beside its place and moves it there when it is complete and
/// on the disk, so that a crash leaves nothing that looks like one.
fn lay_out(
    trees: &Path,
    root: &Path,
    base: &PinnedCommit,
    user: SandboxUser,
) -> Result<Vec<BaseEntry>, TreeError> {
    let entries = base.entries()?;
    let fresh = tempfile::Builder::new().prefix(".new-").tempdir_in(trees)?;
    let directory = files(fresh.path());
    fs::create_dir(&directory)?;
    let mut writer = Writer::open(&directory, user, base.seconds())?;
    let repo = base.repository()?;
    for entry in &entries {
        write_entry(&mut writer, &repo, entry)?;
    }
    let written = writer.finish()?;
    fs::write(fresh.path().join("manifest"), manifest(&entries))?;
    nix::unistd::syncfs(written)?;
    use_traversable_mode(fresh.path())?;
    if root.exists() {
        // Without a readable manifest it is not whole.
        fs::remove_dir_all(root)?;
    }
    fs::rename(fresh.keep(), root)?;
    Ok(entries)
}

/// A temporary directory is private; containers of another user read this one.
fn use_traversable_mode(path: &Path) -> Result<(), TreeError> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(
        path,
        fs::Permissions::from_mode(0o755),
    )?)
}

fn write_entry(
    writer: &mut Writer,
    repo: &git2::Repository,
    entry: &BaseEntry,
) -> Result<(), TreeError> {
    let unusable = |problem| TreeError::Unusable {
        path: escaped(entry.path.as_bytes()),
        problem,
    };
    if entry.kind == EntryKind::Submodule {
        return writer.directory(&entry.path);
    }
    let blob = repo
        .find_blob(entry.blob)
        .map_err(|e| CheckoutError::from_objects(&e))?;
    let content = blob.content();
    if entry.kind == EntryKind::Symlink {
        if content.is_empty() || content.contains(&0) || content.len() >= 4096 {
            return Err(unusable("is a symbolic link to no path"));
        }
        return writer.symlink(&entry.path, content);
    }
    if content.starts_with(LFS_POINTER) && content.len() < 1024 {
        return Err(unusable(
            "is a git-lfs pointer, not data; commit the file itself or make it a private input",
        ));
    }
    writer.file(
        &entry.path,
        &mut &content[..],
        entry.kind == EntryKind::Executable,
    )
}

/// One line an entry; paths have no control characters.
fn manifest(entries: &[BaseEntry]) -> String {
    let lines = entries.iter().map(|entry| {
        let kind = match entry.kind {
            EntryKind::File => 'f',
            EntryKind::Executable => 'x',
            EntryKind::Symlink => 'l',
            EntryKind::Submodule => 's',
        };
        format!("{kind} {} {} {}\n", entry.blob, entry.size, entry.path)
    });
    lines.chain(["end\n".to_owned()]).collect()
}

fn read_manifest(root: &Path) -> Option<Vec<BaseEntry>> {
    let text = fs::read_to_string(root.join("manifest")).ok()?;
    let body = text.strip_suffix("end\n")?;
    body.lines().map(read_line).collect()
}

fn read_line(line: &str) -> Option<BaseEntry> {
    let mut words = line.splitn(4, ' ');
    let kind = match words.next()? {
        "f" => EntryKind::File,
        "x" => EntryKind::Executable,
        "l" => EntryKind::Symlink,
        "s" => EntryKind::Submodule,
        _ => return None,
    };
    Some(BaseEntry {
        kind,
        blob: Oid::from_str(words.next()?).ok()?,
        size: words.next()?.parse().ok()?,
        path: words.next()?.to_owned(),
    })
}
