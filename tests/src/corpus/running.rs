//! A runner at work, watched from outside.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use protocol::report::StageReport;
use protocol::{Code, Report};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::engine::{self, Event};

/// Far beyond what any row takes, queueing for cores included.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long a stage may take to begin, queueing for cores included.
const STAGE_PATIENCE: Duration = Duration::from_mins(3);

/// From the start of a container to the engine's answer that it has started.
const START_ANSWER: f64 = 0.3;

/// A runner that was started.
#[derive(Debug)]
pub struct Running {
    child: Process,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    started: f64,
    owner: Option<String>,
    peak_memory: u64,
    canaries: Vec<String>,
}

/// A runner that has ended, and its report.
#[derive(Debug)]
pub struct Seen {
    /// What it printed on standard output.
    pub report: Report,
    /// The same as text.
    pub stdout: String,
    /// What it printed on standard error.
    pub stderr: String,
    /// The id that its containers carried.
    pub owner: Option<String>,
    /// The most memory that the process held.
    pub peak_memory: u64,
    started: f64,
    canaries: Vec<String>,
}

/// How a runner ended, whether it reported or not.
#[derive(Debug)]
pub struct Ended {
    /// The status of the process.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: String,
    /// The id that its containers carried, if it came so far.
    pub owner: Option<String>,
}

impl Running {
    /// Starts `command`; none of `canaries` may ever be told to anybody.
    pub fn start(command: &mut Command, canaries: Vec<String>) -> Result<Self> {
        let started = engine::seconds_since_epoch()?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("the runner")?;
        let stdout = read_in_background(child.stdout.take());
        let stderr = read_in_background(child.stderr.take());
        Ok(Self {
            child: Process(child),
            stdout,
            stderr,
            started,
            owner: None,
            peak_memory: 0,
            canaries,
        })
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// What may never be told to anybody.
    pub fn canaries(&self) -> &[String] {
        &self.canaries
    }

    /// Kills it as the kernel does for want of memory: it notices nothing.
    pub fn kill(&mut self) -> Result<()> {
        Ok(self.child.0.kill()?)
    }

    /// Asks it to stop.
    pub fn terminate(&self) -> Result<()> {
        let status = Command::new("kill")
            .args(["-TERM", &self.pid().to_string()])
            .status()?;
        ensure!(status.success(), "kill: {status}");
        Ok(())
    }

    /// Waits until a container of `stage` runs; its name.
    pub fn wait_for_stage(&mut self, stage: &str) -> Result<String> {
        self.wait_for_stage_after(stage, "")
    }

    /// Waits until a container of `stage` runs that is not `earlier`; its name.
    pub fn wait_for_stage_after(&mut self, stage: &str, earlier: &str) -> Result<String> {
        let ending = format!("-{stage}");
        engine::wait_until(stage, STAGE_PATIENCE, || {
            ensure!(
                !self.has_ended()?,
                "the runner ended before a container of {stage} ran"
            );
            let Some(owner) = &self.owner else {
                return Ok(None);
            };
            let label = format!("label={}={owner}", engine::OWNER_LABEL);
            let names = engine::docker(&["ps", "--filter", &label, "--format", "{{.Names}}"])?;
            Ok(names
                .lines()
                .find(|name| name.ends_with(&ending) && *name != earlier)
                .map(str::to_owned))
        })
    }

    /// Waits for its end.
    pub fn end(mut self) -> Result<Ended> {
        let status = self.wait()?;
        Ok(Ended {
            status,
            stdout: self.stdout.recv()?,
            stderr: String::from_utf8_lossy(&self.stderr.recv()?).into_owned(),
            owner: self.owner,
        })
    }

    /// Waits for its end and its report.
    pub fn see(mut self) -> Result<Seen> {
        let status = self.wait()?;
        let stdout = String::from_utf8(self.stdout.recv()?).context("standard output is text")?;
        let stderr = String::from_utf8_lossy(&self.stderr.recv()?).into_owned();
        let report: Report = serde_json::from_str(&stdout)
            .with_context(|| format!("no report; {status}; {stderr}"))?;
        let promised = i32::from(report.status.exit_code());
        ensure!(
            status.code() == Some(promised),
            "{status} for a replay that is {}",
            report.status
        );
        Ok(Seen {
            report,
            stdout,
            stderr,
            owner: self.owner,
            peak_memory: self.peak_memory,
            started: self.started,
            canaries: self.canaries,
        })
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            self.look();
            if let Some(status) = self.child.0.try_wait()? {
                return Ok(status);
            }
            if start.elapsed() > PATIENCE {
                self.child.0.kill()?;
                self.child.0.wait()?;
                bail!("the runner did not end within {} s", PATIENCE.as_secs());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn has_ended(&mut self) -> Result<bool> {
        self.look();
        Ok(self.child.0.try_wait()?.is_some())
    }

    /// What the kernel says of the process: the lock that it holds names its
    /// containers' owner, and the peak of its memory only grows.
    fn look(&mut self) {
        let process = format!("/proc/{}", self.pid());
        let status = fs::read_to_string(format!("{process}/status")).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        self.peak_memory = self.peak_memory.max(kib.unwrap_or(0) << 10);
        if self.owner.is_none() {
            let open = fs::read_dir(format!("{process}/fd"))
                .into_iter()
                .flatten()
                .flatten();
            self.owner = open
                .map(|entry| entry.path())
                .find_map(|descriptor| own_lock(&descriptor));
        }
    }
}

/// How many times more there is to compute on this machine than it can, from 1:
/// where others build and test beside us the engine's answers take their turn.
fn crowding() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = text
        .split(' ')
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or(0.0);
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (load / f64::from(u32::try_from(cores).unwrap_or(1))).max(1.0)
}

/// The owner's id, if this descriptor is the lock that its process made. Those
/// of others, which a start looks into, are open for reading only.
fn own_lock(descriptor: &Path) -> Option<String> {
    let path = fs::read_link(descriptor).ok()?;
    let number = descriptor.file_name()?;
    let information =
        fs::read_to_string(descriptor.parent()?.with_file_name("fdinfo").join(number)).ok()?;
    let flags = information
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))?
        .trim();
    let is_lock = path.parent()?.ends_with("owners") && path.extension()? == "lock";
    let writes = !flags.ends_with('0');
    (is_lock && writes).then(|| path.file_stem().map(|id| id.to_string_lossy().into_owned()))?
}

