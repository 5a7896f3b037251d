//! Replays on this machine, by the engine that validators run and in the same
//! sandbox. Nothing that was submitted, by its miner or by a model, ever runs
//! outside it.

use std::path::{Path, PathBuf};

use anyhow::bail;
use protocol::Report;
use protocol::task::TaskFile;
use replay_runner::artifact::LocalFiles;
use replay_runner::checkout::Source;
use replay_runner::host::{Host, HostOptions};
use replay_runner::replay::replay;
use replay_runner::spec::{Request, Submission};
use replay_runner::state::State;
use tokio_util::sync::CancellationToken;

use crate::progress::Told;
use crate::task::ServedTask;

/// What a miner says about replays on this machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct LabOptions {
    /// The engine's directory, if not its usual one.
    pub(crate) state: Option<PathBuf>,
    /// Whether a task that asks for network in setup gets it.
    pub(crate) allow_setup_network: bool,
    /// Own files in place of those that only validators have.
    pub(crate) private_inputs: Vec<(String, PathBuf)>,
}

/// The engine, opened.
#[derive(Debug)]
pub(crate) struct Lab {
    host: Host,
    options: LabOptions,
    cancel: CancellationToken,
}

impl Lab {
    /// Opens the engine, and removes what a dead one left.
    pub(crate) async fn open(
        options: LabOptions,
        cancel: CancellationToken,
    ) -> anyhow::Result<Self> {
        let root = options.state.clone().unwrap_or_else(State::default_root);
        let host_options = HostOptions {
            // The only paths that get there are those of `--private-input`.
            local_files: LocalFiles::Anywhere,
            allow_setup_network: options.allow_setup_network,
            ..HostOptions::default()
        };
        match Host::open(State::open(&root)?, host_options).await {
            Ok(host) => Ok(Self {
                host,
                options,
                cancel,
            }),
            Err(failure) => bail!(
                "the sandbox is not usable: {}: {}; `replay-runner doctor` says more",
                failure.code,
                failure.message
            ),
        }
    }

    /// Replays a submission, or with an empty one the baseline.
    pub(crate) async fn replay(
        &self,
        task: &ServedTask,
        source: Source,
        submission: Submission,
    ) -> anyhow::Result<Report> {
        let mut engine_task = task.task.clone();
        for (name, path) in &self.options.private_inputs {
            engine_task.private_inputs.push(TaskFile {
                name: name.clone(),
                uri: path
                    .canonicalize()
                    .unwrap_or_else(|_| path.clone())
                    .display()
                    .to_string(),
                sha256: None,
                size_bytes: None,
            });
        }
        let request = Request {
            task: engine_task,
            directory: Path::new("/").to_owned(),
            repository: Some(source),
            base_ref: Some(task.base_ref()?),
            submission,
        };
        let replayed = replay(&self.host, &request, &Told, &self.cancel).await;
        Ok(replayed.report)
    }

    /// Whether this task's deciding stage wants files that are not here.
    pub(crate) fn lacks_private_inputs(&self, task: &ServedTask) -> bool {
        task.has_private_inputs && self.options.private_inputs.is_empty()
    }
}
