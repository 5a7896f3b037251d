//! Tries every limit in a container made exactly as a replay's are.

use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use protocol::Limits;
use protocol::limits::Bytes;
use tokio_util::sync::CancellationToken;

use super::{Examination, Finding};
use crate::engine::Engine;
use crate::failure::Failure;
use crate::sandbox::{Conditions, EtcFiles, Network, Sandbox, Stage, StageEnd, StageRun};
use crate::state::{Cores, Owner};
use crate::workspace::{Workspace, WorkspaceError};

/// Prints one word a line for every limit that does not hold.
const PROBE: &str = r#"
[ "$(id -u)" = "$PROBE_USER" ] && [ "$(id -un)" = sandbox ] || echo user
touch /probe 2>/dev/null && echo read-only-root
[ "$(grep -c processor /proc/cpuinfo)" -ge 1 ] && [ "$(nproc)" = 1 ] || echo cpuset
head -c 3000000 /dev/zero > big 2>/dev/null && echo file-size
for n in 1 2 3 4 5 6 7 8 9 10; do head -c 1900000 /dev/zero > fill$n 2>/dev/null || break; done
[ -s fill10 ] && echo workspace
rm -f fill* big
[ "$(ls /sys/class/net 2>/dev/null | grep -v '^lo$' | wc -l)" = 0 ] || echo network
grep -q '^NoNewPrivs:.1' /proc/self/status || echo no-new-privileges
grep -q '^CapBnd:.0000000000000000' /proc/self/status || echo capabilities
grep -q '^Seccomp:.2' /proc/self/status || echo seccomp
(for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do sleep 3 & done) 2>/dev/null
set -- /proc/[0-9]*
[ $# -gt 20 ] && echo pids
echo done
"#;

/// Holds more memory than it may, in the shell itself.
const MEMORY_HOG: &str = r#"x=0123456789abcdef; while :; do x="$x$x"; done"#;

pub(super) async fn examine(engine: &Engine, examination: &Examination<'_>) -> Vec<Finding> {
    let image = match engine.image(examination.image, &|_, _| {}).await {
        Ok(image) => image,
        Err(error) => {
            return vec![Finding::failure(
                "images",
                error.to_string(),
                "run `replay-runner images build`",
            )];
        }
    };
    let mut findings = vec![Finding::ok(
        "images",
        format!("{} is {}", examination.image, image.id),
    )];
    match Probe::make(engine, examination, image).await {
        Ok(probe) => findings.extend(probe.run().await),
        Err(failure) => findings.push(Finding::failure(
            "limits",
            failure.message,
            "see RUST_LOG=replay_runner=debug",
        )),
    }
    findings
}

struct Probe {
    sandbox: Sandbox,
    dir: tempfile::TempDir,
    _owner: Owner,
    _cores: crate::state::CpuReservation,
}

impl Probe {
    async fn make(
        engine: &Engine,
        examination: &Examination<'_>,
        image: crate::engine::Image,
    ) -> Result<Self, Failure> {
        let owner = Owner::register(examination.state)?;
        let cores = Cores::of_this_process()?.reserve(1).await?;
        let dir = tempfile::tempdir_in(owner.run_dir())
            .map_err(WorkspaceError::io("making a directory"))?;
        let user = cores.user();
        let etc =
            EtcFiles::write(dir.path(), user).map_err(WorkspaceError::io("writing a file"))?;
        let sandbox = Sandbox {
            engine: engine.clone(),
            systemd_cgroups: engine.facts().await?.systemd_cgroups,
            owner: owner.id().to_owned(),
            replay: "doctor".to_owned(),
            image,
            limits: Limits {
                memory: Bytes::mib(64),
                pids: 20,
                workspace: Bytes::mib(8),
                file_size: Bytes::mib(2),
                tmp: Bytes::mib(1),
                ..Limits::default()
            },
            cpuset: cores.cpuset(),
            user,
            etc,
            conditions: Conditions::default(),
            secrets: Vec::new(),
            markers: Vec::new(),
            begun: AtomicU32::new(0),
        };
        Ok(Self {
            sandbox,
            dir,
            _owner: owner,
            _cores: cores,
        })
    }

    async fn run(&self) -> Vec<Finding> {
        let held = match self.stage("limits", PROBE, Duration::from_secs(30)).await {
            Ok(run) => held(&run),
            Err(failure) => {
                Finding::failure("limits", failure.message, "look at the engine's own log")
            }
        };
        let memory = match self
            .stage("memory", MEMORY_HOG, Duration::from_secs(30))
            .await
        {
            Ok(run) if run.end == StageEnd::OutOfMemory => {
                Finding::ok("memory limit", "a hog is killed and told as such")
            }
            Ok(run) => Finding::failure(
                "memory limit",
                format!("a hog of memory ended with {:?}", run.end),
                "enable the memory controller (on some hosts: cgroup_enable=memory swapaccount=1 on the kernel command line)",
            ),
            Err(failure) => Finding::failure(
                "memory limit",
                failure.message,
                "look at the engine's own log",
            ),
        };
        let time = match self
            .stage(
                "time",
                "trap '' TERM INT; sleep 60 & wait",
                Duration::from_secs(1),
            )
            .await
        {
            Ok(run) if run.end == StageEnd::TimedOut && run.wall < Duration::from_secs(2) => {
                Finding::ok(
                    "time limit",
                    format!(
                        "dead {:.2} s after the budget ended",
                        run.wall.as_secs_f64() - 1.0
                    ),
                )
            }
            Ok(run) => Finding::failure(
                "time limit",
                format!(
                    "a budget of 1 s ended after {:.2} s",
                    run.wall.as_secs_f64()
                ),
                "this machine or its engine is overloaded",
            ),
            Err(failure) => Finding::failure(
                "time limit",
                failure.message,
                "look at the engine's own log",
            ),
        };
        vec![held, memory, time]
    }

    async fn stage(
        &self,
        name: &str,
        command: &str,
        budget: Duration,
    ) -> Result<StageRun, Failure> {
        let dir = self.dir.path().join(name);
        let lower = dir.join("lower");
        std::fs::create_dir_all(&lower).map_err(WorkspaceError::io("making a directory"))?;
        let tree = Workspace::mount(
            &dir,
            &[Path::new(&lower)],
            &self.sandbox.limits,
            self.sandbox.user,
        )?;
        let stage = Stage {
            name,
            command,
            workspace: tree.path(),
            private: None,
            env: vec![("PROBE_USER".to_owned(), self.sandbox.user.id().to_string())],
            network: Network::None,
        };
        let run = self
            .sandbox
            .run(&stage, budget, &CancellationToken::new())
            .await?;
        if run.usage.is_none() {
            return Err(Failure::new(
                protocol::Code::Internal,
                "the kernel does not tell processor time and peak memory of a cgroup below /sys/fs/cgroup",
            ));
        }
        Ok(run)
    }
}

fn held(run: &StageRun) -> Finding {
    let lines: Vec<&str> = run.output.lines().collect();
    match lines.split_last() {
        Some((&"done", [])) => Finding::ok(
            "limits",
            "user, read-only root, cores, file size, work tree size, processes, network, privileges and system calls hold",
        ),
        Some((&"done", broken)) => Finding::failure(
            "limits",
            format!("not enforced: {}", broken.join(", ")),
            "use an engine and a kernel with all cgroup controllers, seccomp and namespaces",
        ),
        last => {
            tracing::debug!(?last, end = ?run.end, "probe");
            Finding::failure(
                "limits",
                "the probe did not run to its end",
                "try another image with --image",
            )
        }
    }
}
