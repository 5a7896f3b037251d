//! How a command ends that does not succeed, and the exit status of it.

use subtensor::ChainError;

use crate::client::ClientError;
use crate::gate::GateError;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// A rule says no: the gate's, the coordinator's, the task's.
    #[error("{0}")]
    Refused(String),
    /// Something does not work.
    #[error("{}", told(.0))]
    Broken(anyhow::Error),
    /// Somebody pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// The error and its causes, each said once: many repeat what lies below them.
fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// What a command gives back.
pub(crate) type Done<T = Ended> = Result<T, Failure>;

/// How a command ends that did what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// 0.
    Well,
    /// 3: it was decided, and the decision is no.
    Rejected,
    /// 1: nothing was decided.
    Undecided,
}

impl Ended {
    /// The exit status.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Undecided => 1,
            Self::Rejected => 3,
        }
    }
}

impl Failure {
    /// The exit status.
    pub(crate) const fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
            Self::Broken(_) => 1,
            // 128 and SIGINT, as shells say it.
            Self::Interrupted => 130,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl From<wallet::WalletError> for Failure {
    fn from(error: wallet::WalletError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Interrupted => Self::Interrupted,
            ClientError::Address { .. } | ClientError::Unsigned(_) => {
                Self::Usage(error.to_string())
            }
            ClientError::Refused { .. } => Self::Refused(error.to_string()),
            error => Self::Broken(error.into()),
        }
    }
}

impl From<ChainError> for Failure {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::Refused { .. }
            | ChainError::Failed { .. }
            | ChainError::ContractRefused { .. } => Self::Refused(error.to_string()),
            error => Self::Broken(error.into()),
        }
    }
}

impl From<GateError> for Failure {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Refused { .. } => Self::Refused(error.to_string()),
            error @ GateError::Base(_) => Self::Broken(error.into()),
        }
    }
}
