//! Section 10 of the corpus: the runner is killed, its disk is full, its
//! neighbours are dead or alive. The next start cleans up, and nobody's else.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use protocol::{Code, Fault, Report};
use system_tests::corpus::engine::{self, docker};
use system_tests::corpus::small_disk::SmallDisk;
use system_tests::corpus::table::{honest_replay, problems};
use system_tests::corpus::{Lab, Row, Task, row};

/// How long another test's runner may take to remove what it found.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn whatever_a_killed_runner_leaves_the_next_start_of_any_runner_removes() -> Result<()> {
    for (stage, act) in [
        ("setup", slow("setup")),
        ("benchmark", slow("benchmark")),
        ("score", slow("score")),
        ("benchmark", failing_with_a_slow_baseline()),
    ] {
        let killed = Lab::new()?;
        let mut running = killed.start(&act)?;
        let container = running.wait_for_stage(stage)?;
        if format!("{act:?}").contains("baseline") {
            running.wait_for_stage_after(stage, &container)?;
        }
        running.kill()?;
        let ended = killed.end(running)?;
        ensure!(
            ended.stdout.is_empty(),
            "a killed runner reported in {stage}"
        );
        ensure!(
            !killed.residue()?.is_empty(),
            "nothing was left to clean up: the test proves nothing"
        );
        let other = Lab::new()?;
        let failures = honest_replay(&other, "by another runner, with another state directory");
        ensure!(failures.is_empty(), "{failures:?}");
        nothing_is_left(&killed, stage)?;
        let failures = honest_replay(&killed, "where a runner was killed");
        ensure!(failures.is_empty(), "{failures:?}");
    }
    Ok(())
}

#[test]
fn a_runner_that_is_killed_at_any_moment_leaves_a_host_that_still_replays() -> Result<()> {
    let lab = Lab::new()?;
    let quick = row("C01", "quick").of(prepared()).miner("echo 3 > answer");
    for milliseconds in [5, 20, 45, 80, 130, 200, 300, 450, 650, 900, 1200, 1600] {
        let mut running = lab.start(&quick)?;
        thread::sleep(Duration::from_millis(milliseconds));
        running.kill()?;
        let ended = lab.end(running)?;
        if !ended.stdout.is_empty() {
            // It was over before; then its report is whole.
            let report: Report = serde_json::from_slice(&ended.stdout)?;
            ensure!(report.code == Code::Ok, "{report:?}");
        }
    }
    let failures = honest_replay(&lab, "after many deaths");
    ensure!(failures.is_empty(), "{failures:?}");
    let scored = problems(
        &lab,
        &row("C01", "the same to its end")
            .of(prepared())
            .miner("echo 3 > answer")
            .scores("3"),
    );
    ensure!(scored.is_empty(), "{scored:?}");
    nothing_is_left(&lab, "at all")
}

#[test]
fn a_runner_that_is_asked_to_stop_removes_its_sandbox_and_says_so() -> Result<()> {
    let lab = Lab::new()?;
    for stage in ["setup", "benchmark", "score"] {
        let mut running = lab.start(&slow(stage))?;
        running.wait_for_stage(stage)?;
        let asked = Instant::now();
        running.terminate()?;
        let ended = lab.end(running)?;
        ensure!(
            asked.elapsed() < Duration::from_secs(10),
            "it took {:?} to stop in {stage}",
            asked.elapsed()
        );
        let report: Report = serde_json::from_slice(&ended.stdout).context("a report")?;
        ensure!(
            (report.code, report.fault) == (Code::Cancelled, Some(Fault::Validator)),
            "{report:?}"
        );
        ensure!(ended.status.code() == Some(1), "{}", ended.status);
        nothing_is_left(&lab, stage)?;
    }
    Ok(())
}

