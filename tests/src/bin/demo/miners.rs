//! The miners of the demo: who submits what. Each is a command line with a hotkey
//! of its own, and all work at the same time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use protocol::Task;
use protocol::task::Direction;
use serde_json::{Map, Value, json};
use system_tests::fixtures::{Case, Kind};
use system_tests::network::{Agent, Taken};
use system_tests::stop::Stop;

use crate::owners::Posted;

/// Who made an honest submission, in turn; the last makes the others.
const NAMES: [&str; 4] = ["alice", "bob", "carol", "mallory"];

/// Ideas that another miner takes up: the task, whose submission proposes it,
/// what it says, and whose submission implements it.
const IDEAS: &[(&str, &str, &str, &str)] = &[(
    "digits-frontier",
    "larger-steps",
    "put a few principal components in front of the regression",
    "principal-components",
)];

/// How long a miner waits for another's idea.
const PATIENCE: Duration = Duration::from_mins(1);

/// A command line with a name.
pub(crate) struct Miner {
    pub(crate) name: &'static str,
    pub(crate) agent: Agent,
}

/// All miners.
pub(crate) struct Miners {
    pub(crate) all: Vec<Miner>,
    /// Submissions by task and name, so that others can refer to them.
    submitted: Mutex<BTreeMap<(String, String), String>>,
}

/// Something to be submitted.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) task: &'a Posted<'a>,
    pub(crate) case: &'a Case,
}

/// Something that was.
pub(crate) struct Submitted {
    /// Which of the entries.
    pub(crate) entry: usize,
    pub(crate) miner: &'static str,
    pub(crate) taken: Taken,
}

impl Miners {
    /// Makes a hotkey for each.
    pub(crate) fn new(directory: &Path, url: &str) -> Result<Self> {
        let mut all = Vec::new();
        for name in NAMES {
            let agent = Agent::new(&directory.join(name), url)?;
            all.push(Miner { name, agent });
        }
        Ok(Self {
            all,
            submitted: Mutex::default(),
        })
    }

    /// The name behind a hotkey.
    pub(crate) fn name_of(&self, hotkey: &str) -> String {
        let found = self.all.iter().find(|miner| miner.agent.hotkey == hotkey);
        found.map_or(hotkey, |miner| miner.name).to_owned()
    }

    /// Lets everybody submit theirs, one after another, as threads of `scope`.
    /// What is received ends when all have.
    pub(crate) fn submit<'scope, 'env: 'scope>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        entries: &'env [Entry<'env>],
        stop: &'env Stop,
    ) -> Receiver<Result<Submitted>> {
        let (sender, receiver) = mpsc::channel();
        let whose = whose(entries);
        for miner in 0..NAMES.len() {
            let mine: Vec<usize> = (0..entries.len())
                .filter(|entry| whose[*entry] == miner)
                .collect();
            let sender: Sender<Result<Submitted>> = sender.clone();
            scope.spawn(move || {
                for entry in mine {
                    let submitted = self.submit_one(miner, entry, &entries[entry], stop);
                    let is_over = submitted.is_err();
                    if sender.send(submitted).is_err() || is_over {
                        break;
                    }
                }
            });
        }
        receiver
    }

    fn submit_one(
        &self,
        number: usize,
        entry: usize,
        Entry { task, case }: &Entry<'_>,
        stop: &Stop,
    ) -> Result<Submitted> {
        let fields = self.fields(&task.fixture.task, case, stop)?;
        // Some fixtures have equal content: nobody submits that twice, but
        // another miner may.
        for offset in 0..self.all.len() {
            stop.check()?;
            let miner = &self.all[(number + offset) % self.all.len()];
            let taken = miner.submit(task, case, &fields);
            let taken = taken.with_context(|| format!("{}: {}", miner.name, case.name))?;
            match &taken {
                Taken::Repeated => continue,
                Taken::Pending { id } => {
                    let place = (case.task.clone(), case.name.clone());
                    self.submitted().insert(place, id.clone());
                }
                Taken::Refused { .. } => {}
            }
            return Ok(Submitted {
                entry,
                miner: miner.name,
                taken,
            });
        }
        bail!("every miner has submitted what {} is", case.name)
    }

