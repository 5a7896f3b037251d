//! `replay-runner check --reuse`: what was checked is not replayed again, and
//! nothing else is taken for it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use system_tests::corpus::proxy::Proxy;
use system_tests::tool::{Ended, run_with_engine};

/// A task, and a directory for its reports. Every check has a new state, so that
/// nothing but the reports can be remembered.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    /// With a task whose benchmark is `command`.
    fn with(command: &str) -> Self {
        let place = Self {
            directory: tempfile::tempdir().expect("a directory"),
        };
        fs::create_dir(place.task()).expect("a directory");
        let fields = format!(
            "slug = 'reused'\nimage = 'replay-sandbox/c:1'\nallowed_patch_paths = ['a']\nbenchmark_command = '{command}'\n\
             metric_name = 'score'\nmetric_direction = 'maximize'\ntime_budget_seconds = 10\n"
        );
        fs::write(place.task().join("task.toml"), fields).expect("a file");
        fs::write(place.task().join("a"), "1\n").expect("a file");
        place
    }

    fn task(&self) -> PathBuf {
        self.directory.path().join("task")
    }

    fn reports(&self) -> PathBuf {
        self.directory.path().join("reports")
    }

    /// The files in the directory of reports.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.reports()).expect("the directory of reports");
        entries.map(|entry| entry.expect("a file").path()).collect()
    }

    /// Two runs and no variation, with whatever `options` change of that.
    fn check(&self, engine: Option<&str>, options: &[&str]) -> Ended {
        let state = tempfile::tempdir().expect("a directory for the runner's state");
        let (task, reports) = (text_of(&self.task()), text_of(&self.reports()));
        let mut arguments = vec!["check", &task, "--reuse", &reports, "--vary", "none"];
        if !options.contains(&"--runs") {
            arguments.extend(["--runs", "2"]);
        }
        arguments.extend(options);
        run_with_engine(self.directory.path(), state.path(), engine, &arguments)
            .expect("the runner is built")
    }

    fn json(&self, engine: Option<&str>, options: &[&str]) -> (Ended, Value) {
        let ended = self.check(engine, &[options, &["--format", "json"]].concat());
        let report = ended.json().expect("a report");
        (ended, report)
    }

    /// An engine that answers everything but the making of a container.
    fn engine_without_containers(&self) -> Proxy {
        let proxy = Proxy::at(&self.directory.path().join("engine.sock")).expect("a socket");
        proxy.never_answer(&["POST", "/containers/create"]);
        proxy
    }
}

fn text_of(path: &Path) -> String {
    path.to_str().expect("a plain path").to_owned()
}

const STEADY: &str = "echo score: 7";
const UNSTEADY: &str = "echo score: $(od -An -N4 -tu4 /dev/urandom)";

#[test]
fn a_directory_that_cannot_be_written_to_is_wrong_usage_and_nothing_is_replayed() {
    let place = Place::with(STEADY);
    fs::write(place.reports(), "a file").expect("a file");
    // Asking an engine that is not there would be an error, not wrong usage.
    let ended = place.check(Some("unix:///nowhere.sock"), &[]);
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.stderr.contains("cannot be kept"), "{}", ended.stderr);
}

#[test]
fn a_check_that_ended_in_an_error_is_not_kept() {
    let place = Place::with("exit 7");
    let ended = place.check(None, &[]);
    assert_eq!(ended.status, 1, "{ended:?}");
    assert_eq!(place.files(), Vec::<PathBuf>::new());
}

#[test]
fn a_second_check_makes_no_container_and_tells_the_verdict_of_the_first_good_or_bad() {
    for (command, status) in [(STEADY, 0), (UNSTEADY, 3)] {
        let place = Place::with(command);
        let (first, made) = place.json(None, &[]);
        assert_eq!(first.status, status, "{first:?}");
        assert_eq!(made["reused"], false);
        let engine = place.engine_without_containers();
        let (second, reused) = place.json(Some(&engine.address()), &[]);
        assert_eq!(second.status, status, "{second:?}");
        let mut expected = made.clone();
        expected["reused"] = Value::from(true);
        assert_eq!(reused, expected);
        for format in ["text", "markdown", "junit"] {
            let told = place.check(Some(&engine.address()), &["--format", format]);
            assert_eq!(told.status, status, "{told:?}");
            let when = made["made_at"].as_str().expect("a moment");
            for part in ["an earlier check", "nothing was replayed now", when] {
                assert!(told.stdout.contains(part), "{part:?}: {}", told.stdout);
            }
        }
    }
}

#[test]
fn a_damaged_report_is_told_of_and_made_anew() {
    let place = Place::with(STEADY);
    let (_, made) = place.json(None, &[]);
    let [file] = place.files().try_into().expect("one file");
    let whole = fs::read_to_string(&file).expect("the report");
    fs::remove_file(&file).expect("removed");
    fs::write(&file, &whole[..whole.len() / 2]).expect("a file");
    let (again, report) = place.json(None, &[]);
    assert!(again.stderr.contains("damaged"), "{}", again.stderr);
    assert_eq!((again.status, &report["reused"]), (0, &Value::from(false)));
    assert_eq!(report["spec_digest"], made["spec_digest"]);
    let engine = place.engine_without_containers();
    let (_, report) = place.json(Some(&engine.address()), &[]);
    assert_eq!(report["reused"], true);
}

#[test]
fn another_patch_and_another_number_of_runs_are_other_checks() {
    let place = Place::with(STEADY);
    let patch = place.directory.path().join("a.diff");
    let diff = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+2\n";
    fs::write(&patch, diff).expect("a file");
    let patch = text_of(&patch);
    for (count, options) in [
        (1, &[][..]),
        (2, &["--patch", &patch]),
        (3, &["--runs", "3"]),
    ] {
        let (ended, report) = place.json(None, options);
        assert_eq!(ended.status, 0, "{ended:?}");
        assert_eq!(report["reused"], false, "{options:?}");
        assert_eq!(place.files().len(), count, "{options:?}");
    }
}
