//! Carrying what the benchmark made over to the score stage: regular files by
//! their bytes, and nothing else of them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use protocol::Code;
use tokio_util::sync::CancellationToken;

use super::{Workspace, WorkspaceError, beneath};
use crate::sandbox::SandboxUser;
use crate::tree::Protected;

/// Directories deeper than this are nobody's honest output.
const DEEPEST: usize = 32;

/// The declared outputs could not be carried over.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The benchmark did not write it.
    #[error("the benchmark wrote no {0:?}, which the task declares as an output")]
    Missing(String),
    /// A link, a FIFO, a device; or a directory that is too deep, or a path
    /// longer than a path can be.
    #[error("output {0:?} is not made of regular files and plain directories")]
    NotAFile(String),
    /// More than the work tree may hold.
    #[error("the outputs are larger than the work tree may be")]
    TooLarge,
    /// Somebody asked to stop.
    #[error("stopped by a signal")]
    Cancelled,
    /// This host's doing.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
}

impl OutputError {
    /// The outcome code.
    pub fn code(&self) -> Code {
        match self {
            Self::Missing(_) => Code::ResultMissing,
            Self::NotAFile(_) => Code::ResultNotAFile,
            Self::TooLarge => Code::ResultTooLarge,
            Self::Cancelled => Code::Cancelled,
            Self::Workspace(error) => error.code(),
        }
    }
}

impl Workspace {
    /// Copies `outputs` into the empty directory `layer`. What stands in place
    /// of a protected file, or of a directory that leads to one, is left out: the
    /// score stage sees them pristine.
    pub fn copy_outputs(
        &self,
        outputs: &[String],
        layer: &Path,
        protected: &Protected,
        cancel: &CancellationToken,
    ) -> Result<(), OutputError> {
        let root =
            beneath::open_root(self.path()).map_err(WorkspaceError::io("opening the work tree"))?;
        for output in outputs {
            let name = output.trim_end_matches('/');
            let file =
                beneath::open(&root, Path::new(name), OFlag::O_RDONLY).map_err(
                    |errno| match errno {
                        Errno::ENOENT | Errno::ENOTDIR => OutputError::Missing(output.clone()),
                        Errno::ELOOP | Errno::ENXIO | Errno::EXDEV => {
                            OutputError::NotAFile(output.clone())
                        }
                        other => WorkspaceError::io("opening an output")(other).into(),
                    },
                )?;
            let copy = Copy {
                output,
                layer,
                protected,
                user: self.user,
                cancel,
            };
            copy.parents(Path::new(name))?;
            copy.entry(&file, Path::new(name), 0)?;
        }
        Ok(())
    }
}

struct Copy<'a> {
    output: &'a str,
    layer: &'a Path,
    protected: &'a Protected,
    user: SandboxUser,
    cancel: &'a CancellationToken,
}

impl Copy<'_> {
    fn entry(&self, file: &File, path: &Path, depth: usize) -> Result<(), OutputError> {
        if self.cancel.is_cancelled() {
            return Err(OutputError::Cancelled);
        }
        let stat = beneath::stat(file).map_err(WorkspaceError::io("looking at an output"))?;
        if self.protected.contains(path) {
            return Ok(());
        }
        if beneath::is_directory(&stat) && depth < DEEPEST {
            return self.directory(file, path, depth);
        }
        if !beneath::is_regular(&stat) {
            return Err(self.not_a_file());
        }
        // In the scorer's tree a file would hide every protected one below.
        if self.protected.is_above(path) {
            return Ok(());
        }
        let target = self.layer.join(path);
        let copied = File::create_new(&target).and_then(|mut to| io::copy(&mut &*file, &mut to));
        match copied.and_then(|_| give_away(&target, self.user)) {
            Ok(()) => Ok(()),
            // An output that is declared twice, alone and by its directory.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(self.refused(error)),
        }
    }

    fn directory(&self, dir: &File, path: &Path, depth: usize) -> Result<(), OutputError> {
        self.make_directory(path)?;
        let opened = dir
            .try_clone()
            .map_err(WorkspaceError::io("listing an output"))?;
        let mut entries =
            Dir::from_fd(opened.into()).map_err(WorkspaceError::io("listing an output"))?;
        for entry in entries.iter() {
            let entry = entry.map_err(WorkspaceError::io("listing an output"))?;
            let name = std::os::unix::ffi::OsStrExt::from_bytes(entry.file_name().to_bytes());
            let name: &std::ffi::OsStr = name;
            if name == "." || name == ".." {
                continue;
            }
            let file = beneath::open(dir, Path::new(name), OFlag::O_RDONLY)
                .map_err(|_| self.not_a_file())?;
            self.entry(&file, &path.join(name), depth + 1)?;
        }
        Ok(())
    }

    fn parents(&self, path: &Path) -> Result<(), OutputError> {
        let mut parents: Vec<&Path> = path
            .ancestors()
            .skip(1)
            .filter(|parent| !parent.as_os_str().is_empty())
            .collect();
        parents.reverse();
        parents
            .into_iter()
            .try_for_each(|parent| self.make_directory(parent))
    }

    fn make_directory(&self, path: &Path) -> Result<(), OutputError> {
        let target = self.layer.join(path);
        match fs::create_dir(&target).and_then(|()| give_away(&target, self.user)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(self.refused(error)),
            _ => Ok(()),
        }
    }

    fn not_a_file(&self) -> OutputError {
        OutputError::NotAFile(self.output.to_owned())
    }

    /// Whose doing it is that a copy could not be written: submitted code chose
    /// how much there is and how long the paths are.
    fn refused(&self, error: io::Error) -> OutputError {
        if crate::disk::is_full(&error) {
            return OutputError::TooLarge;
        }
        if error.kind() == io::ErrorKind::InvalidFilename {
            return self.not_a_file();
        }
        WorkspaceError::io("copying an output")(error).into()
    }
}

/// The scorer may write beside what it judges.
fn give_away(path: &Path, user: SandboxUser) -> io::Result<()> {
    if fs::symlink_metadata(path)?.uid() == user.id() {
        return Ok(());
    }
    chown(path, Some(user.id()), Some(user.id()))
}