#[test]
fn dead_runners_containers_are_removed_and_foreign_ones_are_not() -> Result<()> {
    let lab = Lab::new()?;
    let name = |kind: &str| format!("corpus-{kind}-{}", std::process::id());
    // What a runner of before a reboot left: its labels, and no lock.
    let labels = labels_of_a_replay(&lab)?;
    let mut dead = vec!["run", "--detach", "--network", "none"];
    let (dead_name, foreign, unlabelled) = (name("dead"), name("foreign"), name("unlabelled"));
    dead.extend(["--name", &dead_name]);
    dead.extend(labels.iter().flat_map(|label| ["--label", label.as_str()]));
    dead.extend(["replay-sandbox/c:1", "sleep", "600"]);
    docker(&dead)?;
    let owned_elsewhere = format!("{}={}", engine::OWNER_LABEL, "0".repeat(32));
    docker(&[
        "run",
        "--detach",
        "--network",
        "none",
        "--name",
        &foreign,
        "--label",
        &owned_elsewhere,
        "--label",
        "replay-runner.host=elsewhere",
        "replay-sandbox/c:1",
        "sleep",
        "600",
    ])?;
    docker(&[
        "run",
        "--detach",
        "--network",
        "none",
        "--name",
        &unlabelled,
        "replay-sandbox/c:1",
        "sleep",
        "600",
    ])?;
    let failures = honest_replay(&lab, "beside strangers");
    let is_there = |name: &str| engine::inspect(name).is_ok();
    let there = (
        is_there(&dead_name),
        is_there(&foreign),
        is_there(&unlabelled),
    );
    for name in [&dead_name, &foreign, &unlabelled] {
        let _ = docker(&["rm", "--force", name]);
    }
    ensure!(failures.is_empty(), "{failures:?}");
    ensure!(
        there == (false, true, true),
        "dead, of another host, without a label: {there:?} are there"
    );
    Ok(())
}

#[test]
fn living_runners_do_not_reap_each_other() -> Result<()> {
    let (one, other) = (Lab::new()?, Lab::new()?);
    let mut first = one.start(&slow("benchmark"))?;
    first.wait_for_stage("benchmark")?;
    let failures = honest_replay(&other, "beside a living runner");
    ensure!(failures.is_empty(), "{failures:?}");
    let failures = honest_replay(&one, "beside a living runner with the same state");
    ensure!(failures.is_empty(), "{failures:?}");
    let seen = first.see()?;
    ensure!(seen.report.code == Code::Ok, "{:?}", seen.report);
    nothing_is_left(&one, "of the first")
}

#[test]
fn a_container_that_somebody_else_removes_is_no_rejection() -> Result<()> {
    let lab = Lab::new()?;
    let removed = slow("benchmark")
        .errs(Code::SandboxEngineUnavailable, Fault::Validator)
        .meanwhile(|running| {
            let container = running.wait_for_stage("benchmark")?;
            docker(&["rm", "--force", &container]).map(drop)
        });
    let failures = problems(&lab, &removed);
    ensure!(failures.is_empty(), "{failures:?}");
    nothing_is_left(&lab, "at all")
}

#[test]
fn a_full_disk_is_told_as_that_and_mends_when_there_is_room() -> Result<()> {
    let lab = Lab::new()?;
    let disk = SmallDisk::mount(&lab.path().join("disk"), 3 << 20)?;
    let large = Task::sh().file("data.bin", &noise(8 << 20));
    let full = |says, task: Task| {
        row("C04", says)
            .of(task)
            .miner("echo '{\"score\": 3}' > result.json")
            .state(disk.path())
            .errs(Code::SandboxStorageFull, Fault::Validator)
    };
    let mut failures = problems(&lab, &full("no room for the checkout", large));
    // The same with room for nothing at all, then with room again.
    let filler = disk.path().join("filler");
    let _ = fs::write(&filler, vec![1; 4 << 20]);
    failures.extend(problems(&lab, &full("no room for anything", Task::sh())));
    fs::remove_file(&filler)?;
    let again = row("C04", "room again")
        .miner("echo '{\"score\": 3}' > result.json")
        .state(disk.path())
        .scores("3");
    failures.extend(problems(&lab, &again));
    let left: Vec<_> = fs::read_dir(disk.path().join("runs"))?.collect();
    ensure!(left.is_empty(), "{left:?}");
    drop(disk);
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    nothing_is_left(&lab, "at all")
}

