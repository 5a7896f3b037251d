//! The daemon: how many jobs a minute it gets through, against the same replays by
//! `run`, one after another; and how long a submission waits for its verdict.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use protocol::Task;
use serde_json::{Value, json};
use system_tests::network::{
    Client, Content, Coordinator, Daemon, keypair, post_task, publish, submit,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::row::{Row, Target};
use crate::sample::Samples;
use crate::section::Bench;
use crate::tasks::{IMAGE, Made};

/// The daemons, each with its slots, and how much faster than `run` they are to be.
const DAEMONS: [(&str, u32, f64); 2] = [("one-slot", 1, 0.9), ("two-slots", 2, 1.6)];
/// How long the jobs of a round may take.
const PATIENCE: Duration = Duration::from_mins(5);

pub(crate) fn throughput(bench: &Bench, tell: &mut impl FnMut(Row)) -> Result<()> {
    let jobs = if bench.effort.quick { 3 } else { 16 };
    let place = bench.workshop.path("daemon");
    let hotkeys: Vec<String> = DAEMONS
        .iter()
        .map(|(name, ..)| Daemon::hotkey(name))
        .collect();
    let coordinator = Coordinator::start(&place.join("coordinator"), &hotkeys)?;
    let client = &coordinator.client;
    let mut task = SmallTask::post(client, &place)?;
    let mut daemons = Vec::new();
    for (name, slots, _) in DAEMONS {
        let options = format!("slots = {slots}\nreplay_sandbox_image = {IMAGE:?}");
        let mut daemon = Daemon::start(&place, name, &coordinator.url(), &options, None)?;
        // So that mirror, image and spool are there.
        let one = task.submit(client)?;
        wait_until_accepted(client, &[one], &mut daemon)?;
        daemon.end(Signal::SIGTERM)?;
        daemons.push(daemon);
    }
    bench.program.replay(&task.made(0)?, None)?;

    let (mut floor, mut latency) = (Samples::default(), Samples::default());
    let mut busy = DAEMONS.map(|_| Samples::default());
    for _ in 0..bench.effort.rounds.min(3) {
        floor.push(task.by_run(bench, jobs)?);
        for (daemon, seconds) in daemons.iter_mut().zip(&mut busy) {
            seconds.push(task.by_daemon(client, daemon, jobs)?);
        }
        latency.push(task.latency(client, &mut daemons[0])?);
    }
    let each = f64::from(jobs);
    let per_minute = |seconds: f64| format!("{:.0} jobs/min", each * 60.0 / seconds);
    tell(Row::reference(
        format!("{jobs} replays by run, one after another"),
        per_minute(floor.median()),
    ));
    for ((name, _, least), seconds) in DAEMONS.iter().zip(&busy) {
        let faster = floor.per(seconds);
        tell(Row::judged(
            format!("the same by a daemon, {name}"),
            faster.median(),
            format!("{} {}", faster.show("×"), per_minute(seconds.median())),
            Target::AtLeast(*least),
            "×",
        ));
    }
    tell(Row::reference(
        "from submission to accepted, a daemon that waits",
        latency.show("s").to_string(),
    ));
    Ok(())
}

/// A task whose benchmark takes no time, with as many submissions as are wanted.
struct SmallTask {
    place: PathBuf,
    id: String,
    submitted: u32,
}

impl SmallTask {
    /// Publishes and posts it.
    fn post(client: &Client, place: &Path) -> Result<Self> {
        let files = place.join("files");
        fs::create_dir_all(&files)?;
        fs::write(files.join("run.sh"), script(0))?;
        let repository = place.join("task.git");
        publish(&files, &repository)?;
        let rules = |repository: String| -> Result<Task> {
            Ok(serde_json::from_value(json!({
                "slug": "bench", "title": "Bench", "repository": repository, "base_ref": "main", "image": IMAGE,
                "benchmark_command": "sh run.sh", "allowed_patch_paths": ["run.sh"],
                "result_path": "result.json", "metric_name": "score", "metric_direction": "maximize",
                "time_budget_seconds": 60,
            }))?)
        };
        let shown = repository.display().to_string();
        let task = place.join("task");
        fs::create_dir(&task)?;
        fs::write(
            task.join("task.json"),
            serde_json::to_string(&rules(shown.clone())?)?,
        )?;
        let id = post_task(client, &rules(format!("file://{shown}"))?, 1)?;
        let place = place.to_owned();
        Ok(Self {
            place,
            id,
            submitted: 0,
        })
    }

    /// The same task for `run`, with submission number `number`.
    fn made(&self, number: u32) -> Result<Made> {
        let patch = self.place.join("patch.diff");
        fs::write(&patch, patch_to(number))?;
        Ok(Made {
            directory: self.place.join("task"),
            patch,
        })
    }

    /// Submits the next one. Its id.
    fn submit(&mut self, client: &Client) -> Result<String> {
        self.submitted += 1;
        let content = Content {
            summary: format!("number {}", self.submitted),
            patch: patch_to(self.submitted),
            artifact: None,
        };
        let taken = submit(client, &keypair("miner"), &self.id, &content)?;
        taken.map_err(|refused| anyhow::anyhow!("it was refused: {refused}"))
    }

    /// Seconds of so many replays, one after another.
    fn by_run(&self, bench: &Bench, jobs: u32) -> Result<f64> {
        let started = Instant::now();
        for number in 0..jobs {
            bench
                .program
                .replay(&self.made(self.submitted + number + 1)?, None)?;
        }
        Ok(started.elapsed().as_secs_f64())
    }

    /// Seconds from the first lease of so many jobs to the last result, by the
    /// coordinator's clock: a daemon's start is nobody's job.
    fn by_daemon(&mut self, client: &Client, daemon: &mut Daemon, jobs: u32) -> Result<f64> {
        let submitted = (0..jobs).map(|_| self.submit(client));
        let submitted: Vec<String> = submitted.collect::<Result<_>>()?;
        daemon.again()?;
        wait_until_accepted(client, &submitted, daemon)?;
        daemon.end(Signal::SIGTERM)?;
        let mut span: Option<(OffsetDateTime, OffsetDateTime)> = None;
        for id in &submitted {
            let path = format!("/api/v1/verifications?submission_id={id}");
            for row in client.list(&path)? {
                let (from, to) = (moment(&row["created_at"])?, moment(&row["updated_at"])?);
                let (first, last) = span.unwrap_or((from, to));
                span = Some((first.min(from), last.max(to)));
            }
        }
        let (first, last) = span.context("nobody replayed anything")?;
        Ok((last - first).as_seconds_f64())
    }

    /// Seconds from a submission to its acceptance, with a daemon that has nothing
    /// else to do.
    fn latency(&mut self, client: &Client, daemon: &mut Daemon) -> Result<f64> {
        daemon.again()?;
        // The first is for the daemon's start.
        let mut seconds = f64::NAN;
        for _ in 0..2 {
            let id = self.submit(client)?;
            wait_until_accepted(client, std::slice::from_ref(&id), daemon)?;
            let row = client.get(&format!("/api/v1/submissions/{id}"))?;
            let waited = moment(&row["decided_at"])? - moment(&row["created_at"])?;
            seconds = waited.as_seconds_f64();
        }
        daemon.end(Signal::SIGTERM)?;
        Ok(seconds)
    }
}

fn wait_until_accepted(client: &Client, ids: &[String], daemon: &mut Daemon) -> Result<()> {
    let start = Instant::now();
    for id in ids {
        loop {
            let row = client.get(&format!("/api/v1/submissions/{id}"))?;
            match row["status"].as_str() {
                Some("accepted") => break,
                Some("pending_verification") => {}
                _ => anyhow::bail!("the bench's own submission is not accepted: {row}"),
            }
            ensure!(
                start.elapsed() < PATIENCE && daemon.is_running()?,
                "the daemon says\n{}",
                daemon.log()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }
    Ok(())
}

fn script(score: u32) -> String {
    format!("echo '{{\"score\": {score}}}' > result.json\n")
}

fn patch_to(score: u32) -> String {
    format!(
        "diff --git a/run.sh b/run.sh\n--- a/run.sh\n+++ b/run.sh\n@@ -1 +1 @@\n-{}+{}",
        script(0),
        script(score + 1)
    )
}

/// A time of the coordinator.
fn moment(time: &Value) -> Result<OffsetDateTime> {
    let text = time.as_str().context("a time")?;
    Ok(OffsetDateTime::parse(text, &Rfc3339)?)
}
