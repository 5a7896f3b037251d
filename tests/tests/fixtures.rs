//! Every submission of the fixtures, replayed with the real runner and engine.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use system_tests::fixtures::{BASELINE, Fixture};
use system_tests::leftovers;
use system_tests::runner::{Runner, replay_all};
use system_tests::verdict::{Decision, differences};

/// Two replays at a time are what two cores take; the tests wait for each other.
static ONE_TASK_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What a replay needs while it runs, and no longer.
const KINDS_OF_LEFTOVERS: &[&str] = &["container", "mount", "directory"];

#[test]
fn every_submission_to_digits_frontier_ends_as_expected_and_leaves_nothing() {
    replay_every_submission_to("digits-frontier");
}

#[test]
fn every_submission_to_matmul_kernel_ends_as_expected_and_leaves_nothing() {
    replay_every_submission_to("matmul-kernel");
}

#[test]
fn every_submission_to_compressed_model_ends_as_expected_and_leaves_nothing() {
    replay_every_submission_to("compressed-model");
}

#[test]
fn every_fixture_is_well_formed_and_its_files_are_there() {
    let fixtures = Fixture::load_all().expect("the fixtures can be read");
    for fixture in &fixtures {
        let problems = fixture.task.problems();
        assert!(problems.is_empty(), "{}: {problems:?}", fixture.task.slug);
        for case in &fixture.cases {
            let submission = &case.submission;
            for file in submission.patch.iter().chain(&submission.artifact) {
                let path: PathBuf = case.dir.join(file);
                assert!(path.is_file(), "{} is not there", path.display());
            }
            let given = submission.patch.is_some() || submission.artifact.is_some();
            assert!(
                given || case.name == BASELINE,
                "{} submits nothing",
                case.name
            );
        }
    }
}

#[test]
fn the_check_for_leftovers_sees_a_replay_that_is_still_running() {
    let _turn = ONE_TASK_AT_A_TIME
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let fixture = Fixture::load("matmul-kernel").expect("the fixture can be read");
    let endless = fixture
        .cases
        .iter()
        .find(|case| case.name == "never-ends")
        .expect("it exists");
    let state = tempfile::tempdir().expect("a directory for the runner's state");
    let runner = Runner::find()
        .expect("the runner is built")
        .with_state(state.path());

    let seen = thread::scope(|scope| {
        let replay = scope.spawn(|| runner.replay(endless));
        let mut seen = Vec::new();
        while !replay.is_finished() && seen.len() < KINDS_OF_LEFTOVERS.len() {
            thread::sleep(Duration::from_millis(50));
            let left = leftovers::of_state(state.path()).expect("the engine can be asked");
            seen = KINDS_OF_LEFTOVERS
                .iter()
                .filter(|kind| left.iter().any(|thing| thing.starts_with(**kind)))
                .collect();
        }
        seen
    });
    assert_eq!(seen.len(), KINDS_OF_LEFTOVERS.len(), "only {seen:?}");
    let left = leftovers::of_state(state.path()).expect("the engine can be asked");
    assert!(left.is_empty(), "left behind: {left:?}");
}

fn replay_every_submission_to(task: &str) {
    let _turn = ONE_TASK_AT_A_TIME
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let fixture = Fixture::load(task).expect("the fixture can be read");
    let state = tempfile::tempdir().expect("a directory for the runner's state");
    let runner = Runner::find()
        .expect("the runner is built")
        .with_state(state.path());

    let mut baseline: Option<Decision> = None;
    let mut failures: Vec<String> = Vec::new();
    replay_all(&runner, &fixture.cases, 2, |case, result| {
        let result = result.map(|report| Decision::from(&report));
        let found = match &result {
            Ok(decision) => differences(
                &case.submission.expect,
                &fixture.task,
                decision,
                baseline.as_ref(),
            ),
            Err(error) => vec![format!("{error:#}")],
        };
        failures.extend(
            found
                .into_iter()
                .map(|line| format!("{}: {line}", case.name)),
        );
        if case.name == BASELINE {
            baseline = result.ok();
        }
    });

    let left = leftovers::of_state(state.path()).expect("the engine can be asked");
    failures.extend(
        left.into_iter()
            .map(|thing| format!("left behind: {thing}")),
    );
    assert!(failures.is_empty(), "{task}:\n  {}", failures.join("\n  "));
}