#[test]
fn damaged_state_is_mended_or_refused_and_never_believed() -> Result<()> {
    let lab = Lab::new()?;
    let rejected = || {
        row("C13", "a failing submission")
            .miner("exit 1")
            .rejects(Code::BenchmarkFailed)
    };
    let mut failures = problems(&lab, &rejected());
    // What a control of this task says is remembered: damage it in every way.
    let controls = files_below(&lab.state().join("controls"));
    ensure!(!controls.is_empty(), "no control was remembered");
    for damage in [
        "",
        "{",
        "{\"code\": \"no.such\", \"changed\": []}",
        "{\"version\": 99}",
        "\0\0\0\0",
    ] {
        for control in &controls {
            fs::remove_file(control)?;
            fs::write(control, damage)?;
        }
        failures.extend(problems(&lab, &rejected()));
    }
    // The mirror: a cut-off and an overwritten object.
    for cut in [0, 20] {
        for object in files_below(&lab.state().join("mirrors"))
            .iter()
            .filter(|path| is_object(path))
        {
            let bytes = fs::read(object)?;
            fs::remove_file(object)?;
            fs::write(object, &bytes[..cut.min(bytes.len())])?;
        }
        failures.extend(problems(
            &lab,
            &row("G12", "a damaged mirror")
                .miner("echo '{\"score\": 3}' > result.json")
                .scores("3"),
        ));
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    nothing_is_left(&lab, "at all")
}

fn prepared() -> Task {
    Task::scored()
        .set("setup_command", "\"sh src/setup.sh\"")
        .file("src/setup.sh", "true\n")
        .budget(60)
}

/// A replay whose `stage` takes three seconds.
fn slow(stage: &str) -> Row {
    let pause = |at: &str| if at == stage { "sleep 3\n" } else { "" };
    let score = format!(
        "{}echo \"{{\\\"score\\\": $(cat answer)}}\" > result.json\n",
        pause("score")
    );
    row("C01", "a slow stage")
        .of(prepared().file("score.sh", &score))
        .writes("src/setup.sh", &format!("{}true", pause("setup")))
        .writes("run.sh", &format!("{}echo 3 > answer", pause("benchmark")))
}

fn failing_with_a_slow_baseline() -> Row {
    row("C01", "a failure whose baseline is slow")
        .of(prepared().file("run.sh", "sleep 3; echo 1 > answer\n"))
        .miner("sleep 0.5; exit 1")
}

fn nothing_is_left(lab: &Lab, what: &str) -> Result<()> {
    let start = Instant::now();
    loop {
        let left = lab.residue()?;
        if left.is_empty() {
            return Ok(());
        }
        ensure!(start.elapsed() < PATIENCE, "left {what}: {left:?}");
        thread::sleep(Duration::from_millis(200));
    }
}

/// The labels of a real replay's container, with an owner that never lived.
fn labels_of_a_replay(lab: &Lab) -> Result<Vec<String>> {
    let mut running = lab.start(&slow("benchmark"))?;
    let container = running.wait_for_stage("benchmark")?;
    let known = engine::inspect(&container)?;
    lab.end(running)?;
    let labels = known["Config"]["Labels"].as_object().context("labels")?;
    let ours = labels
        .iter()
        .filter(|(name, _)| name.starts_with("replay-runner.") && *name != engine::OWNER_LABEL);
    let owner = format!("{}={}", engine::OWNER_LABEL, "f".repeat(32));
    Ok(ours
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .chain([owner])
        .collect())
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn is_object(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "objects")
}

/// Text that does not compress.
fn noise(length: usize) -> String {
    let mut state: u64 = 88_172_645_463_325_252;
    let mut text = String::with_capacity(length);
    while text.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Writing to a string cannot fail.
        let _ = write!(text, "{state:016x}");
    }
    text
}
