//! The whole loop: a coordinator, two daemons and a validator who lies, five
//! miners, three tasks, all as processes over HTTP. Two of three must agree.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use protocol::Status;
use protocol::task::Direction;
use serde_json::{Value, json};
use system_tests::fixtures::{Case, Fixture};
use system_tests::network::{
    Client, Content, Coordinator, Daemon, keypair, patiently, post_fixture, submit,
};

const MINERS: [&str; 5] = ["alice", "bob", "carol", "dave", "mallory"];
const HONEST: [&str; 2] = ["north", "south"];
const LIAR: &str = "liar";
/// Far more than it takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(8);

/// Good, broken and hostile submissions to the three tasks.
const SUBMITTED: &[(&str, &[&str])] = &[
    (
        "digits-frontier",
        &[
            "larger-steps",
            "principal-components",
            "slow-learner",
            "forge-result-file",
            "syntax-error",
            "claim-one-parameter",
            "phone-home",
        ],
    ),
    (
        "matmul-kernel",
        &["loop-order", "one-wrong-element", "does-not-compile"],
    ),
    (
        "compressed-model",
        &["four-bits", "trailing-bytes", "wrong-digest"],
    ),
];

/// A submission of this test, and how it must end.
struct Entered {
    id: String,
    task_id: String,
    name: String,
    status: Status,
    code: String,
}

#[test]
fn honest_validators_outvote_a_liar_and_everything_is_accounted_for() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let validators: Vec<String> = HONEST
        .iter()
        .chain([&LIAR])
        .map(|name| Daemon::hotkey(name))
        .collect();
    let mut coordinator = Coordinator::start(&directory.path().join("coordinator"), &validators)?;
    let fixtures = Fixture::load_all()?;
    let tasks = post_tasks(&coordinator.client, &fixtures, directory.path())?;
    let liar = Liar::start(&coordinator.client, &fixtures);
    let entered = submit_all(&coordinator.client, &fixtures, &tasks)?;
    let mut daemons = Vec::new();
    for name in HONEST {
        daemons.push(Daemon::start(
            directory.path(),
            name,
            &coordinator.url(),
            "slots = 1",
            None,
        )?);
    }
    let decided = wait_until_decided(&coordinator.client, &entered, &mut daemons);
    let ended: Result<Vec<_>> = daemons
        .iter_mut()
        .map(|daemon| daemon.end(Signal::SIGTERM))
        .collect();
    let lies = liar.end();
    // First what explains the rest.
    decided?;
    ended?;
    let lies = lies?;
    let checked = all_is_right(&coordinator.client, &tasks, &entered, lies);
    checked.with_context(|| logs(&daemons))?;
    for daemon in &daemons {
        daemon.left_nothing()?;
    }
    coordinator.end(Signal::SIGTERM)?;
    let accounted = every_event_is_accounted_for(&coordinator.audit()?, &entered, tasks.len());
    accounted.with_context(|| logs(&daemons))
}

fn logs(daemons: &[Daemon]) -> String {
    let said = daemons
        .iter()
        .map(|daemon| format!("{} says\n{}", daemon.name(), daemon.log()));
    said.collect()
}

/// What the coordinator says of every submission, of the bests and of the liar.
fn all_is_right(
    client: &Client,
    tasks: &BTreeMap<String, String>,
    entered: &[Entered],
    lies: usize,
) -> Result<()> {
    for one in entered {
        let row = client.get(&format!("/api/v1/submissions/{}", one.id))?;
        ensure!(
            row["status"] == one.status.to_string() && row["outcome_code"] == one.code,
            "{} is {} {}, and should be {} {}",
            one.name,
            row["status"],
            row["outcome_code"],
            one.status,
            one.code
        );
    }
    the_bests_are_right(client, tasks, entered)?;
    the_liar_is_seen(client, entered, lies)
}

fn post_tasks(
    client: &Client,
    fixtures: &[Fixture],
    directory: &std::path::Path,
) -> Result<BTreeMap<String, String>> {
    let mut tasks = BTreeMap::new();
    for fixture in fixtures {
        let mut task = fixture.task.clone();
        if task.metric_tolerance.is_some() {
            // What is measured here is whether validators agree, not how busy
            // this machine is: one processor time may be twice the other. More
            // tolerance than that no task may have.
            task.metric_tolerance = Some("0.5".parse()?);
        }
        // And nobody is to be out of time because others keep the cores busy.
        task.time_budget_seconds *= 4;
        let setup = task.setup_command.as_deref();
        task.setup_command = setup.map(|command| command.replace("timeout 4 ", "timeout 60 "));
        let files = &fixture.cases[0].task_dir;
        tasks.insert(
            fixture.name.clone(),
            post_fixture(client, &task, files, directory, 2)?,
        );
    }
    Ok(tasks)
}

