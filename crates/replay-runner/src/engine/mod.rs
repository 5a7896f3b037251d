//! The container engine: every call has a deadline of its own, and no text of
//! the engine's leaves this module except in a debug log, because it carries
//! host paths.

mod error;
mod image;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bollard::Docker;
use bollard::container::AttachContainerResults;
use bollard::models::{ContainerCreateBody, ContainerStateStatusEnum};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, InspectContainerOptions,
    KillContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt as _;

pub use error::EngineError;
pub use image::{Image, ImageProgress};

/// The label that names the runner that made a container.
pub const OWNER_LABEL: &str = "replay-runner.owner";
/// The label that names the host of that runner, for engines that serve several.
pub const HOST_LABEL: &str = "replay-runner.host";

/// How long the engine may take for each kind of call.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Inspect, list, kill: answered in milliseconds by a healthy engine.
    pub query: Duration,
    /// Create, start and remove: some tenths of a second, more under load.
    pub change: Duration,
    /// Pulling an image.
    pub pull: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            query: Duration::from_secs(20),
            change: Duration::from_mins(1),
            pull: Duration::from_mins(30),
        }
    }
}

/// A connection to the engine that `DOCKER_HOST` names, or the local one.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    deadlines: Deadlines,
    host_id: String,
    /// Whether a container may be there that nobody waits for any more.
    in_doubt: Arc<AtomicBool>,
}

/// What the engine says of itself.
#[derive(Debug, Clone)]
pub struct EngineFacts {
    /// Its version.
    pub version: String,
    /// The runtime that starts containers, with its version if known.
    pub runtime: String,
    /// Whether cgroups are managed by systemd (otherwise by the engine itself).
    pub systemd_cgroups: bool,
    /// 1 or 2.
    pub cgroup_version: u8,
    /// Memory of its host.
    pub memory_bytes: u64,
    /// Whether it has a runtime for GPUs.
    pub has_gpus: bool,
}

/// A container of some runner's.
#[derive(Debug, Clone)]
pub struct OurContainer {
    /// The engine's id.
    pub id: String,
    /// The runner that made it.
    pub owner: String,
}

/// What a kill found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Killed {
    /// It ran until now.
    Now,
    /// It had ended by itself.
    WasDead,
}

/// How a container ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Exit status of its first process.
    pub exit_code: i64,
    /// Whether the kernel killed a process of it for want of memory.
    pub oom_killed: bool,
}

impl Engine {
    /// Connects and agrees on an API version.
    pub async fn connect(deadlines: Deadlines) -> Result<Self, EngineError> {
        if std::env::var("DOCKER_HOST")
            .is_ok_and(|host| !host.is_empty() && !host.starts_with("unix://"))
        {
            return Err(EngineError::Remote);
        }
        let docker =
            Docker::connect_with_defaults().map_err(|error| EngineError::unavailable(&error))?;
        let docker = within(deadlines.query, "negotiate", docker.negotiate_version()).await?;
        Ok(Self {
            docker,
            deadlines,
            host_id: host_id(),
            in_doubt: Arc::default(),
        })
    }

    /// The underlying client, for what is not a replay: building images.
    pub fn client(&self) -> &Docker {
        &self.docker
    }

    /// The labels that mark what `owner` makes.
    pub fn labels(&self, owner: &str) -> HashMap<String, String> {
        HashMap::from([
            (OWNER_LABEL.to_owned(), owner.to_owned()),
            (HOST_LABEL.to_owned(), self.host_id.clone()),
        ])
    }

    /// What the engine says of itself.
    pub async fn facts(&self) -> Result<EngineFacts, EngineError> {
        let info = within(self.deadlines.query, "info", self.docker.info()).await?;
        let runtime = info.default_runtime.clone().unwrap_or_default();
        let runtimes = info.runtimes.unwrap_or_default();
        Ok(EngineFacts {
            version: info.server_version.unwrap_or_default(),
            systemd_cgroups: info
                .cgroup_driver
                .is_some_and(|driver| driver.to_string() == "systemd"),
            cgroup_version: if info
                .cgroup_version
                .is_some_and(|version| version.to_string() == "2")
            {
                2
            } else {
                1
            },
            memory_bytes: info
                .mem_total
                .and_then(|bytes| u64::try_from(bytes).ok())
                .unwrap_or(0),
            has_gpus: runtimes.keys().any(|name| name.contains("nvidia")),
            runtime,
        })
    }

    /// The version of the runtime that starts containers, if the engine tells.
    pub async fn runtime_version(&self) -> Option<String> {
        let version = within(self.deadlines.query, "version", self.docker.version())
            .await
            .ok()?;
        version
            .components?
            .into_iter()
            .find(|part| part.name == "runc")
            .map(|part| part.version)
    }

    /// Creates a container; the engine's id of it.
    pub async fn create(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<String, EngineError> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let call = self.docker.create_container(Some(options), body);
        Ok(within(self.deadlines.change, "create", call).await?.id)
    }

