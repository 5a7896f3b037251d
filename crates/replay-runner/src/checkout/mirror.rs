//! One bare mirror per repository, fetched incrementally, shared by replays and
//! processes under a lock, and thrown away when it turns out to be damaged.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{ErrorCode, ObjectType, Oid, Repository, RepositoryInitOptions};
use protocol::paths::escaped;
use protocol::{CommitId, TreeId};

use super::pinned::walk;
use super::{CheckoutError, FetchProblem, PinnedCommit, Source, local, remote, snapshot};

/// The mirrors below one directory of this host's state.
#[derive(Debug, Clone)]
pub struct Mirrors {
    root: PathBuf,
    deadline: Duration,
}

impl Mirrors {
    /// Mirrors in `root`, which is created when it is first needed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            deadline: Duration::from_mins(10),
        }
    }

    /// How long one exchange with a server may take.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The commit that `reference` names now: a branch, a tag, a full commit id,
    /// or the default branch. Forty hex digits always mean the commit, even if
    /// there is a branch or tag of that name.
    pub fn resolve(
        &self,
        source: &Source,
        reference: Option<&str>,
    ) -> Result<CommitId, CheckoutError> {
        let unknown = || CheckoutError::RefNotFound {
            reference: escaped(reference.unwrap_or("HEAD").as_bytes()),
        };
        if let Some(commit) = reference.and_then(|text| text.parse().ok()) {
            return Ok(commit);
        }
        match source {
            Source::Remote(url) => {
                remote::resolve(url, reference, self.deadline)?.ok_or_else(unknown)
            }
            Source::Local(path) => local::resolve(path, reference)?.ok_or_else(unknown),
            Source::Directory { .. } if reference.is_some() => Err(unknown()),
            Source::Directory { path, without } => {
                let mirror = self.lock(source)?;
                mirror.healed(|repo| snapshot::take(repo, path, without))
            }
        }
    }

    /// The commit with everything in its tree, fetched only if it is not here.
    /// A mirror that turns out to be damaged is fetched again, once.
    pub fn pinned(&self, source: &Source, commit: CommitId) -> Result<PinnedCommit, CheckoutError> {
        let mirror = self.lock(source)?;
        mirror.healed(|repo| {
            let id = oid(commit)?;
            if !holds(repo, id)? {
                if mirror.mark(commit).exists() {
                    // libgit2 takes what it cannot read for missing.
                    return Err(CheckoutError::FetchFailed(FetchProblem::Damaged));
                }
                match source {
                    Source::Remote(url) => remote::fetch(repo, url, id, self.deadline)?,
                    Source::Local(path) => local::fetch(repo, path, id)?,
                    Source::Directory { path, without } => {
                        snapshot::take(repo, path, without)?;
                    }
                }
                if !holds(repo, id)? {
                    return Err(CheckoutError::RefNotFound {
                        reference: commit.to_string(),
                    });
                }
            }
            mirror.verified(repo, commit)
        })
    }

    fn lock(&self, source: &Source) -> Result<LockedMirror, CheckoutError> {
        fs::create_dir_all(&self.root)?;
        let key = source.key();
        let lock = File::create(self.root.join(format!("{key}.lock")))?;
        lock.lock()?;
        Ok(LockedMirror {
            path: self.root.join(format!("{key}.git")),
            _lock: lock,
        })
    }
}

/// A mirror that this thread alone changes. Readers need no lock: objects are
/// only added, and a damaged mirror is moved away as a whole.
struct LockedMirror {
    path: PathBuf,
    _lock: File,
}

impl LockedMirror {
    /// Runs `step` on the mirror, and once more on a new one if it finds damage.
    fn healed<T>(
        &self,
        step: impl Fn(&Repository) -> Result<T, CheckoutError>,
    ) -> Result<T, CheckoutError> {
        match self.open().and_then(|repo| step(&repo)) {
            Err(error) if error.is_damage() => {
                tracing::warn!(mirror = %self.path.display(), "mirror is damaged; fetching it again");
                self.discard()?;
                self.open().and_then(|repo| step(&repo))
            }
            result => result,
        }
    }

    fn open(&self) -> Result<Repository, CheckoutError> {
        if !self.path.join("HEAD").exists() {
            self.discard()?;
            let mut options = RepositoryInitOptions::new();
            options
                .bare(true)
                .external_template(false)
                .initial_head("mirror");
            let fresh = tempfile::Builder::new()
                .prefix(".new-")
                .tempdir_in(self.path.parent().unwrap_or(Path::new(".")))?;
            Repository::init_opts(fresh.path(), &options)
                .and_then(|repo| repo.config()?.set_str("core.excludesFile", "/dev/null"))
                .map_err(|e| CheckoutError::from_objects(&e))?;
            fs::rename(fresh.keep(), &self.path)?;
        }
        Repository::open_bare(&self.path).map_err(|e| CheckoutError::from_objects(&e))
    }

    fn discard(&self) -> Result<(), CheckoutError> {
        let aside = self
            .path
            .with_extension(format!("damaged-{}", uuid::Uuid::new_v4()));
        match fs::rename(&self.path, &aside) {
            Ok(()) => Ok(fs::remove_dir_all(aside)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The file that says that a commit was read in full.
    fn mark(&self, commit: CommitId) -> PathBuf {
        self.path.join("verified").join(commit.to_string())
    }

    /// The commit, once every object of its tree has been read and hashed. That
    /// is done once per commit; afterwards its commit and root tree are enough.
    fn verified(&self, repo: &Repository, commit: CommitId) -> Result<PinnedCommit, CheckoutError> {
        let damaged = |e: git2::Error| CheckoutError::from_objects(&e);
        let object = repo.find_commit(oid(commit)?).map_err(damaged)?;
        let tree = object.tree().map_err(damaged)?.id();
        let mark = self.mark(commit);
        if !mark.exists() {
            let odb = repo.odb().map_err(damaged)?;
            walk(repo, tree, "", &mut |_, mode, id| {
                if mode & 0o170_000 == 0o160_000 {
                    return Ok(());
                }
                odb.read(id).map(drop).map_err(damaged)
            })?;
            fs::create_dir_all(mark.parent().unwrap_or(&self.path))?;
            File::create(&mark)?;
        }
        Ok(PinnedCommit {
            objects: self.path.join("objects"),
            commit,
            tree: TreeId::from_bytes(bytes(tree)),
            seconds: object.time().seconds(),
        })
    }
}

/// Whether the commit itself is here.
fn holds(repo: &Repository, id: Oid) -> Result<bool, CheckoutError> {
    let odb = repo.odb().map_err(|e| CheckoutError::from_objects(&e))?;
    match odb.read_header(id) {
        Ok((_, ObjectType::Commit)) => Ok(true),
        Ok(_) => Err(CheckoutError::RefNotFound {
            reference: id.to_string(),
        }),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
        Err(error) => Err(CheckoutError::from_objects(&error)),
    }
}

pub(super) fn oid(commit: CommitId) -> Result<Oid, CheckoutError> {
    Oid::from_bytes(commit.as_bytes()).map_err(|_| CheckoutError::FetchFailed(FetchProblem::Other))
}

/// The bytes of a SHA-1 id; libgit2 is built without any longer one.
pub(super) fn bytes(id: Oid) -> [u8; 20] {
    let mut bytes = [0; 20];
    let raw = id.as_bytes();
    let len = raw.len().min(20);
    bytes[..len].copy_from_slice(&raw[..len]);
    bytes
}
