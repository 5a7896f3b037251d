//! From create to removed: the life of one stage's container.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bollard::container::AttachContainerResults;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span};

use super::cgroup::{StageCgroup, Usage};
use super::drain::Drain;
use super::watchdog::Watchdog;
use super::{Sandbox, SandboxError, Stage};
use crate::engine::{Ended, EngineError, Killed};

/// How long the engine may take to kill before it is only asked for the end.
const KILL_PATIENCE: Duration = Duration::from_millis(250);
/// How long the engine may take to notice that all processes are dead.
const DEATH_PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked then.
const DEATH_POLL: Duration = Duration::from_millis(50);
/// How often a stage is looked at in case the engine's word of its end is lost.
const LOST_EXIT_POLL: Duration = Duration::from_secs(2);
/// As much for the buffers of its loopback connections, where the kernel counts
/// them apart from other memory.
const MOST_TCP_MEMORY: u64 = 64 << 20;
/// How often the engine is asked to remove a container before that is put off.
const REMOVE_TRIES: u32 = 4;
/// How long the engine may take to hand a line to the command.
const BEGIN_PATIENCE: Duration = Duration::from_secs(10);

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageEnd {
    /// Its first process exited by itself.
    Exited(i64),
    /// The budget ended it.
    TimedOut,
    /// The kernel killed a process of it for want of memory.
    OutOfMemory,
}

/// What was observed of one stage.
#[derive(Debug)]
pub struct StageRun {
    /// How it ended.
    pub end: StageEnd,
    /// The exit status of its first process, however it ended.
    pub exit_code: Option<i64>,
    /// From start to end, by the monotonic clock.
    pub wall: Duration,
    /// What it used; `None` if the kernel does not say.
    pub usage: Option<Usage>,
    /// How much it printed.
    pub output_bytes: u64,
    /// Whether less than that is kept.
    pub output_truncated: bool,
    /// Inert text of what is kept.
    pub output: String,
    /// The last value printed for each marker looked for.
    pub markers: BTreeMap<String, String>,
}

