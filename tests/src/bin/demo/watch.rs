//! What happens between submitting and deciding, told while it happens.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use protocol::Fault;
use protocol::receipt::{Envelope, Statement};
use serde_json::Value;
use system_tests::network::Taken;
use system_tests::stop::Stop;
use system_tests::verdict::{Decision, differences};

use crate::live;
use crate::miners::{Entry, Submitted};
use crate::network::Network;
use crate::plot::Point;
use crate::screen::{Columns, Screen};
use crate::words::{at_most, observed};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);
/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_mins(3);
/// How many of the newest verifications are looked at: more than can change
/// between two looks.
const NEWEST: usize = 50;
/// The characters of a reason in a line.
const REASON: usize = 60;

/// A replay by one validator.
#[derive(Debug, Clone)]
pub(crate) struct Replay {
    pub(crate) validator: String,
    /// The whole replay by the validator's clock, as its receipt has it.
    pub(crate) seconds: Option<f64>,
}

/// What became of an entry so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fate {
    pub(crate) miner: &'static str,
    pub(crate) taken: Option<Taken>,
    pub(crate) replays: Vec<Replay>,
    pub(crate) decision: Option<Decision>,
    /// In what it is not as expected.
    pub(crate) differences: Vec<String>,
}

impl Fate {
    fn is_over(&self) -> bool {
        match &self.taken {
            None => false,
            Some(Taken::Pending { .. }) => self.decision.is_some(),
            Some(_) => true,
        }
    }

    /// Whether it ended, and as expected.
    pub(crate) fn is_as_expected(&self) -> bool {
        self.is_over() && self.differences.is_empty()
    }

    /// Notes what is not as expected, once.
    fn note(&mut self, differences: Vec<String>) {
        for one in differences {
            if !self.differences.contains(&one) {
                self.differences.push(one);
            }
        }
    }

    fn id(&self) -> Option<&str> {
        match &self.taken {
            Some(Taken::Pending { id }) => Some(id),
            _ => None,
        }
    }
}

