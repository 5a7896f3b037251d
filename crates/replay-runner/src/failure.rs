//! Every way in which a replay ends without metrics, as one code and one
//! sentence. Each module's error knows its code; here they meet.

use protocol::Code;
use protocol::outcome::Control;

/// Why a replay has no metrics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The stable code.
    pub code: Code,
    /// One sentence for a person.
    pub message: String,
    /// What the baseline did, where that is known already.
    pub control: Option<Control>,
}

impl Failure {
    /// A failure of `code`, told in `message`.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            control: None,
        }
    }

    /// The same failure, seen when the unpatched baseline ran: the task's.
    #[must_use]
    pub fn of_baseline(self) -> Self {
        let message = format!("the unpatched baseline fails: {}", self.message);
        Self {
            message,
            control: Some(Control::Failed),
            ..self
        }
    }
}

macro_rules! failures {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(error.code(), error.to_string())
            }
        })+
    };
}

failures! {
    crate::artifact::ArtifactError,
    crate::checkout::CheckoutError,
    crate::engine::EngineError,
    crate::metrics::ResultError,
    crate::metrics::SamplesError,
    crate::patch::PatchRefusal,
    crate::sandbox::SandboxError,
    crate::state::StateError,
    crate::tree::TreeError,
    crate::workspace::OutputError,
    crate::workspace::ResultReadError,
    crate::workspace::WorkspaceError,
}

impl From<crate::task::TaskFileError> for Failure {
    fn from(error: crate::task::TaskFileError) -> Self {
        Self::new(Code::SpecInvalid, error.to_string())
    }
}
