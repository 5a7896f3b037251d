//! What can go wrong with the engine, without the engine's words.

use std::time::Duration;

use bollard::errors::Error;
use protocol::Code;

/// A call to the engine failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It runs elsewhere.
    #[error(
        "DOCKER_HOST names an engine on another machine; work trees of limited size are mounted on the engine's own host, so run there, or unset DOCKER_HOST"
    )]
    Remote,
    /// Nobody answers.
    #[error("the container engine does not answer; start it, or point DOCKER_HOST at one")]
    Unavailable,
    /// It went away, or lost what it was asked about.
    #[error("the container engine lost the container during {call}")]
    Lost {
        /// The call.
        call: &'static str,
    },
    /// It did not answer in time.
    #[error("the container engine took longer than {} s for {call}", deadline.as_secs())]
    Timeout {
        /// The call.
        call: &'static str,
        /// Its deadline.
        deadline: Duration,
    },
    /// It refused.
    #[error("the container engine refused {call} with status {status}")]
    Refused {
        /// The call.
        call: &'static str,
        /// The HTTP status.
        status: u16,
        /// Whether the command or the interpreter of the command does not exist.
        command_not_found: bool,
        /// Whether its disk is full.
        storage_full: bool,
    },
    /// The image is not here and cannot be had.
    #[error(
        "image {image:?} is not on this host and could not be pulled; build it with `replay-runner images build`, or load it into the engine"
    )]
    ImageUnavailable {
        /// As the task names it.
        image: String,
    },
}

impl EngineError {
    pub(super) fn unavailable(error: &Error) -> Self {
        tracing::debug!(%error, "engine unavailable");
        Self::Unavailable
    }

    pub(super) fn lost(call: &'static str) -> Self {
        Self::Lost { call }
    }

    pub(super) fn classify(call: &'static str, error: &Error) -> Self {
        tracing::debug!(%error, call, "engine call failed");
        match error {
            Error::DockerResponseServerError {
                status_code,
                message,
            } => Self::Refused {
                call,
                status: *status_code,
                command_not_found: is_command_not_found(message),
                storage_full: message.contains("no space left on device"),
            },
            Error::RequestTimeoutError => Self::Timeout {
                call,
                deadline: Duration::from_mins(2),
            },
            _ => Self::Unavailable,
        }
    }

    /// Whether the engine does not know what it was asked about.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether the engine takes what was asked for no name at all, or for another
    /// address of its own.
    pub(super) fn is_ill_formed(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 300..=400,
                ..
            }
        )
    }

    /// Whether it is in a state that does not fit, such as dead already.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409, .. })
    }

    /// Whether the image has no such command.
    pub fn is_command_not_found(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                command_not_found: true,
                ..
            }
        )
    }

    /// The outcome code of a replay that fails for this reason.
    pub fn code(&self) -> Code {
        match self {
            Self::Unavailable | Self::Lost { .. } | Self::Refused { status: 404, .. } => {
                Code::SandboxEngineUnavailable
            }
            Self::Timeout { .. } => Code::SandboxEngineTimeout,
            Self::Refused {
                storage_full: true, ..
            } => Code::SandboxStorageFull,
            Self::Remote => Code::SandboxLimitsUnsatisfiable,
            Self::Refused { .. } => Code::SandboxStartFailed,
            Self::ImageUnavailable { .. } => Code::SandboxImageUnavailable,
        }
    }
}

/// The engine's own words for a command that is not in the image. They come from
/// before any submitted code runs, about a command that the engine chose.
fn is_command_not_found(message: &str) -> bool {
    message.contains("executable file not found") || message.contains("exec: \"/bin/sh\"")
}