fn submit_all(
    client: &Client,
    fixtures: &[Fixture],
    tasks: &BTreeMap<String, String>,
) -> Result<Vec<Entered>> {
    let mut entered = Vec::new();
    for (task, names) in SUBMITTED {
        let fixture = fixtures
            .iter()
            .find(|fixture| fixture.name == *task)
            .context("a task")?;
        for name in *names {
            let case = fixture
                .cases
                .iter()
                .find(|case| case.name == *name)
                .context("a case")?;
            let miner = keypair(MINERS[entered.len() % MINERS.len()]);
            let id = match submit(client, &miner, &tasks[*task], &content(case)?)? {
                Ok(id) => id,
                Err(refused) => bail!("{name} was refused: {refused}"),
            };
            entered.push(Entered {
                id,
                task_id: tasks[*task].clone(),
                name: case.name.clone(),
                status: case.submission.expect.status,
                code: case.submission.expect.code.to_string(),
            });
        }
    }
    Ok(entered)
}

fn content(case: &Case) -> Result<Content> {
    let submission = &case.submission;
    let patch = match &submission.patch {
        Some(patch) => std::fs::read_to_string(case.dir.join(patch))?,
        None => String::new(),
    };
    let artifact = submission.artifact.as_ref().map(|artifact| {
        let path = case.dir.join(artifact);
        let path = path.canonicalize().unwrap_or(path);
        (
            format!("file://{}", path.display()),
            submission
                .artifact_sha256
                .map(|digest| digest.to_string())
                .unwrap_or_default(),
            submission.artifact_size_bytes.unwrap_or_default(),
        )
    });
    Ok(Content {
        summary: case.name.clone(),
        patch,
        artifact,
    })
}

fn wait_until_decided(client: &Client, entered: &[Entered], daemons: &mut [Daemon]) -> Result<()> {
    let start = Instant::now();
    loop {
        let rows = client.list("/api/v1/submissions?status=pending_verification")?;
        if rows.is_empty() {
            return Ok(());
        }
        for daemon in &mut *daemons {
            let (name, log) = (daemon.name().to_owned(), daemon.log());
            ensure!(daemon.is_running()?, "{name} has ended; it says\n{log}");
        }
        if start.elapsed() > PATIENCE {
            let names: Vec<&str> = entered
                .iter()
                .filter(|one| rows.iter().any(|row| row["id"] == one.id))
                .map(|one| one.name.as_str())
                .collect();
            bail!("{names:?} are undecided; {}", logs(daemons));
        }
        thread::sleep(Duration::from_millis(500));
    }
}

/// Accepted submissions alone are best, and among them the better ones.
fn the_bests_are_right(
    client: &Client,
    tasks: &BTreeMap<String, String>,
    entered: &[Entered],
) -> Result<()> {
    for (task, best) in [
        (
            "digits-frontier",
            &["larger-steps", "principal-components"][..],
        ),
        ("matmul-kernel", &["loop-order"]),
        ("compressed-model", &["four-bits"]),
    ] {
        let answer = client.get(&format!("/api/v1/tasks/{}/best", tasks[task]))?;
        let frontier = answer["frontier"].as_array().context("a frontier")?;
        for name in best {
            let one = entered
                .iter()
                .find(|one| one.task_id == tasks[task] && one.name == *name);
            let id = &one.context("a submission")?.id;
            ensure!(
                frontier.iter().any(|row| row["id"] == *id),
                "{name} is not among the best of {task}: {answer}"
            );
        }
        for row in frontier {
            let one = entered
                .iter()
                .find(|one| row["id"] == one.id)
                .context("an unknown best")?;
            ensure!(
                one.status == Status::Accepted,
                "{} is among the best of {task}",
                one.name
            );
        }
    }
    Ok(())
}

/// Where the liar said something else, its row stands beside the decision, and
/// its forged metrics count nowhere.
fn the_liar_is_seen(client: &Client, entered: &[Entered], lies: usize) -> Result<()> {
    let liar = Daemon::hotkey(LIAR);
    ensure!(lies > 0, "the liar never came to lie");
    let mut seen = 0;
    for one in entered {
        let rows = client.list(&format!("/api/v1/verifications?submission_id={}", one.id))?;
        let honest: Vec<&Value> = rows
            .iter()
            .filter(|row| row["validator_hotkey"] != liar)
            .collect();
        ensure!(honest.len() == 2, "{}: {rows:?}", one.name);
        for row in &honest {
            ensure!(
                row["status"] == one.status.to_string(),
                "{}: {row}",
                one.name
            );
        }
        let Some(lie) = rows.iter().find(|row| row["validator_hotkey"] == liar) else {
            continue;
        };
        let row = client.get(&format!("/api/v1/submissions/{}", one.id))?;
        ensure!(
            lie["status"] != row["status"] || lie["observed_metrics"] != row["observed_metrics"],
            "{}: a lie was believed: {lie}",
            one.name
        );
        seen += 1;
    }
    ensure!(seen == lies, "{lies} lies were taken and {seen} are seen");
    Ok(())
}

