//! Reading the one file that decides.

use std::io::Read as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use protocol::Code;
use protocol::limits::Bytes;

use super::{Workspace, WorkspaceError, beneath};

/// The result could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ResultReadError {
    /// Nobody wrote it.
    #[error("the deciding stage wrote no {0:?}")]
    Missing(String),
    /// It, or a directory on the way to it, is something else.
    #[error("{0:?} is not a regular file")]
    NotAFile(String),
    /// It is larger than its cap.
    #[error("{path:?} is larger than {cap}")]
    TooLarge {
        /// The result path.
        path: String,
        /// The cap.
        cap: Bytes,
    },
    /// This host's doing.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
}

impl ResultReadError {
    /// The outcome code.
    pub fn code(&self) -> Code {
        match self {
            Self::Missing(_) => Code::ResultMissing,
            Self::NotAFile(_) => Code::ResultNotAFile,
            Self::TooLarge { .. } => Code::ResultTooLarge,
            Self::Workspace(error) => error.code(),
        }
    }
}

impl Workspace {
    /// The bytes of the regular file `path`, at most `cap` of them.
    pub fn read_result(&self, path: &str, cap: Bytes) -> Result<Vec<u8>, ResultReadError> {
        let root =
            beneath::open_root(self.path()).map_err(WorkspaceError::io("opening the work tree"))?;
        let file =
            beneath::open(&root, Path::new(path), OFlag::O_RDONLY).map_err(
                |errno| match errno {
                    Errno::ENOENT | Errno::ENOTDIR => ResultReadError::Missing(path.to_owned()),
                    Errno::ELOOP | Errno::ENXIO | Errno::EXDEV => {
                        ResultReadError::NotAFile(path.to_owned())
                    }
                    other => WorkspaceError::io("opening the result")(other).into(),
                },
            )?;
        let stat = beneath::stat(&file).map_err(WorkspaceError::io("looking at the result"))?;
        if !beneath::is_regular(&stat) {
            return Err(ResultReadError::NotAFile(path.to_owned()));
        }
        let mut bytes = Vec::new();
        file.take(cap.get() + 1)
            .read_to_end(&mut bytes)
            .map_err(WorkspaceError::io("reading the result"))?;
        if bytes.len() as u64 > cap.get() {
            return Err(ResultReadError::TooLarge {
                path: path.to_owned(),
                cap,
            });
        }
        Ok(bytes)
    }
}
