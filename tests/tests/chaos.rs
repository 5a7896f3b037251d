//! Two hundred small submissions flow while everything that they depend on is
//! killed, stopped and started again at random: none is lost, none is decided
//! twice, none is undecided in the end.
//!
//! The engine is one of the test's own where the machine has its program, so that
//! restarting it harms nobody else.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use protocol::Task;
use serde_json::json;
use system_tests::corpus::private_engine::PrivateEngine;
use system_tests::network::{
    Client, Content, Coordinator, Daemon, keypair, post_task, publish, submit,
};

const SUBMISSIONS: usize = 200;
const MINERS: usize = 5;
const VALIDATORS: [&str; 2] = ["east", "west"];
/// How long things break.
const CHAOS: Duration = Duration::from_secs(90);
/// How long the rest may take once they do not.
const CALM: Duration = Duration::from_mins(7);
const SEED_VARIABLE: &str = "CHAOS_SEED";

#[test]
fn no_submission_is_lost_decided_twice_or_undecided_whatever_is_killed() -> Result<()> {
    let mut random = Random::from_env();
    println!("{SEED_VARIABLE}={}", random.0);
    let directory = tempfile::tempdir()?;
    let mut engine = PrivateEngine::start(&directory.path().join("engine"), "replay-sandbox/c:1")?;
    if engine.is_none() {
        eprintln!("the engine is not restarted: dockerd is not on this machine");
    }
    let validators: Vec<String> = VALIDATORS.iter().map(|name| Daemon::hotkey(name)).collect();
    let mut coordinator = Coordinator::start(&directory.path().join("coordinator"), &validators)?;
    let task_id = post_small_task(&coordinator.client, directory.path())?;
    let mut daemons = Vec::new();
    for name in VALIDATORS {
        let address = engine.as_ref().map(PrivateEngine::address);
        // The engine of the test has no other image, and the doctor tries this one.
        let more = "slots = 2\nattempts = 20\nreplay_sandbox_image = \"replay-sandbox/c:1\"";
        daemons.push(Daemon::start(
            directory.path(),
            name,
            &coordinator.url(),
            more,
            address,
        )?);
    }
    let miners = start_miners(&coordinator.client, &task_id);
    let start = Instant::now();
    let mut blows = BTreeMap::new();
    while start.elapsed() < CHAOS {
        thread::sleep(Duration::from_millis(500 + random.below(2500)));
        let blow = strike(&mut random, &mut coordinator, &mut daemons, engine.as_mut())?;
        *blows.entry(blow).or_insert(0) += 1;
    }
    println!("{blows:?}");
    let mut submitted = BTreeMap::new();
    for miner in miners {
        submitted.extend(
            miner
                .join()
                .map_err(|_| anyhow::anyhow!("a miner panicked"))??,
        );
    }
    ensure!(
        submitted.len() == SUBMISSIONS,
        "{} of {SUBMISSIONS} were submitted",
        submitted.len()
    );
    let decided = wait_until_decided(&coordinator.client, &daemons);
    for daemon in &mut daemons {
        daemon.end(Signal::SIGTERM)?;
    }
    decided?;
    nothing_is_lost(&coordinator.client, &task_id, &submitted)?;
    coordinator.end(Signal::SIGTERM)?;
    nothing_is_decided_twice(&coordinator, &submitted)?;
    for daemon in &daemons {
        daemon.left_nothing()?;
    }
    if let Some(engine) = &engine {
        let left = engine.containers()?;
        ensure!(left.is_empty(), "{left} are left in the engine");
    }
    Ok(())
}

/// What a submission must come to: `accepted` with this score, or `rejected`.
type Submitted = BTreeMap<String, Option<usize>>;

/// A task whose benchmark takes no time.
fn post_small_task(client: &Client, directory: &std::path::Path) -> Result<String> {
    let files = directory.join("task");
    std::fs::create_dir_all(&files)?;
    std::fs::write(
        files.join("run.sh"),
        "echo '{\"score\": 0}' > result.json\n",
    )?;
    let repository = directory.join("task.git");
    publish(&files, &repository)?;
    let task: Task = serde_json::from_value(json!({
        "slug": "chaos", "title": "A small task", "repository": format!("file://{}", repository.display()),
        "base_ref": "main", "image": "replay-sandbox/c:1", "benchmark_command": "sh run.sh",
        "allowed_patch_paths": ["run.sh"], "result_path": "result.json", "metric_name": "score",
        "metric_direction": "maximize", "time_budget_seconds": 20,
        "limits": {"memory": "64m", "workspace": "8m", "tmp": "8m", "pids": 64, "workspace_files": 500},
    }))?;
    post_task(client, &task, 1)
}