    /// Attaches to the input and the output of a container that is not yet started.
    pub async fn attach(&self, id: &str) -> Result<AttachContainerResults, EngineError> {
        let options = AttachContainerOptionsBuilder::new()
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .stream(true)
            .build();
        let call = self.docker.attach_container(id, Some(options));
        within(self.deadlines.query, "attach", call).await
    }

    /// Resolves when the container next exits. Must be polled before `start`:
    /// a container that is only created counts as not running.
    pub async fn next_exit(&self, id: &str) -> Result<(), EngineError> {
        let options = WaitContainerOptionsBuilder::new()
            .condition("next-exit")
            .build();
        let mut answers = Box::pin(self.docker.wait_container(id, Some(options)));
        match answers.next().await {
            Some(Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => Err(EngineError::classify("wait", &error)),
            None => Err(EngineError::lost("wait")),
        }
    }

    /// Starts a container.
    pub async fn start(&self, id: &str) -> Result<(), EngineError> {
        let call = self
            .docker
            .start_container(id, None::<StartContainerOptions>);
        within(self.deadlines.change, "start", call).await
    }

    /// Kills every process of a container.
    pub async fn kill(&self, id: &str) -> Result<Killed, EngineError> {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        let call = self.docker.kill_container(id, Some(options));
        match within(self.deadlines.query, "kill", call).await {
            Ok(()) => Ok(Killed::Now),
            Err(error) if error.is_conflict() => Ok(Killed::WasDead),
            Err(error) => Err(error),
        }
    }

    /// How a container that has exited ended.
    pub async fn ended(&self, id: &str) -> Result<Ended, EngineError> {
        let call = self
            .docker
            .inspect_container(id, None::<InspectContainerOptions>);
        let state = within(self.deadlines.query, "inspect", call).await?.state;
        let state = state.ok_or_else(|| EngineError::lost("inspect"))?;
        // Whoever removes a container by force kills it first: it did not end by
        // itself. Nothing inside can bring this state about.
        let removed = matches!(
            state.status,
            Some(ContainerStateStatusEnum::REMOVING | ContainerStateStatusEnum::DEAD)
        );
        if state.running == Some(true) || removed {
            return Err(EngineError::lost("inspect"));
        }
        Ok(Ended {
            exit_code: state
                .exit_code
                .ok_or_else(|| EngineError::lost("inspect"))?,
            oom_killed: state.oom_killed.unwrap_or(false),
        })
    }

    /// Removes a container by force, with its anonymous volumes. One that is
    /// gone is fine.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        let call = self.docker.remove_container(id, Some(options));
        match within(self.deadlines.change, "remove", call).await {
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            other => other,
        }
    }

    /// Notes that a container may have outlived its stage.
    pub(crate) fn note_doubt(&self) {
        self.in_doubt.store(true, Ordering::Relaxed);
    }

    /// Removes what outlived its stage of all that `owner` made, if that can be.
    /// Only for an owner that runs no stage meanwhile.
    ///
    /// # Errors
    /// [`EngineError`] if the engine does not do it; the doubt stays.
    pub(crate) async fn settle_doubt(&self, owner: &str) -> Result<(), EngineError> {
        if !self.in_doubt.load(Ordering::Relaxed) {
            return Ok(());
        }
        for container in self.our_containers().await? {
            if container.owner == owner {
                self.remove(&container.id).await?;
            }
        }
        self.in_doubt.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// All containers that runners of this host made.
    pub async fn our_containers(&self) -> Result<Vec<OurContainer>, EngineError> {
        let filter = format!("{HOST_LABEL}={}", self.host_id);
        let filters = HashMap::from([("label".to_owned(), vec![filter])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let list = within(
            self.deadlines.query,
            "list",
            self.docker.list_containers(Some(options)),
        )
        .await?;
        Ok(list
            .into_iter()
            .filter_map(|container| {
                let owner = container.labels?.remove(OWNER_LABEL)?;
                Some(OurContainer {
                    id: container.id?,
                    owner,
                })
            })
            .collect())
    }
}

/// Runs an engine call under a deadline, with the call's name for the log.
async fn within<T>(
    deadline: Duration,
    call: &'static str,
    future: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(deadline, future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(EngineError::classify(call, &error)),
        Err(_) => Err(EngineError::Timeout { call, deadline }),
    }
}

/// Names this host towards engines that serve several.
fn host_id() -> String {
    std::fs::read_to_string("/etc/machine-id")
        .ok()
        .map(|id| id.trim().to_owned())
        .filter(|id| !id.is_empty())
        .or_else(|| nix::unistd::gethostname().ok()?.into_string().ok())
        .map_or_else(
            || "unknown".to_owned(),
            |id| {
                // A machine id is not to be shown around; its digest names the host as well.
                protocol::Sha256Digest::of(id.as_bytes()).to_string()[..16].to_owned()
            },
        )
}
