//! The container that a stage runs in. Nothing of it comes from submitted data
//! except the command's environment of the task owner; the image contributes
//! files and a search path, never an entry point, user, volume or variable.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, DeviceRequest, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum,
    HostConfigLogConfig, Mount, MountBindOptions, MountBindOptionsPropagationEnum, MountType,
    ResourcesUlimits,
};
use protocol::Limits;

use super::cgroup::StageCgroup;
use super::{EnvironmentOrder, Network, PRIVATE, Sandbox, Stage};

/// Allows 278 system calls; refuses namespaces, mounts, keys, bpf, perf,
/// `io_uring`, `userfaultfd` and every socket family but UNIX and IP.
const SECCOMP: &str = include_str!("seccomp.json");

/// What the kernel shows of the host in `/proc` and `/sys`, as engines hide it,
/// and the way to terminals, of which one host has few for all containers.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/dev/pts/ptmx",
];

/// Environment that every stage has; the same on every host, so that answers are.
fn fixed_env(limits: &Limits) -> Vec<(String, String)> {
    let threads = limits.cpus.to_string();
    [
        ("HOME", "/tmp"),
        ("TMPDIR", "/tmp"),
        ("USER", "sandbox"),
        ("LOGNAME", "sandbox"),
        ("LANG", "C.UTF-8"),
        ("LC_ALL", "C.UTF-8"),
        ("TZ", "UTC"),
        ("PYTHONHASHSEED", "0"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("OMP_NUM_THREADS", &threads),
        ("OPENBLAS_NUM_THREADS", &threads),
        ("MKL_NUM_THREADS", &threads),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

impl Sandbox {
    pub(super) fn container(&self, stage: &Stage<'_>, cgroup: &StageCgroup) -> ContainerCreateBody {
        ContainerCreateBody {
            image: Some(self.image.id.clone()),
            entrypoint: Some(self.conditions.entrypoint()),
            cmd: Some(vec![stage.command.to_owned()]),
            working_dir: Some(self.conditions.workspace.clone()),
            user: Some(self.user.to_string()),
            hostname: Some(self.conditions.hostname.clone()),
            env: Some(self.env(stage)),
            // An empty command line, not an absent one, switches off the image's.
            healthcheck: Some(HealthConfig {
                test: Some(vec!["NONE".to_owned()]),
                ..Default::default()
            }),
            labels: Some(self.engine.labels(&self.owner)),
            attach_stdin: Some(true),
            open_stdin: Some(true),
            stdin_once: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            network_disabled: Some(stage.network == Network::None),
            host_config: Some(self.host_config(stage, cgroup)),
            ..Default::default()
        }
    }

    fn host_config(&self, stage: &Stage<'_>, cgroup: &StageCgroup) -> HostConfig {
        let limits = &self.limits;
        HostConfig {
            cgroup_parent: Some(cgroup.parent().to_owned()),
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
            ipc_mode: Some("private".to_owned()),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec![
                "no-new-privileges:true".to_owned(),
                format!("seccomp={}", self.conditions.seccomp(SECCOMP)),
            ]),
            memory: Some(signed(limits.memory.get())),
            // Equal to `memory`: no swap.
            memory_swap: Some(signed(limits.memory.get())),
            oom_score_adj: Some(500),
            pids_limit: Some(limits.pids.into()),
            cpuset_cpus: Some(self.cpuset.clone()),
            nano_cpus: self.conditions.cpu_seconds_per_second.map(nano_cpus),
            masked_paths: Some(MASKED.iter().map(ToString::to_string).collect()),
            shm_size: Some(signed(limits.shared_memory.get())),
            ulimits: Some(vec![
                // One byte, not none: a core pattern that is a pipe ignores 0 (core(5)).
                ulimit("core", 1),
                ulimit("nofile", limits.open_files),
                ulimit("fsize", limits.file_size.get()),
                ulimit("memlock", 65_536),
            ]),
            tmpfs: Some(self.tmpfs()),
            mounts: Some(self.mounts(stage)),
            // The engine would write every byte to the host's disk otherwise.
            log_config: Some(HostConfigLogConfig {
                typ: Some("none".to_owned()),
                config: None,
            }),
            device_requests: (limits.gpus > 0).then(|| {
                vec![DeviceRequest {
                    count: Some(limits.gpus.into()),
                    capabilities: Some(vec![vec!["gpu".to_owned()]]),
                    ..Default::default()
                }]
            }),
            ..Default::default()
        }
    }

    fn env(&self, stage: &Stage<'_>) -> Vec<String> {
        let mut variables: Vec<(String, String)> = fixed_env(&self.limits);
        for (name, value) in self.conditions.env.iter().chain(&stage.env) {
            variables.retain(|(known, _)| known != name);
            variables.push((name.clone(), value.clone()));
        }
        if self.conditions.env_order == EnvironmentOrder::Reversed {
            variables.reverse();
        }
        let mut env: Vec<String> = Vec::new();
        for name in &self.image.env_names {
            // A bare name removes the image's variable. Its search path stays:
            // without it the commands of many images could not be found.
            if name != "PATH" && variables.iter().all(|(known, _)| known != name) {
                env.push(name.clone());
            }
        }
        env.extend(
            variables
                .into_iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        env
    }

    /// `/tmp`, and something small in place of every volume that the image
    /// declares: an anonymous volume would be unlimited space on the host.
    fn tmpfs(&self) -> HashMap<String, String> {
        let options =
            |bytes: u64| format!("rw,nosuid,nodev,exec,mode=1777,size={bytes},nr_inodes=100000");
        let mut mounts: HashMap<String, String> = self
            .image
            .volumes
            .iter()
            .filter(|path| {
                ![self.conditions.workspace.as_str(), PRIVATE].contains(&path.trim_end_matches('/'))
            })
            .map(|path| (path.clone(), options(1 << 20)))
            .collect();
        mounts.insert("/tmp".to_owned(), options(self.limits.tmp.get()));
        mounts
    }

    fn mounts(&self, stage: &Stage<'_>) -> Vec<Mount> {
        let conditions = &self.conditions;
        let mut mounts = vec![bind(stage.workspace, &conditions.workspace, false)];
        let usual = self.etc.mounts().into_iter().filter(|(_, target)| {
            conditions
                .files
                .iter()
                .all(|(_, replaced)| replaced != target)
        });
        mounts.extend(usual.map(|(file, target)| bind(&file, target, true)));
        let files = conditions.files.iter();
        mounts.extend(files.map(|(file, target)| bind(file, target, true)));
        mounts.extend(stage.private.map(|dir| bind(dir, PRIVATE, true)));
        mounts
    }
}

fn bind(source: &std::path::Path, target: &str, read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        // The state directory's path is plain text; it was checked when opened.
        source: Some(source.to_string_lossy().into_owned()),
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        bind_options: Some(MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn ulimit(name: &str, value: u64) -> ResourcesUlimits {
    ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(signed(value)),
        hard: Some(signed(value)),
    }
}

/// Billionths of a core, as the engine counts them.
#[expect(clippy::cast_possible_truncation, reason = "no host has so many cores")]
fn nano_cpus(cores: f64) -> i64 {
    (cores * 1e9) as i64
}

/// The engine's integers are signed; no limit that a spec can hold is beyond them.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
