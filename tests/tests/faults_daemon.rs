//! A validator's daemon whose disk is full, whose sandbox somebody kills again and
//! again, or whose operator changes its mind: nothing is lost, nobody is blamed, and
//! others' work goes on.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use protocol::Task;
use serde_json::{Value, json};
use system_tests::corpus::engine::{OWNER_LABEL, docker};
use system_tests::corpus::small_disk::SmallDisk;
use system_tests::leftovers;
use system_tests::network::{
    Client, Content, Coordinator, Daemon, keypair, post_task, publish, submit,
};

/// Far more than it takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);
/// The daemons. No other test's has such a name: one hotkey runs once on a host.
const FULL: &str = "full-disk";
const POISONED: &str = "poisoned";
const CHANGED: &str = "changed";
const OPTIONS: &str = "slots = 1\nattempts = 3\nreplay_sandbox_image = \"replay-sandbox/c:1\"";

#[test]
fn a_daemon_whose_disk_is_full_loses_and_blames_nothing_and_goes_on_when_there_is_room()
-> Result<()> {
    let place = tempfile::tempdir()?;
    let directory = place.path();
    fs::create_dir(directory.join(FULL))?;
    let disk = SmallDisk::mount(&directory.join(FULL).join("state"), 16 << 20)?;
    let coordinator = coordinator(directory, FULL)?;
    let task = post(&coordinator.client, directory, "small", "true")?;
    let mut daemon = start(directory, FULL, &coordinator)?;
    let client = &coordinator.client;
    let first = enter(client, &task, 1)?;
    until("the first is accepted", &daemon, || {
        is_accepted(client, &first)
    })?;

    let filler = disk.path().join("filler");
    // As much as there is room for, and nothing more.
    let _ = fs::write(&filler, vec![1; 16 << 20]);
    let later = [enter(client, &task, 2)?, enter(client, &task, 3)?];
    let before = daemon.log().len();
    until("the daemon tells that its disk is full", &daemon, || {
        let log = daemon.log();
        let said = log.get(before..).unwrap_or_default();
        Ok(["cannot be written", "storage_full", "nearly full"]
            .iter()
            .any(|words| said.contains(words)))
    })?;
    ensure!(daemon.is_running()?, "it ended: {}", daemon.log());
    for id in &later {
        let row = client.get(&format!("/api/v1/submissions/{id}"))?;
        ensure!(row["status"] == "pending_verification", "{row}");
    }

    fs::remove_file(&filler)?;
    until("all are accepted", &daemon, || {
        let accepted = later.iter().map(|id| is_accepted(client, id));
        Ok(accepted
            .collect::<Result<Vec<bool>>>()?
            .into_iter()
            .all(|one| one))
    })?;
    ensure!(daemon.end(Signal::SIGTERM)?.success(), "{}", daemon.log());
    let mut left = leftovers::of_state(disk.path())?;
    let itself = format!("mount {}", disk.path().display());
    left.retain(|thing| *thing != itself);
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

#[test]
fn a_job_whose_sandbox_dies_every_time_keeps_no_other_waiting_and_is_not_rejected() -> Result<()> {
    let place = tempfile::tempdir()?;
    let directory = place.path();
    let coordinator = coordinator(directory, POISONED)?;
    let client = &coordinator.client;
    let mark = format!("poison-{}", std::process::id());
    let poison = post(client, directory, "poison", &format!("sleep 30; : {mark}"))?;
    let small = post(client, directory, "small", "true")?;
    let poisoned = enter(client, &poison, 1)?;
    let others: Vec<String> = (2..5)
        .map(|number| enter(client, &small, number))
        .collect::<Result<_>>()?;
    let mut daemon = start(directory, POISONED, &coordinator)?;
    let ends = AtomicBool::new(false);
    let killed = AtomicUsize::new(0);
    let (settled, killer) = thread::scope(|scope| {
        let killer = scope.spawn(|| kill_all(&mark, &killed, &ends));
        let settled = until(
            "the others are accepted, and it was killed, tried again, and killed again",
            &daemon,
            || {
                let accepted = others.iter().map(|id| is_accepted(client, id));
                let accepted = accepted.collect::<Result<Vec<bool>>>()?;
                let again = killed.load(Ordering::Relaxed) > 1 && attempts(&daemon, &poisoned)? > 1;
                Ok(accepted.into_iter().all(|one| one) && again)
            },
        );
        ends.store(true, Ordering::Relaxed);
        (settled, killer.join())
    });
    settled?;
    killer.map_err(|_| anyhow::anyhow!("the killer panicked"))??;
    let row = client.get(&format!("/api/v1/submissions/{poisoned}"))?;
    ensure!(row["status"] == "pending_verification", "{row}");
    daemon.end(Signal::SIGTERM)?;
    daemon.left_nothing()
}

#[test]
fn a_configuration_that_changes_in_the_middle_of_a_replay_disturbs_it_not() -> Result<()> {
    let place = tempfile::tempdir()?;
    let directory = place.path();
    let coordinator = coordinator(directory, CHANGED)?;
    let client = &coordinator.client;
    let mark = format!("held-{}", std::process::id());
    let held = format!("until test -e /tmp/go; do sleep 0.1; done; : {mark}");
    let held = post(client, directory, "held", &held)?;
    let submission = enter(client, &held, 1)?;
    let options = |slots: u32| {
        let slots = format!("slots = {slots}");
        format!(
            "{}\nlisten = \"127.0.0.1:0\"",
            OPTIONS.replace("slots = 1", &slots)
        )
    };
    let mut daemon = Daemon::start(directory, CHANGED, &coordinator.url(), &options(1), None)?;
    let sandbox = RefCell::new(None);
    until("it is replayed", &daemon, || {
        *sandbox.borrow_mut() = containers(&mark)?.pop();
        Ok(sandbox.borrow().is_some())
    })?;
    ensure!(slots(&daemon)? == "1", "{}", daemon.log());

    daemon.configure(&coordinator.url(), &options(2))?;
    // The second time is read after a turn of the daemon with what was read first.
    for times in 1..=2 {
        daemon.signal(Signal::SIGHUP)?;
        until("the configuration is read again", &daemon, || {
            let log = daemon.log();
            Ok(log.matches("the configuration was read again").count() >= times)
        })?;
    }
    ensure!(slots(&daemon)? == "1", "the replay still has its core");
    let sandbox = sandbox.take().context("it was replayed")?;
    docker(&["exec", &sandbox, "touch", "/tmp/go"])?;
    until("it is accepted, and there are two slots", &daemon, || {
        Ok(is_accepted(client, &submission)? && slots(&daemon)? == "2")
    })?;
    ensure!(attempts(&daemon, &submission)? == 1, "{}", daemon.log());
    daemon.end(Signal::SIGTERM)?;
    daemon.left_nothing()
}

/// How many replays the daemon says that it may run at once.
fn slots(daemon: &Daemon) -> Result<String> {
    let metrics = daemon.metrics()?;
    let mut lines = metrics.lines();
    let line = lines.find_map(|line| line.strip_prefix("replay_runner_slots "));
    Ok(line.context("no slots among the metrics")?.to_owned())
}

fn coordinator(directory: &Path, validator: &str) -> Result<Coordinator> {
    let validators = [Daemon::hotkey(validator)];
    Coordinator::start(&directory.join("coordinator"), &validators)
}

fn start(directory: &Path, name: &str, coordinator: &Coordinator) -> Result<Daemon> {
    Daemon::start(directory, name, &coordinator.url(), OPTIONS, None)
}

/// Posts a task that runs `first`, and then what is submitted. Its id.
fn post(client: &Client, directory: &Path, slug: &str, first: &str) -> Result<String> {
    let files = directory.join(slug);
    fs::create_dir_all(&files)?;
    fs::write(files.join("run.sh"), SCRIPT)?;
    let repository = directory.join(format!("{slug}.git"));
    publish(&files, &repository)?;
    let task: Task = serde_json::from_value(json!({
        "slug": slug, "title": slug, "repository": format!("file://{}", repository.display()),
        "base_ref": "main", "image": "replay-sandbox/c:1", "benchmark_command": format!("{first}; sh run.sh"),
        "allowed_patch_paths": ["run.sh"], "result_path": "result.json", "metric_name": "score",
        "metric_direction": "maximize", "time_budget_seconds": 60,
        "limits": {"memory": "64m", "workspace": "4m", "tmp": "4m", "pids": 64, "workspace_files": 500},
    }))?;
    post_task(client, &task, 1)
}

const SCRIPT: &str = "echo '{\"score\": 0}' > result.json\n";

/// Submits a score. The submission's id.
fn enter(client: &Client, task: &str, score: u32) -> Result<String> {
    let patch = format!(
        "diff --git a/run.sh b/run.sh\n--- a/run.sh\n+++ b/run.sh\n@@ -1 +1 @@\n-{SCRIPT}+{}",
        SCRIPT.replace('0', &score.to_string())
    );
    let content = Content {
        summary: format!("number {score}"),
        patch,
        artifact: None,
    };
    let taken = submit(client, &keypair("miner"), task, &content)?;
    taken.map_err(|refused| anyhow::anyhow!("it was refused: {refused}"))
}

fn is_accepted(client: &Client, id: &str) -> Result<bool> {
    let row = client.get(&format!("/api/v1/submissions/{id}"))?;
    ensure!(row["status"] != "rejected", "{row}");
    Ok(row["status"] == "accepted")
}

/// How often the daemon has tried a submission.
fn attempts(daemon: &Daemon, submission: &str) -> Result<u64> {
    let status = daemon.status()?;
    let jobs = ["open", "last"].map(|list| status[list].as_array().cloned().unwrap_or_default());
    let job = jobs
        .concat()
        .into_iter()
        .find(|job: &Value| job["submission_id"] == submission);
    Ok(job.and_then(|job| job["attempts"].as_u64()).unwrap_or(0))
}

/// Removes every container whose command has `mark` in it, until it is told to
/// end, and counts them in `killed`.
fn kill_all(mark: &str, killed: &AtomicUsize, ends: &AtomicBool) -> Result<()> {
    let mut removed = BTreeSet::new();
    while !ends.load(Ordering::Relaxed) {
        for id in containers(mark)? {
            if docker(&["rm", "--force", &id]).is_ok() {
                removed.insert(id);
                killed.store(removed.len(), Ordering::Relaxed);
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// The running containers whose command has `mark` in it.
fn containers(mark: &str) -> Result<Vec<String>> {
    let label = format!("label={OWNER_LABEL}");
    let listed = docker(&["ps", "--quiet", "--no-trunc", "--filter", &label])?;
    let has_mark = |id: &&str| {
        // It may be another test's, and gone by now.
        docker(&["inspect", "--type", "container", id]).is_ok_and(|told| told.contains(mark))
    };
    let ids = listed.split_whitespace().filter(has_mark);
    Ok(ids.map(str::to_owned).collect())
}

fn until(what: &str, daemon: &Daemon, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !is_so().with_context(|| what.to_owned())? {
        ensure!(
            start.elapsed() < PATIENCE,
            "not yet: {what}; the daemon says\n{}",
            daemon.log()
        );
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
