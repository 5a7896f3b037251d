//! Who does the research: a program of the miner's choice, or a model behind an
//! OpenAI-compatible endpoint. Both only change files of a workspace; what the
//! changes are worth, the sandbox measures.

pub(crate) mod command;
mod group;
pub(crate) mod model;
mod prompt;
mod reply;

use tokio_util::sync::CancellationToken;

use crate::task::ServedTask;
use crate::workspace::Workspace;

/// Whoever changes the workspace.
#[derive(Debug, Clone)]
pub(crate) enum Agent {
    /// A program on this machine.
    Command(command::CommandAgent),
    /// A model.
    Model(model::ModelAgent),
}

/// Why an attempt of an agent came to nothing. None of these ends a mining run:
/// there may be another attempt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// It ran out of time, and everything it started was killed.
    #[error("the agent was killed after {0:.0} s")]
    TimedOut(f64),
    /// It ended with a failure.
    #[error("the agent {0}")]
    Failed(String),
    /// Somebody pressed Ctrl-C; everything it started was killed.
    #[error("interrupted")]
    Interrupted,
}

impl Agent {
    /// Lets the agent change `workspace` once. `feedback` says what came of the
    /// attempt before.
    pub(crate) async fn attempt(
        &self,
        workspace: &Workspace,
        task: &ServedTask,
        feedback: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<(), AgentError> {
        match self {
            Self::Command(command) => command.attempt(workspace, cancel).await,
            Self::Model(model) => model.attempt(workspace, task, feedback, cancel).await,
        }
    }
}
