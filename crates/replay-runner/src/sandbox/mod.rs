//! Runs one command of a replay in a container of its own, and tells how it
//! ended. The container is dead and removed before this module returns.

pub mod cgroup;
mod conditions;
mod config;
mod drain;
mod etc;
pub mod output;
mod run;
mod user;
mod watchdog;

use std::path::Path;
use std::sync::atomic::AtomicU32;

use protocol::Limits;

use crate::engine::{EngineError, Image};

pub use conditions::{AddressRandomisation, Conditions, EnvironmentOrder, Randomness};
pub use etc::EtcFiles;
pub use run::{StageEnd, StageRun};
pub use user::SandboxUser;

/// Where the work tree is, inside.
pub const WORKSPACE: &str = "/workspace";
/// Where private inputs are, inside.
pub const PRIVATE: &str = "/private";

/// A stage could not be run to an end.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Somebody asked to stop.
    #[error("stopped by a signal")]
    Cancelled,
    /// This process may have no more threads.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl SandboxError {
    /// The outcome code of a replay that ends for this reason.
    pub fn code(&self) -> protocol::Code {
        match self {
            Self::Engine(error) => error.code(),
            Self::Cancelled => protocol::Code::Cancelled,
            Self::Thread(_) => protocol::Code::Internal,
        }
    }
}

/// Whether a stage may reach the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Only its own loopback interface.
    None,
    /// The engine's default network; only for setup, and only if task and
    /// operator both say so.
    Bridge,
}

/// One container run to be made.
#[derive(Debug, Clone)]
pub struct Stage<'a> {
    /// `setup`, `benchmark` or `score`; part of the container's name.
    pub name: &'a str,
    /// Run by `/bin/sh -c` inside.
    pub command: &'a str,
    /// The mounted work tree on the host.
    pub workspace: &'a Path,
    /// The directory of private inputs on the host, for a stage that may see them.
    pub private: Option<&'a Path>,
    /// Environment beside the fixed one.
    pub env: Vec<(String, String)>,
    /// Whether it may reach the network.
    pub network: Network,
}

/// What all stages of one replay have in common.
#[derive(Debug)]
pub struct Sandbox {
    /// The engine to run them on.
    pub engine: crate::engine::Engine,
    /// Whether systemd manages that engine's cgroups.
    pub systemd_cgroups: bool,
    /// The id of the runner, for labels.
    pub owner: String,
    /// Unique among the runner's replays; part of container names.
    pub replay: String,
    /// What they run in.
    pub image: Image,
    /// What each of them may use.
    pub limits: Limits,
    /// The cores they run on.
    pub cpuset: String,
    /// The user they run as.
    pub user: SandboxUser,
    /// The files of `/etc` that every container gets.
    pub etc: EtcFiles,
    /// What they find around them.
    pub conditions: Conditions,
    /// Texts that must not be kept from output, longest first.
    pub secrets: Vec<String>,
    /// What to look for in output.
    pub markers: Vec<String>,
    /// How many stages were begun: a container's name is never used twice.
    pub begun: AtomicU32,
}