/// A process that does not outlive whoever started it.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Seen {
    /// The digits of an observed metric as they were printed.
    pub fn metric(&self, name: &str) -> Result<&str> {
        #[derive(Deserialize)]
        struct Printed<'a> {
            #[serde(borrow)]
            observed_metrics: BTreeMap<String, &'a RawValue>,
        }
        let printed: Printed<'_> = serde_json::from_str(&self.stdout)?;
        let metric = printed.observed_metrics.get(name).copied();
        Ok(metric.with_context(|| format!("no metric {name}"))?.get())
    }

    /// The stage `name` of the submission itself.
    pub fn stage(&self, name: &str) -> Result<&StageReport> {
        let found = self.report.stages.iter().find(|stage| stage.name == name);
        found.with_context(|| format!("no stage {name}"))
    }

    /// What is kept of the output of the submission's stages.
    pub fn output(&self) -> String {
        let own = self
            .report
            .stages
            .iter()
            .filter(|stage| !stage.name.contains('('));
        own.map(|stage| stage.output.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// What the engine says that happened to its containers.
    pub fn events(&self) -> Result<Vec<Event>> {
        engine::events(
            self.owner
                .as_deref()
                .context("the runner never registered")?,
            self.started,
        )
    }

    /// Whether every container was gone `seconds` after it had started. The
    /// engine says that it started before it tells the runner, whose clock begins
    /// then: that much is allowed on top.
    pub fn every_container_was_gone_within(&self, seconds: f64) -> Result<()> {
        let events = self.events()?;
        let at = |name: &str, action: &str| {
            let found = events
                .iter()
                .find(|event| event.container == name && event.action == action);
            found
                .map(|event| event.at)
                .with_context(|| format!("no {action} of {name}"))
        };
        let started = events.iter().filter(|event| event.action == "start");
        for event in started {
            let lived = at(&event.container, "destroy")?.saturating_sub(event.at);
            ensure!(
                lived.as_secs_f64() <= seconds + START_ANSWER * crowding(),
                "{} lived for {lived:?}",
                event.container
            );
        }
        ensure!(
            !events.is_empty(),
            "the engine remembers nothing of this replay"
        );
        Ok(())
    }

    /// Secrets that the runner told. A mistake in a task file is told with the
    /// file's path, as its author typed it.
    pub(super) fn leaks(&self) -> Vec<String> {
        if self.report.code == Code::SpecInvalid {
            return Vec::new();
        }
        let told = |canary: &&String| {
            self.stdout.contains(canary.as_str()) || self.stderr.contains(canary.as_str())
        };
        self.canaries
            .iter()
            .filter(told)
            .map(|canary| format!("the runner told {canary:?}"))
            .collect()
    }
}

fn read_in_background(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}