/// Everything that was watched.
pub(crate) struct Watch<'a> {
    network: &'a Network,
    pub(crate) entries: &'a [Entry<'a>],
    pub(crate) fates: Vec<Fate>,
    /// Accepted submissions of each task as they came, by the task's id.
    pub(crate) points: Vec<(String, Point)>,
    seen: BTreeSet<String>,
    changed: Instant,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(network: &'a Network, entries: &'a [Entry<'a>]) -> Self {
        Self {
            network,
            entries,
            fates: vec![Fate::default(); entries.len()],
            points: Vec::new(),
            seen: BTreeSet::new(),
            changed: Instant::now(),
        }
    }

    /// Watches until all that is submitted is decided.
    pub(crate) fn until_decided(
        &mut self,
        screen: &mut Screen,
        submitted: &Receiver<Result<Submitted>>,
        stop: &Stop,
    ) -> Result<()> {
        let mut is_submitting = true;
        loop {
            stop.check()?;
            // Looked at first: what follows is newer, and nobody is missed.
            let rows = self.newest()?;
            while is_submitting {
                match submitted.try_recv() {
                    Ok(one) => self.submitted(screen, one?),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => is_submitting = false,
                }
            }
            for row in rows {
                self.replayed(screen, &row)?;
            }
            if !is_submitting && self.fates.iter().all(Fate::is_over) {
                screen.show(&[]);
                return Ok(());
            }
            if self.changed.elapsed() > PATIENCE {
                let complaints = self.network.complaints();
                bail!(
                    "nothing happens any more: {}\n{complaints}",
                    self.undecided()
                );
            }
            screen.show(&live::lines(screen.style, self.network, self));
            stop.sleep(PAUSE)?;
        }
    }

    /// The newest verifications, the oldest of them first.
    fn newest(&self) -> Result<Vec<Value>> {
        let client = &self.network.coordinator.client;
        let rows = client.get(&format!("/api/v1/verifications?limit={NEWEST}"))?;
        let rows = rows.as_array().context("verifications are a list")?;
        Ok(rows.iter().rev().cloned().collect())
    }

    fn undecided(&self) -> String {
        let fates = self.entries.iter().zip(&self.fates);
        let names: Vec<&str> = fates
            .filter(|(_, fate)| !fate.is_over())
            .map(|(entry, _)| entry.case.name.as_str())
            .collect();
        names.join(", ")
    }

    fn submitted(&mut self, screen: &Screen, submitted: Submitted) {
        self.changed = Instant::now();
        let entry = self.entries[submitted.entry];
        let (style, miner) = (screen.style, submitted.miner);
        let expected = &entry.case.submission.expect;
        let Columns { name, code } = screen.columns;
        let head = format!("{miner:8} submits  {:name$}", entry.case.name);
        let fate = &mut self.fates[submitted.entry];
        fate.miner = miner;
        match &submitted.taken {
            Taken::Refused { code: said, why } => {
                if *said != expected.code {
                    fate.differences
                        .push(format!("expected {} {}", expected.status, expected.code));
                }
                screen.event(&format!(
                    "{head}  {} {:code$} {}",
                    style.refused(),
                    said.as_str(),
                    style.aside(&at_most(why, REASON)),
                ));
            }
            // Repeated is only ever the answer to one of several miners.
            Taken::Pending { .. } | Taken::Repeated => screen.event(&format!(
                "{head}  {}",
                style.aside(&at_most(&entry.case.submission.summary, REASON)),
            )),
        }
        fate.taken = Some(submitted.taken);
    }

    /// Takes in what a validator said, if it is new and somebody's.
    fn replayed(&mut self, screen: &Screen, row: &Value) -> Result<()> {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let key = format!("{} {}", text("id"), text("updated_at"));
        if text("status") == "leased" || self.seen.contains(&key) {
            return Ok(());
        }
        let whose = text("submission_id");
        let known = self.fates.iter().position(|fate| fate.id() == Some(whose));
        let Some(number) = known else { return Ok(()) };
        self.seen.insert(key);
        self.changed = Instant::now();
        let entry = self.entries[number];
        let Columns { name, code } = screen.columns;
        let task = &entry.task.fixture.task;
        let (expected, baseline) = (&entry.case.submission.expect, &entry.task.baseline);
        let replay = Replay {
            validator: self.network.validator(text("validator_hotkey")),
            seconds: seconds(row),
        };
        let seen = Decision::of_row(row)?;
        let mut found = differences(expected, task, &seen, Some(baseline));
        let what = match observed(task, &seen.metrics) {
            none if none.is_empty() => screen.style.aside(&at_most(&seen.message, REASON)),
            metrics => metrics,
        };
        let time = replay
            .seconds
            .map_or_else(String::new, |seconds| format!("{seconds:.1} s"));
        // It is tried again: nothing is decided by what is this host's fault.
        let is_ours = row["fault"] == serde_json::to_value(Fault::Validator)?;
        let news = if is_ours {
            found.clear();
            "; it is tried again".to_owned()
        } else {
            self.decided(number, screen.elapsed())?
        };
        screen.event(&format!(
            "{:8} replays  {:name$}  {} {:code$} {time:>7}  {what}{}",
            replay.validator,
            entry.case.name,
            screen.style.status(seen.status),
            seen.code.as_str(),
            screen.style.bold(&news),
        ));
        let fate = &mut self.fates[number];
        if !is_ours {
            fate.replays.push(replay);
        }
        fate.note(found);
        Ok(())
    }

    /// Whether the submission is decided now, and what that changes, in words.
    fn decided(&mut self, number: usize, at: Duration) -> Result<String> {
        let entry = self.entries[number];
        let fate = &mut self.fates[number];
        let (Some(id), None) = (fate.id().map(str::to_owned), &fate.decision) else {
            return Ok(String::new());
        };
        let client = &self.network.coordinator.client;
        let row = client.get(&format!("/api/v1/submissions/{id}"))?;
        let (task, quorum) = (&entry.task.fixture.task, entry.task.quorum);
        if row["status"] == "pending_verification" {
            return Ok(match row["consensus"].as_str() {
                Some("disagreement") => "; they disagree".to_owned(),
                _ => format!("; {quorum} have to agree"),
            });
        }
        let decision = Decision::of_row(&row)?;
        let (expected, baseline) = (&entry.case.submission.expect, &entry.task.baseline);
        fate.note(differences(expected, task, &decision, Some(baseline)));
        let agreed = if quorum > 1 {
            format!("; {quorum} agree")
        } else {
            String::new()
        };
        let value = decision.metrics.get(&task.metric_name);
        let value = value.filter(|_| row["status"] == "accepted");
        let value = value.map(protocol::Decimal::value);
        fate.decision = Some(decision);
        let Some(value) = value else {
            return Ok(agreed);
        };
        let best = client.get(&format!("/api/v1/tasks/{}/best", entry.task.id))?;
        let reigns = best["history"].as_array().map_or(&[][..], Vec::as_slice);
        let is_record = reigns.iter().any(|reign| reign["submission_id"] == *id);
        let point = Point {
            seconds: at.as_secs_f64(),
            value,
            is_record,
        };
        self.points.push((entry.task.id.clone(), point));
        let record = if is_record { "  ★ best" } else { "" };
        Ok(agreed + record)
    }

    /// Which entry a submission is.
    pub(crate) fn entry_of(&self, submission: &str) -> Option<(&Entry<'a>, &Fate)> {
        let mut fates = self.entries.iter().zip(&self.fates);
        fates.find(|(_, fate)| fate.id() == Some(submission))
    }
}

/// How long a replay took by its receipt.
fn seconds(row: &Value) -> Option<f64> {
    let envelope: Envelope = serde_json::from_value(row["receipt"].clone()).ok()?;
    let statement: Statement = serde_json::from_slice(&envelope.payload().ok()?).ok()?;
    Some(statement.predicate.observations.total_seconds.0.value())
}