fn every_event_is_accounted_for(audit: &[Value], entered: &[Entered], tasks: usize) -> Result<()> {
    let count = |action: &str| {
        audit
            .iter()
            .filter(|event| event["action"] == action)
            .count()
    };
    let about = |id: &str, prefix: &str| {
        audit
            .iter()
            .filter(|event| event["subject"] == *id)
            .filter_map(|event| event["action"].as_str())
            .filter(|action| action.starts_with(prefix))
            .map(str::to_owned)
            .collect::<Vec<String>>()
    };
    ensure!(
        count("task.created") == tasks,
        "{} tasks",
        count("task.created")
    );
    for one in entered {
        let decisions: Vec<String> = about(&one.id, "submission.")
            .into_iter()
            .filter(|action| {
                matches!(
                    action.as_str(),
                    "submission.accepted" | "submission.rejected" | "submission.error"
                )
            })
            .collect();
        ensure!(
            decisions == [format!("submission.{}", one.status)],
            "{} was decided as {decisions:?}",
            one.name
        );
        // A validator may have had trouble of its own, and posted again.
        let results = audit.iter().filter(|event| {
            let is_error = event["detail"]["status"] == "error";
            event["subject"] == one.id && event["action"] == "result.posted" && !is_error
        });
        let results: Vec<&Value> = results.collect();
        ensure!(
            (2..=3).contains(&results.len()),
            "{} has these results: {results:?}",
            one.name
        );
    }
    Ok(())
}

/// A validator of its own making: signs properly, replays nothing, and says of
/// everything that it is the best that anything could be. It plays the dishonest
/// daemon, which no daemon of ours can be made to be.
struct Liar {
    ends: Arc<AtomicBool>,
    thread: thread::JoinHandle<Result<usize>>,
}

impl Liar {
    fn start(client: &Client, fixtures: &[Fixture]) -> Self {
        let forged: BTreeMap<String, Value> = fixtures
            .iter()
            .map(|fixture| {
                let task = &fixture.task;
                let best = |direction: Direction, range: &protocol::task::MetricRange| match direction {
                    Direction::Minimize => range.min.clone(),
                    Direction::Maximize => range.max.clone(),
                };
                let mut metrics = json!({task.metric_name.clone(): best(task.metric_direction, &task.metric_range)});
                if let (Some(name), Some(direction)) = (&task.secondary_metric_name, task.secondary_metric_direction) {
                    metrics[name] = json!(best(direction, &task.secondary_metric_range));
                }
                (task.metric_name.clone(), metrics)
            })
            .collect();
        let ends = Arc::new(AtomicBool::new(false));
        let (client, told) = (client.clone(), Arc::clone(&ends));
        let thread = thread::spawn(move || lie(&client, &forged, &told));
        Self { ends, thread }
    }

    /// How many lies the coordinator took.
    fn end(self) -> Result<usize> {
        self.ends.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(lies) => lies,
            Err(_) => bail!("the liar panicked"),
        }
    }
}

fn lie(client: &Client, forged: &BTreeMap<String, Value>, ends: &AtomicBool) -> Result<usize> {
    let key = keypair(LIAR);
    let mut lies = 0;
    while !ends.load(Ordering::Relaxed) {
        let path = "/api/v1/validator/submissions/scan";
        let work = patiently(Instant::now(), || client.post(&key, path, &json!({})))?;
        let work = work.success()?;
        for job in work["jobs"].as_array().context("a worklist")? {
            let metric = job["replay_spec"]["metric_name"]
                .as_str()
                .context("a metric")?;
            let body = json!({
                "submission_id": job["submission_id"], "status": "accepted", "outcome_code": "ok",
                "observed_metrics": forged[metric], "notes": "trust me", "replay_log": "",
            });
            let id = job["job_id"].as_str().context("a job's id")?;
            let path = format!("/api/v1/validator/jobs/{id}/result");
            let answer = patiently(Instant::now(), || client.post(&key, &path, &body))?;
            match answer.status {
                200 => lies += 1,
                // Others were faster.
                409 => {}
                _ => bail!("the liar was answered {answer:?}"),
            }
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(lies)
}