    fn submitted(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), String>> {
        self.submitted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What the miner says of the work.
    fn fields(&self, task: &Task, case: &Case, stop: &Stop) -> Result<Map<String, Value>> {
        let submission = &case.submission;
        let mut idea = "see whether a change elsewhere helps as much";
        let mut fields = Map::new();
        for (slug, from, text, by) in IDEAS {
            if *slug == case.task && *from == case.name {
                idea = text;
            }
            if *slug == case.task && *by == case.name {
                let id = self.wait_for(slug, from, stop)?;
                fields.insert("implemented_submission_id".to_owned(), json!(id));
            }
        }
        fields.insert("summary".to_owned(), json!(submission.summary));
        fields.insert("proposed_idea".to_owned(), json!(idea));
        fields.insert("claimed_metrics".to_owned(), claimed(task, submission.kind));
        if let Some(artifact) = &submission.artifact {
            let uri = format!("file://{}", case.dir.join(artifact).display());
            let digest = submission.artifact_sha256.map(|digest| digest.to_string());
            let size = submission.artifact_size_bytes;
            fields.insert("artifact_uri".to_owned(), json!(uri));
            fields.insert("artifact_sha256".to_owned(), json!(digest));
            fields.insert("artifact_size_bytes".to_owned(), json!(size));
        }
        Ok(fields)
    }

    /// The id of another's submission, once it is there.
    fn wait_for(&self, task: &str, name: &str, stop: &Stop) -> Result<String> {
        let start = Instant::now();
        let place = (task.to_owned(), name.to_owned());
        while start.elapsed() < PATIENCE {
            if let Some(id) = self.submitted().get(&place) {
                return Ok(id.clone());
            }
            stop.sleep(Duration::from_millis(50))?;
        }
        bail!("nobody submitted {name}")
    }
}

impl Miner {
    /// Honest work on a repository goes the way that the tool wants. What the tool
    /// would not send goes as signed requests: whatever is hostile, patches that do
    /// not apply, and artifacts that are files of this machine.
    fn submit(&self, task: &Posted<'_>, case: &Case, fields: &Map<String, Value>) -> Result<Taken> {
        let submission = &case.submission;
        let patch = submission.patch.as_ref().map(|patch| case.dir.join(patch));
        let is_plain = submission.kind != Kind::Hostile
            && submission.artifact.is_none()
            && !submission.expect.code.as_str().starts_with("patch.");
        if let (true, Some(patch)) = (is_plain, &patch) {
            let slug = &task.fixture.task.slug;
            return self.agent.submit_workspace(slug, &case.name, patch, fields);
        }
        let mut body = fields.clone();
        body.insert("base_ref".to_owned(), json!("main"));
        if let Some(path) = &patch {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            body.insert("patch".to_owned(), json!(text));
        }
        self.agent.submit_by_hand(&task.id, &body)
    }
}

/// Which miner submits each entry.
fn whose(entries: &[Entry<'_>]) -> Vec<usize> {
    let hostile = NAMES.len() - 1;
    let mut honest = (0..hostile).cycle();
    let mut one = |entry: &Entry<'_>| match entry.case.submission.kind {
        Kind::Hostile => hostile,
        _ => honest.next().unwrap_or(0),
    };
    entries.iter().map(&mut one).collect()
}

/// The honest claim nothing that they have not measured; the others, the best
/// that the task lets anybody have.
fn claimed(task: &Task, kind: Kind) -> Value {
    let range = &task.metric_range;
    let bound = match task.metric_direction {
        Direction::Minimize => &range.min,
        Direction::Maximize => &range.max,
    };
    match (kind, bound) {
        (Kind::Hostile, Some(bound)) => json!({ task.metric_name.clone(): bound.value() }),
        _ => json!({}),
    }
}