impl Sandbox {
    /// Runs `stage` for at most `budget`. Whatever happens, the container is
    /// dead and removed when this returns.
    pub async fn run(
        &self,
        stage: &Stage<'_>,
        budget: Duration,
        cancel: &CancellationToken,
    ) -> Result<StageRun, SandboxError> {
        if cancel.is_cancelled() {
            return Err(SandboxError::Cancelled);
        }
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "replay-{}-{}-{number}-{}",
            &self.owner[..12],
            self.replay,
            stage.name
        );
        let cgroup = StageCgroup::new(
            &self.owner,
            &format!("{}x{number}{}", self.replay, stage.name),
            self.systemd_cgroups,
        );
        let observed = self.live(&name, stage, budget, cancel, &cgroup).await;
        // By name: a create call that timed out may still have made it.
        let removed = self.remove(&name, &cgroup, observed.is_err()).await;
        let usage = debug_span!("usage").in_scope(|| {
            let usage = cgroup.usage();
            cgroup.remove();
            usage
        });
        let mut observed = observed?;
        removed?;
        if usage.is_some_and(|usage| usage.oom_kills > 0) {
            // The engine hears of it by an event that may come after that of the end.
            observed.end = StageEnd::OutOfMemory;
        }
        observed.usage = usage;
        Ok(observed)
    }

    async fn live(
        &self,
        name: &str,
        stage: &Stage<'_>,
        budget: Duration,
        cancel: &CancellationToken,
        cgroup: &StageCgroup,
    ) -> Result<StageRun, SandboxError> {
        let create = self.engine.create(name, self.container(stage, cgroup));
        let id = create.instrument(debug_span!("create")).await?;
        let attach = self.engine.attach(&id).instrument(debug_span!("attach"));
        let AttachContainerResults { output, mut input } = attach.await?;
        let drain = Drain::spawn(output, self.limits.output.get(), &self.markers)?;
        let mut exit = {
            let (engine, id) = (self.engine.clone(), id.clone());
            AbortOnDrop(tokio::spawn(async move { engine.next_exit(&id).await }))
        };
        let start = self
            .engine
            .start(&id)
            .instrument(debug_span!("start"))
            .await;
        if let Err(error) = start {
            return if error.is_command_not_found() {
                Ok(never_started())
            } else {
                Err(error.into())
            };
        }
        cgroup.limit_tcp_memory(self.limits.memory.get().min(MOST_TCP_MEMORY));
        // The command waits for a line: nothing of it runs before the clock does.
        let watchdog = Watchdog::arm(cgroup.clone(), budget)?;
        let started = Instant::now();
        self.begin(&id, &mut input).await?;
        let mut stop = self
            .until_end(&id, &mut exit, budget, cancel)
            .instrument(debug_span!("command"))
            .await?;
        let overdue = watchdog.disarm();
        if overdue && stop == Stop::Exited {
            stop = Stop::Deadline;
        }
        if stop != Stop::Exited {
            // The kernel first: the engine's turn may come late on a busy host.
            let was_alive = cgroup.kill_all() || overdue;
            let killed = self
                .kill(&id, &mut exit)
                .instrument(debug_span!("kill"))
                .await?;
            if stop == Stop::Deadline && killed == Killed::WasDead && !was_alive {
                // It ended in time, and the engine was late to tell.
                stop = Stop::Exited;
            }
        }
        let wall = started.elapsed();
        if stop == Stop::Cancelled {
            return Err(SandboxError::Cancelled);
        }
        let (output, markers) = drain.finish().instrument(debug_span!("drain")).await;
        let ended = self
            .engine
            .ended(&id)
            .instrument(debug_span!("inspect"))
            .await?;
        Ok(StageRun {
            end: stage_end(stop, ended),
            exit_code: Some(ended.exit_code),
            wall,
            usage: None,
            output_bytes: output.total(),
            output_truncated: output.is_truncated(),
            output: output.render(&self.secrets),
            markers: markers.found(),
        })
    }

    /// Lets the command begin.
    async fn begin(
        &self,
        id: &str,
        input: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), EngineError> {
        let told = async {
            input.write_all(b"\n").await?;
            input.flush().await
        };
        if let Ok(Ok(())) = tokio::time::timeout(BEGIN_PATIENCE, told).await {
            return Ok(());
        }
        // What died before it was told has ended, and how is known.
        self.engine
            .ended(id)
            .await
            .map(drop)
            .map_err(|_| EngineError::Lost { call: "attach" })
    }

    /// Waits for the end of the container, of the budget, or of everybody's patience.
    async fn until_end(
        &self,
        id: &str,
        exit: &mut AbortOnDrop<Result<(), EngineError>>,
        budget: Duration,
        cancel: &CancellationToken,
    ) -> Result<Stop, SandboxError> {
        // The container may have ended before the engine heard our `wait`; then
        // nobody will ever tell. Asking must not hold up the deadline.
        let lost_exit = pin!(async {
            loop {
                tokio::time::sleep(LOST_EXIT_POLL).await;
                if self.engine.ended(id).await.is_ok() {
                    return;
                }
            }
        });
        tokio::select! {
            ended = &mut exit.0 => {
                ended.map_err(|_| EngineError::Lost { call: "wait" })??;
                Ok(Stop::Exited)
            }
            () = tokio::time::sleep(budget) => Ok(Stop::Deadline),
            () = cancel.cancelled() => Ok(Stop::Cancelled),
            () = lost_exit => Ok(Stop::Exited),
        }
    }

    async fn kill(
        &self,
        id: &str,
        exit: &mut AbortOnDrop<Result<(), EngineError>>,
    ) -> Result<Killed, SandboxError> {
        let by_engine = async {
            let killed = self.engine.kill(id).await?;
            (&mut exit.0)
                .await
                .map_err(|_| EngineError::Lost { call: "wait" })??;
            Ok::<_, EngineError>(killed)
        };
        match tokio::time::timeout(KILL_PATIENCE, by_engine).await {
            Ok(Ok(killed)) => return Ok(killed),
            Ok(Err(error)) if error.is_not_found() => return Err(error.into()),
            Ok(Err(error)) => tracing::warn!(%error, "the engine did not kill"),
            Err(_) => tracing::warn!("the engine is slow to kill"),
        }
        self.await_dead(id, exit).await?;
        Ok(Killed::Now)
    }

    /// Waits until the engine has noticed that the container is dead. However
    /// slow it is, this is no reason to call a timeout anything else.
    async fn await_dead(
        &self,
        id: &str,
        exit: &mut AbortOnDrop<Result<(), EngineError>>,
    ) -> Result<(), EngineError> {
        let patience = tokio::time::sleep(DEATH_PATIENCE);
        let mut patience = pin!(patience);
        loop {
            tokio::select! {
                ended = &mut exit.0 => return ended.map_err(|_| EngineError::Lost { call: "wait" })?,
                () = &mut patience => return Err(EngineError::Timeout { call: "kill", deadline: DEATH_PATIENCE }),
                () = tokio::time::sleep(DEATH_POLL) => {
                    if self.engine.ended(id).await.is_ok() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Removes the container. The engine may be coming back from a restart, so
    /// nothing may go on running meanwhile and it is asked more than once.
    async fn remove(
        &self,
        name: &str,
        cgroup: &StageCgroup,
        failed: bool,
    ) -> Result<(), EngineError> {
        if failed {
            cgroup.kill_all();
        }
        let remove = || self.engine.remove(name).instrument(debug_span!("remove"));
        let mut result = remove().await;
        for _ in 1..REMOVE_TRIES {
            // An engine that hangs has had its time, if nothing else went wrong.
            let hangs = matches!(result, Err(EngineError::Timeout { .. })) && !failed;
            if result.is_ok() || hangs {
                break;
            }
            cgroup.kill_all();
            tokio::time::sleep(Duration::from_secs(1)).await;
            result = remove().await;
        }
        // A create call that was cut off may still be carried out: after it was
        // said that there is no such container.
        if failed || result.is_err() {
            self.engine.note_doubt();
        }
        result
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Exited,
    Deadline,
    Cancelled,
}

fn stage_end(stop: Stop, ended: Ended) -> StageEnd {
    match stop {
        // A child that the kernel killed leaves the first process alive and its
        // exit status 0: only the engine's flag counts, never the status.
        _ if ended.oom_killed => StageEnd::OutOfMemory,
        Stop::Deadline | Stop::Cancelled => StageEnd::TimedOut,
        Stop::Exited => StageEnd::Exited(ended.exit_code),
    }
}

/// The image has no shell: what a shell says of a command that it cannot find.
fn never_started() -> StageRun {
    StageRun {
        end: StageEnd::Exited(127),
        exit_code: Some(127),
        wall: Duration::ZERO,
        usage: None,
        output_bytes: 0,
        output_truncated: false,
        output: String::new(),
        markers: BTreeMap::new(),
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