/// Every third submission fails; every other has a score of its own.
fn start_miners(client: &Client, task_id: &str) -> Vec<thread::JoinHandle<Result<Submitted>>> {
    (0..MINERS)
        .map(|miner| {
            let (client, task_id) = (client.clone(), task_id.to_owned());
            thread::spawn(move || {
                let key = keypair(&format!("miner {miner}"));
                let mut submitted = Submitted::new();
                for number in (miner..SUBMISSIONS).step_by(MINERS) {
                    let fails = number % 3 == 0;
                    let line = if fails {
                        format!("exit 1 # {number}")
                    } else {
                        format!("echo '{{\"score\": {number}}}' > result.json")
                    };
                    let patch = format!(
                        "diff --git a/run.sh b/run.sh\n--- a/run.sh\n+++ b/run.sh\n@@ -1 +1 @@\n\
                         -echo '{{\"score\": 0}}' > result.json\n+{line}\n"
                    );
                    let content = Content {
                        summary: format!("number {number}"),
                        patch,
                        artifact: None,
                    };
                    match submit(&client, &key, &task_id, &content)? {
                        Ok(id) => drop(submitted.insert(id, (!fails).then_some(number))),
                        Err(refused) => bail!("number {number} was refused: {refused}"),
                    }
                }
                Ok(submitted)
            })
        })
        .collect()
}

/// Breaks one thing, and mends it after a moment.
fn strike(
    random: &mut Random,
    coordinator: &mut Coordinator,
    daemons: &mut [Daemon],
    engine: Option<&mut PrivateEngine>,
) -> Result<&'static str> {
    let pause = Duration::from_millis(200 + random.below(2000));
    let which = usize::try_from(random.below(daemons.len() as u64))?;
    match (random.below(8), engine) {
        (0, _) => {
            coordinator.end(Signal::SIGKILL)?;
            thread::sleep(pause);
            coordinator.again()?;
            Ok("coordinator killed")
        }
        (1, _) => {
            coordinator.end(Signal::SIGTERM)?;
            coordinator.again()?;
            Ok("coordinator restarted")
        }
        (2, _) => {
            coordinator.signal(Signal::SIGSTOP)?;
            thread::sleep(pause * 2);
            coordinator.signal(Signal::SIGCONT)?;
            Ok("coordinator stopped")
        }
        (3, Some(engine)) => {
            let signal = if random.below(2) == 0 {
                "-TERM"
            } else {
                "-KILL"
            };
            engine.stop(signal)?;
            thread::sleep(pause);
            bring_back(engine)?;
            Ok("engine restarted")
        }
        (4, _) => {
            daemons[which].end(Signal::SIGTERM)?;
            daemons[which].again()?;
            Ok("daemon restarted")
        }
        (5, _) => {
            daemons[which].signal(Signal::SIGSTOP)?;
            thread::sleep(pause * 2);
            daemons[which].signal(Signal::SIGCONT)?;
            Ok("daemon stopped")
        }
        _ => {
            daemons[which].end(Signal::SIGKILL)?;
            thread::sleep(pause);
            daemons[which].again()?;
            Ok("daemon killed")
        }
    }
}

/// An engine that was killed may not come up at the first try on a busy machine.
fn bring_back(engine: &mut PrivateEngine) -> Result<()> {
    for _ in 0..2 {
        if engine.again().is_ok() {
            return Ok(());
        }
        engine.stop("-KILL")?;
    }
    engine.again()
}

fn wait_until_decided(client: &Client, daemons: &[Daemon]) -> Result<()> {
    let start = Instant::now();
    loop {
        let pending = client.list("/api/v1/submissions?status=pending_verification")?;
        if pending.is_empty() {
            return Ok(());
        }
        if start.elapsed() > CALM {
            let logs: Vec<String> = daemons.iter().map(Daemon::log).collect();
            bail!(
                "{} are undecided; the daemons say\n{}",
                pending.len(),
                logs.join("\n")
            );
        }
        thread::sleep(Duration::from_secs(1));
    }
}

/// Every submission is there, and came to what it had to.
fn nothing_is_lost(client: &Client, task_id: &str, submitted: &Submitted) -> Result<()> {
    let rows = client.list(&format!("/api/v1/submissions?task_id={task_id}"))?;
    ensure!(
        rows.len() == submitted.len(),
        "{} rows of {}",
        rows.len(),
        submitted.len()
    );
    for row in rows {
        let id = row["id"].as_str().context("an id")?;
        let score = submitted.get(id).context("an unknown submission")?;
        let expected = match score {
            Some(score) => {
                row["status"] == "accepted" && row["observed_metrics"]["score"] == json!(score)
            }
            None => row["status"] == "rejected" && row["outcome_code"] == "benchmark.failed",
        };
        ensure!(expected, "{row}, and should have score {score:?}");
    }
    Ok(())
}

/// Exactly one decision a submission in the audit trail, and one decisive row.
fn nothing_is_decided_twice(coordinator: &Coordinator, submitted: &Submitted) -> Result<()> {
    let mut decisions: BTreeMap<String, usize> = BTreeMap::new();
    for event in coordinator.audit()? {
        let is_decision = matches!(
            event["action"].as_str(),
            Some("submission.accepted" | "submission.rejected" | "submission.error")
        );
        if is_decision {
            let subject = event["subject"].as_str().context("a subject")?;
            *decisions.entry(subject.to_owned()).or_default() += 1;
        }
    }
    for id in submitted.keys() {
        let count = decisions.get(id).copied().unwrap_or(0);
        ensure!(count == 1, "{id} was decided {count} times");
    }
    Ok(())
}

/// Splitmix: enough to make a mess that a seed makes again.
struct Random(u64);

impl Random {
    fn from_env() -> Self {
        let given = std::env::var(SEED_VARIABLE).ok();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seed = given.and_then(|text| text.parse().ok());
        Self(seed.unwrap_or_else(|| now.map_or(1, |now| now.as_secs())))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % bound
    }
}
