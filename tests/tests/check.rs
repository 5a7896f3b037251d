//! `replay-runner check` on tasks with one known reason to wobble each, and on
//! clean ones. `CHECK_REPETITIONS=20` repeats every check, to see that no verdict
//! and no cause flips.

use std::path::{Path, PathBuf};

use serde_json::Value;
use system_tests::fixtures;
use system_tests::leftovers;
use system_tests::tool::{Ended, run};

/// The fixtures, each with the cause that a check has to name.
const CAUSES: &[(&str, &str)] = &[
    ("unseeded-rng", "unseeded_randomness"),
    ("hash-order", "hash_order"),
    ("thread-sum", "thread_count"),
    ("elapsed-time", "time"),
    ("date-in-metric", "time"),
    ("hostname", "hostname"),
    ("directory-order", "directory_order"),
    ("uninitialised-memory", "uninitialised_memory"),
    ("address-in-output", "addresses"),
    ("cpu-count", "cpu_count"),
    ("locale", "locale"),
    ("race", "race"),
    ("time-zone", "time_zone"),
    ("user", "user"),
];
const CLEAN: &[&str] = &["clean-python", "clean-numpy", "clean-c"];

fn repetitions() -> u32 {
    let asked = std::env::var("CHECK_REPETITIONS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn check(task: &Path, options: &[&str]) -> Ended {
    let state = tempfile::tempdir().expect("a directory for the runner's state");
    let mut arguments = vec!["check", task.to_str().expect("a plain path")];
    arguments.extend(options);
    let ended = run(&fixtures::root(), state.path(), &arguments).expect("the runner is built");
    let left = leftovers::of_state(state.path()).expect("the engine can be asked");
    assert!(left.is_empty(), "left behind: {left:?}");
    ended
}

fn determinism(name: &str) -> PathBuf {
    fixtures::root().join("determinism").join(name)
}

/// The causes that decide, of one check.
fn deciding(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().expect("findings");
    findings
        .iter()
        .filter(|finding| finding["decides"] == true)
        .map(|finding| finding["cause"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn expect_causes(fixtures: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for repetition in 1..=repetitions() {
        for (name, cause) in fixtures {
            let ended = check(&determinism(name), &["--runs", "3", "--format", "json"]);
            let report = ended.json().expect("a report");
            let found = deciding(&report);
            let verdict = report["verdict"].as_str().unwrap_or_default();
            if ended.status != 3 || verdict != "not_deterministic" || found != [*cause] {
                wrong.push(format!(
                    "{name}, repetition {repetition}: status {}, {verdict}, {found:?}",
                    ended.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_reason_to_wobble_is_named_first_half() {
    expect_causes(&CAUSES[..CAUSES.len() / 2]);
}

#[test]
fn each_reason_to_wobble_is_named_second_half() {
    expect_causes(&CAUSES[CAUSES.len() / 2..]);
}

#[test]
fn clean_tasks_are_called_deterministic() {
    let mut wrong = Vec::new();
    for repetition in 1..=repetitions() {
        for name in CLEAN {
            let ended = check(&determinism(name), &["--runs", "3", "--format", "json"]);
            let report = ended.json().expect("a report");
            if ended.status != 0 || report["verdict"] != "deterministic" {
                wrong.push(format!("{name}, repetition {repetition}: {}", ended.stdout));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_fixture_tasks_keep_their_outcome_and_claimed_metrics_under_every_variation() {
    for name in ["digits-frontier", "compressed-model", "matmul-kernel"] {
        let task = fixtures::root().join("tasks").join(name);
        let ended = check(&task, &["--runs", "3", "--format", "json"]);
        let report = ended.json().expect("a report");
        // Processor time is this machine's, and it may be busy; nothing else is.
        assert_eq!(
            deciding(&report),
            Vec::<String>::new(),
            "{name}: {}",
            ended.stdout
        );
        if name != "matmul-kernel" {
            assert_eq!(report["verdict"], "deterministic", "{name}");
            assert_eq!(ended.status, 0, "{name}");
        }
    }
}

#[test]
fn the_same_difference_is_told_to_people_test_reports_and_job_summaries() {
    let task = determinism("hash-order");
    let only = ["--runs", "2", "--vary", "hash-seed,clock"];
    let text = check(&task, &only);
    assert_eq!(text.status, 3);
    for part in [
        "NOT DETERMINISTIC",
        "metric score",
        "sort before iterating",
        "clock",
        "not made",
    ] {
        assert!(
            text.stdout.contains(part),
            "{part:?} is not in {}",
            text.stdout
        );
    }
    let junit = check(&task, &[&only[..], &["--format", "junit"]].concat());
    assert_eq!(junit.status, 3);
    for part in [
        "<testcase classname=\"hash-order\" name=\"hash-seed\">",
        "<failure",
        "<skipped",
        "failures=\"1\"",
    ] {
        assert!(
            junit.stdout.contains(part),
            "{part:?} is not in {}",
            junit.stdout
        );
    }
    let markdown = check(&task, &[&only[..], &["--format", "markdown"]].concat());
    assert!(
        markdown
            .stdout
            .starts_with("### ❌ hash-order: not deterministic"),
        "{}",
        markdown.stdout
    );
}

#[test]
fn a_metric_that_varies_less_than_the_task_tolerates_is_stable() {
    let place = tempfile::tempdir().expect("a directory");
    let task = place.path().join("noisy");
    std::fs::create_dir(&task).expect("a directory");
    let program = "import json, random\njson.dump({'score': 100 + random.gauss(0, 0.01)}, open('result.json', 'w'))\n";
    std::fs::write(task.join("main.py"), program).expect("a file");
    let fields = "slug = 'noisy'\nallowed_patch_paths = ['main.py']\nbenchmark_command = 'python3 main.py'\n\
        result_path = 'result.json'\nmetric_name = 'score'\nmetric_direction = 'maximize'\ntime_budget_seconds = 10\n";
    std::fs::write(
        task.join("task.toml"),
        format!("{fields}metric_tolerance = 0.05\n"),
    )
    .expect("a file");
    let options = ["--runs", "5", "--vary", "none", "--format", "json"];
    let stable = check(&task, &options);
    let report = stable.json().expect("a report");
    assert_eq!(
        (stable.status, &report["verdict"]),
        (0, &Value::from("stable"))
    );
    let needed = &report["metrics"][0]["needed"][0];
    let estimate = needed["tolerance_estimate"].as_f64().unwrap_or(f64::NAN);
    assert!(estimate > 0.0 && estimate < 0.05, "{needed}");
    std::fs::write(task.join("task.toml"), fields).expect("a file");
    let strict = check(&task, &options);
    assert_eq!(strict.status, 3, "{}", strict.stdout);
}

#[test]
fn what_cannot_be_compared_is_an_error_and_what_does_not_exist_is_usage() {
    let place = tempfile::tempdir().expect("a directory");
    std::fs::write(
        place.path().join("task.toml"),
        "slug = 'broken'\nimage = 'replay-sandbox/c:1'\nallowed_patch_paths = ['a']\nbenchmark_command = 'exit 7'\n\
         metric_name = 'score'\nmetric_direction = 'maximize'\ntime_budget_seconds = 5\n",
    )
    .expect("a file");
    let broken = check(place.path(), &["--runs", "2", "--format", "json"]);
    assert_eq!(broken.status, 1, "{broken:?}");
    assert_eq!(
        broken.json().expect("an object")["code"],
        "benchmark.failed"
    );
    let unknown = check(&determinism("user"), &["--vary", "usr"]);
    assert_eq!(unknown.status, 2);
    assert!(
        unknown.stderr.contains("directory-order"),
        "{}",
        unknown.stderr
    );
    assert_eq!(check(&determinism("no-such-task"), &[]).status, 2);
}
