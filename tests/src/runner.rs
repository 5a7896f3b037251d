//! The real `replay-runner`, run as a person or a script would.

use std::env;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::Report;

use crate::fixtures::Case;
use crate::stop::{Interrupted, Stop};

/// Names the binary, for those who have it elsewhere.
const BINARY_VARIABLE: &str = "REPLAY_RUNNER";
/// Far beyond what any fixture takes; a runner that needs longer hangs.
const PATIENCE: Duration = Duration::from_mins(3);

/// The binary, and where it keeps its state.
#[derive(Debug, Clone)]
pub struct Runner {
    binary: PathBuf,
    state: Option<PathBuf>,
    stop: Stop,
}

impl Runner {
    /// Finds the binary: where `REPLAY_RUNNER` says, or next to this program.
    pub fn find() -> Result<Self> {
        let binary = match env::var_os(BINARY_VARIABLE) {
            Some(path) => PathBuf::from(path),
            None => beside_this_program("replay-runner")?,
        };
        ensure!(
            binary.is_file(),
            "{} is not there; build it with `cargo build --package replay-runner`, or name it in {BINARY_VARIABLE}",
            binary.display()
        );
        Ok(Self {
            binary,
            state: None,
            stop: Stop::default(),
        })
    }

    /// The program itself.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Lets it keep its state in `directory`.
    #[must_use]
    pub fn with_state(self, directory: &Path) -> Self {
        Self {
            state: Some(directory.to_owned()),
            ..self
        }
    }

    /// Lets it end its replay when it is time to end.
    #[must_use]
    pub fn until(self, stop: &Stop) -> Self {
        Self {
            stop: stop.clone(),
            ..self
        }
    }

    /// Replays `case`, and checks that the exit status says what the report says.
    pub fn replay(&self, case: &Case) -> Result<Report> {
        self.replay_with(&arguments_of(case))
    }

    /// The same, with the arguments of `replay-runner run`.
    pub fn replay_with(&self, arguments: &[OsString]) -> Result<Report> {
        let mut command = Command::new(&self.binary);
        command.arg("run").args(arguments).arg("--json");
        if let Some(state) = &self.state {
            command.arg("--state").arg(state);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| self.binary.display().to_string())?;
        let stdout = read_in_background(child.stdout.take());
        let stderr = read_in_background(child.stderr.take());
        let exit_code = self.wait(&mut child)?;
        let (stdout, stderr) = (stdout.recv()?, stderr.recv()?);
        let report: Report = serde_json::from_slice(&stdout).with_context(|| {
            format!(
                "no report; exit status {exit_code:?}; {}",
                String::from_utf8_lossy(&stderr)
            )
        })?;
        ensure!(
            exit_code == Some(report.status.exit_code().into()),
            "exit status {exit_code:?} for a replay that is {}",
            report.status
        );
        Ok(report)
    }

    fn wait(&self, child: &mut Child) -> Result<Option<i32>> {
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.code());
            }
            if self.stop.is_set() {
                // It removes its container before it ends.
                kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
                child.wait()?;
                bail!(Interrupted);
            }
            if start.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                bail!(
                    "the runner did not end within {} seconds",
                    PATIENCE.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn arguments_of(case: &Case) -> Vec<OsString> {
    let submission = &case.submission;
    let mut arguments = vec![case.task_dir.clone().into_os_string()];
    let mut add = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    if let Some(patch) = &submission.patch {
        add("--patch", case.dir.join(patch).into());
    }
    if let Some(artifact) = &submission.artifact {
        add("--artifact", case.dir.join(artifact).into());
    }
    if let Some(digest) = &submission.artifact_sha256 {
        add("--artifact-sha256", digest.to_string().into());
    }
    if let Some(size) = submission.artifact_size_bytes {
        add("--artifact-size", size.to_string().into());
    }
    arguments
}

/// Replays `cases`, `at_once` of them at a time, and hands each result to `done`
/// in the order of `cases`, as early as that order allows.
pub fn replay_all<'a>(
    runner: &Runner,
    cases: &'a [Case],
    at_once: usize,
    mut done: impl FnMut(&'a Case, Result<Report>),
) {
    let queue = Mutex::new(cases.iter().enumerate());
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..at_once {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.next());
                    let Some((index, case)) = next else { break };
                    if sender.send((index, runner.replay(case))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut early: Vec<Option<Result<Report>>> = cases.iter().map(|_| None).collect();
        let mut waiting = cases.iter().enumerate().peekable();
        for (index, result) in receiver {
            early[index] = Some(result);
            while let Some((index, case)) = waiting.peek() {
                let Some(result) = early[*index].take() else {
                    break;
                };
                done(case, result);
                waiting.next();
            }
        }
    });
}

/// Another program of this workspace. Test programs lie in `deps/`, one below
/// the others.
pub fn beside_this_program(name: &str) -> Result<PathBuf> {
    let program = env::current_exe().context("this program's path")?;
    let beside = program.with_file_name(name);
    if beside.is_file() {
        return Ok(beside);
    }
    let above = program
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."));
    Ok(above.join(name))
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
