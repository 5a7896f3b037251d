//! One case of the corpus.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use protocol::{Code, Fault, Status};

use super::patch;
use super::running::{Running, Seen};
use super::task::Task;

type Check = Box<dyn Fn(&Seen) -> Result<()> + Send + Sync>;
type Meanwhile = Box<dyn Fn(&mut Running) -> Result<()> + Send + Sync>;

/// What is replayed, how it must end, and what else must hold.
pub struct Row {
    pub(super) id: &'static str,
    pub(super) says: &'static str,
    pub(super) task: Task,
    pub(super) changes: BTreeMap<String, Option<String>>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) arguments: Vec<String>,
    pub(super) state: Option<PathBuf>,
    pub(super) status: Status,
    pub(super) codes: Vec<Code>,
    pub(super) fault: Option<Fault>,
    pub(super) checks: Vec<(&'static str, Check)>,
    pub(super) meanwhile: Option<Meanwhile>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.says)
    }
}

/// The case `id`, told in a sentence. Unless more is said it is the baseline of
/// the plain task, and accepted.
pub fn row(id: &'static str, says: &'static str) -> Row {
    Row {
        id,
        says,
        task: Task::sh(),
        changes: BTreeMap::new(),
        environment: Vec::new(),
        arguments: Vec::new(),
        state: None,
        status: Status::Accepted,
        codes: vec![Code::Ok],
        fault: None,
        checks: Vec::new(),
        meanwhile: None,
    }
}

impl Row {
    /// The same by another id.
    #[must_use]
    pub fn filed_under(mut self, id: &'static str) -> Self {
        self.id = id;
        self
    }

    /// Replays a submission to `task`.
    #[must_use]
    pub fn of(mut self, task: Task) -> Self {
        self.task = task;
        self
    }

    /// The miner replaces the file that the benchmark runs.
    #[must_use]
    pub fn miner(self, program: &str) -> Self {
        let entry = self.task.entry();
        self.writes(entry, program)
    }

    /// The miner puts `content` at `path`.
    #[must_use]
    pub fn writes(mut self, path: &str, content: &str) -> Self {
        let mut content = content.trim_start().to_owned();
        if !content.ends_with('\n') {
            content.push('\n');
        }
        self.changes.insert(path.to_owned(), Some(content));
        self
    }

    /// The miner deletes `path`.
    #[must_use]
    pub fn deletes(mut self, path: &str) -> Self {
        self.changes.insert(path.to_owned(), None);
        self
    }

    /// The runner is started with this variable in its own environment.
    #[must_use]
    pub fn runner_env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The runner gets these arguments, too.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// The runner keeps its state in `directory` and not in the table's.
    #[must_use]
    pub fn state(mut self, directory: impl Into<PathBuf>) -> Self {
        self.state = Some(directory.into());
        self
    }

    /// It must be rejected with `code`.
    #[must_use]
    pub fn rejects(self, code: Code) -> Self {
        self.rejects_any(&[code])
    }

    /// It must be rejected with one of `codes`, as luck has it.
    #[must_use]
    pub fn rejects_any(mut self, codes: &[Code]) -> Self {
        (self.status, self.codes, self.fault) =
            (Status::Rejected, codes.to_vec(), Some(Fault::Submission));
        self
    }

    /// It must be an error with `code`, by the fault of `fault`.
    #[must_use]
    pub fn errs(mut self, code: Code, fault: Fault) -> Self {
        (self.status, self.codes, self.fault) = (Status::Error, vec![code], Some(fault));
        self
    }

    /// It must be accepted with a score of `score`.
    #[must_use]
    pub fn scores(self, score: &'static str) -> Self {
        self.and("the score is the expected one", move |seen| {
            let observed = seen.metric("score")?;
            ensure!(
                observed == score,
                "it is {observed} and not {score}; output: {}",
                seen.output()
            );
            Ok(())
        })
    }

    /// And this must hold, too.
    #[must_use]
    pub fn and(
        mut self,
        says: &'static str,
        check: impl Fn(&Seen) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push((says, Box::new(check)));
        self
    }

    /// What is done to the engine or the runner while it runs.
    #[must_use]
    pub fn meanwhile(
        mut self,
        act: impl Fn(&mut Running) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.meanwhile = Some(Box::new(act));
        self
    }

    /// The submission as a diff, if there is one.
    pub(super) fn patch(&self) -> Option<String> {
        let diffs: Vec<String> = self
            .changes
            .iter()
            .map(|(path, new)| patch::replace(path, self.task.content(path), new.as_deref()))
            .collect();
        (!diffs.is_empty()).then(|| diffs.concat())
    }

    /// Everything in which `seen` is not what this row says.
    pub fn differences(&self, seen: &Seen) -> Vec<String> {
        let report = &seen.report;
        let expected = report.status == self.status && report.fault == self.fault;
        if !expected || !self.codes.contains(&report.code) {
            return vec![format!(
                "expected {} {:?} ({:?}), got {} {} ({:?}): {}\n      output: {}\n      stderr: {}",
                self.status,
                self.codes,
                self.fault,
                report.status,
                report.code,
                report.fault,
                report.message,
                seen.output(),
                seen.stderr,
            )];
        }
        self.checks
            .iter()
            .filter_map(|(says, check)| {
                let problem = check(seen).err()?;
                Some(format!("not so that {says}: {problem:#}"))
            })
            .chain(seen.leaks())
            .collect()
    }
}
