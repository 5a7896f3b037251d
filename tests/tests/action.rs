//! The composite action for tasks' own CI, its `run` steps executed as GitHub's
//! runner does.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use system_tests::fixtures;
use system_tests::runner::Runner;
use system_tests::tool::{Ended, run};

/// What of an `action.yml` says what is done.
#[derive(Debug, Deserialize)]
struct Action {
    inputs: BTreeMap<String, Input>,
    runs: Runs,
}

#[derive(Debug, Deserialize)]
struct Input {
    default: String,
}

#[derive(Debug, Deserialize)]
struct Runs {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Deserialize)]
struct Step {
    name: String,
    id: Option<String>,
    uses: Option<String>,
    run: Option<String>,
    shell: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    with: BTreeMap<String, String>,
}

/// A job that uses the action on a runner that has made its engine and images.
struct Job {
    place: tempfile::TempDir,
    steps: Vec<Step>,
    /// What stands in expressions, by name.
    context: BTreeMap<String, String>,
}

/// What a step did.
struct Done {
    ended: Ended,
    summary: String,
}

impl Job {
    /// One with the inputs' defaults, where `inputs` have no other. The step that
    /// names the caches has run.
    fn new(inputs: &[(&str, &str)]) -> Self {
        let file = fixtures::root().with_file_name(".github/actions/check-task/action.yml");
        let text = fs::read_to_string(file).expect("the action");
        let action: Action = serde_saphyr::from_str(&text).expect("an action");
        let mut context: BTreeMap<String, String> = [
            ("runner.os", "Linux"),
            ("runner.arch", "X64"),
            ("github.run_id", "4711"),
            ("github.run_attempt", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (name, input) in action.inputs {
            context.insert(format!("inputs.{name}"), input.default);
        }
        for (name, value) in inputs {
            let known = context.insert(format!("inputs.{name}"), (*value).to_owned());
            assert!(known.is_some(), "the action has no input {name}");
        }
        let mut job = Self {
            place: tempfile::tempdir().expect("a directory"),
            steps: action.runs.steps,
            context,
        };
        job.lay_out();
        let named = job.run("Name the caches");
        assert_eq!(named.ended.status, 0, "{:?}", named.ended);
        job
    }

    /// The action's repository with the programs that are built already: its step
    /// `bootstrap images` is never run, since it would compile everything once more
    /// in a directory of its own. The user is root, who has no sudo.
    fn lay_out(&self) {
        for directory in ["temp", "bin", "workspace", "state"] {
            fs::create_dir(self.path(directory)).expect("a directory");
        }
        fs::create_dir_all(self.action_path()).expect("a directory");
        let programs = self.path("its repository/target/debug");
        fs::create_dir_all(&programs).expect("a directory");
        let runner = Runner::find().expect("the runner is built");
        symlink(runner.binary(), programs.join("replay-runner")).expect("a link");
        fs::write(self.path("its repository/Cargo.lock"), "version = 4\n").expect("a file");
        self.program("id", "echo 0");
        self.program("sudo", "echo 'sudo is not there' >&2; exit 127");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// As a local action has it, with a dot in between.
    fn action_path(&self) -> PathBuf {
        self.path("its repository/./.github/actions/check-task")
    }

    /// Puts a shell script before all programs of that name.
    fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    /// A task as `replay-runner new` makes it, which is the job's own repository.
    fn with_new_task(inputs: &[(&str, &str)]) -> Self {
        let job = Self::new(&[&[("task", "my-task")], inputs].concat());
        let options = ["new", "my-task", "--language", "python", "--score"];
        let made = run(&job.path("workspace"), &job.path("state"), &options).expect("it runs");
        assert_eq!(made.status, 0, "{made:?}");
        job
    }

    fn step(&self, name: &str) -> Step {
        let step = self.steps.iter().find(|step| step.name == name);
        step.unwrap_or_else(|| panic!("the action has no step {name:?}"))
            .clone()
    }

    /// `text` with every expression replaced by its value, wherever it stands: in
    /// a script that makes a command of an input.
    fn evaluated(&self, text: &str) -> String {
        let mut parts = text.split("${{");
        let mut evaluated = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once("}}").expect("an expression that ends");
            let value = self.context.get(name.trim());
            evaluated += value.unwrap_or_else(|| panic!("{name} is not known"));
            evaluated += rest;
        }
        evaluated
    }

    /// Runs a step, and remembers its outputs.
    fn run(&mut self, name: &str) -> Done {
        let step = self.step(name);
        assert_eq!(step.shell.as_deref(), Some("bash"), "{name}");
        let (script, summary, output) = (
            self.path("temp/script.sh"),
            self.path("temp/summary"),
            self.path("temp/output"),
        );
        let run = step.run.as_deref().expect("a step with a script");
        fs::write(&script, self.evaluated(run)).expect("a file");
        for file in [&summary, &output] {
            fs::write(file, "").expect("a file");
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let ended = Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(&script)
            .current_dir(self.path("workspace"))
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("RUNNER_TEMP", self.path("temp"))
            .env("GITHUB_ACTION_PATH", self.action_path())
            .env("GITHUB_STEP_SUMMARY", &summary)
            .env("GITHUB_OUTPUT", &output)
            .env("REPLAY_RUNNER_STATE", self.path("state"))
            .envs(
                step.env
                    .iter()
                    .map(|(name, value)| (name, self.evaluated(value))),
            )
            .output()
            .expect("bash");
        let text = |file: &Path| fs::read_to_string(file).expect("what the step wrote");
        for line in text(&output).lines() {
            let (name, value) = line.split_once('=').expect("NAME=VALUE");
            let id = step.id.as_deref().expect("a step with outputs has an id");
            self.context
                .insert(format!("steps.{id}.outputs.{name}"), value.to_owned());
        }
        Done {
            ended: Ended::of(&ended),
            summary: text(&summary),
        }
    }
}

/// Whether `summary` is one block of code, from its first line to its last.
fn is_one_block(summary: &str) -> bool {
    let fences = summary
        .lines()
        .filter(|line| line.trim_start().starts_with("```"));
    fences.count() == 2 && summary.starts_with("```\n") && summary.ends_with("\n```\n")
}

#[test]
fn a_task_that_lint_refuses_fails_the_step_and_is_told_in_a_closed_block() {
    let mut job = Job::with_new_task(&[]);
    let readme = job.path("workspace/my-task/README.md");
    fs::write(readme, "# A task\n").expect("a file");
    let done = job.run("Lint");
    assert_eq!(done.ended.status, 3, "{:?}", done.ended);
    for told in [&done.summary, &done.ended.stdout] {
        assert!(
            told.contains("FAIL onboarding") && told.contains("NOT FIT TO POST"),
            "{told}"
        );
    }
    assert!(is_one_block(&done.summary), "{}", done.summary);
}

#[test]
fn a_good_task_passes_both_steps_and_is_not_replayed_by_the_next_job() {
    let mut job = Job::with_new_task(&[("runs", "2"), ("vary", "none")]);
    let linted = job.run("Lint");
    assert_eq!(linted.ended.status, 0, "{:?}", linted.ended);
    assert!(
        linted.summary.contains("\nFIT TO POST\n"),
        "{}",
        linted.summary
    );
    assert!(is_one_block(&linted.summary), "{}", linted.summary);
    let checked = job.run("Check");
    assert_eq!(checked.ended.status, 0, "{:?}", checked.ended);
    assert!(
        checked.summary.starts_with("### ✅ "),
        "{}",
        checked.summary
    );
    assert!(
        !checked.summary.contains("an earlier check"),
        "{}",
        checked.summary
    );
    let again = job.run("Check");
    assert_eq!(again.ended.status, 0, "{:?}", again.ended);
    assert!(again.summary.starts_with("### ✅ "), "{}", again.summary);
    assert!(
        again.summary.contains("an earlier check"),
        "{}",
        again.summary
    );
}

#[test]
fn nothing_in_an_input_is_a_command_an_option_or_markup() {
    // Whatever quotes an input stands in, one of these would be a command.
    let hostile = [
        "$(touch pwned)",
        "\"$(touch pwned)\"",
        "'$(touch pwned)'",
        "x || touch pwned #",
    ];
    let places = [
        ("task", "Lint"),
        ("task", "Check"),
        ("runs", "Check"),
        ("vary", "Check"),
    ];
    let mut rows: Vec<(&str, &str, &str)> = vec![
        ("task", "--help", "Lint"),
        ("task", "--help", "Check"),
        ("task", "no\n```\n<b>markup</b>", "Lint"),
        ("task", "no\n```\n<b>markup</b>", "Check"),
    ];
    for (input, step) in places {
        rows.extend(hostile.map(|value| (input, value, step)));
    }
    for (input, value, step) in rows {
        let mut job = Job::new(&[(input, value)]);
        let done = job.run(step);
        assert_eq!(done.ended.status, 2, "{input} {value:?}: {:?}", done.ended);
        let touched = fs::read_dir(job.path("workspace")).expect("it").count();
        assert_eq!(touched, 0, "{input} {value:?} is a command in {step}");
        assert!(is_one_block(&done.summary), "{value:?}: {}", done.summary);
    }
}

#[test]
fn a_user_who_is_not_root_becomes_root_by_sudo() {
    for step in ["Lint", "Check"] {
        let mut job = Job::new(&[("task", "no-such-task")]);
        job.program("id", "echo 1001");
        job.program("sudo", "echo became root >&2; exec \"$@\"");
        let done = job.run(step);
        assert_eq!(done.ended.status, 2, "{:?}", done.ended);
        let told = done.ended.stdout + &done.ended.stderr;
        assert!(told.contains("became root"), "{step}: {told}");
        assert!(told.contains("no-such-task"), "{step}: {told}");
        assert!(done.summary.contains("no-such-task"), "{}", done.summary);
    }
}

#[test]
fn caches_have_absolute_paths_and_keys_that_fall_back_by_prefix() {
    let job = Job::new(&[("task", "a, task")]);
    let caches: Vec<Step> = job
        .steps
        .iter()
        .filter(|step| step.uses.is_some())
        .cloned()
        .collect();
    assert_eq!(caches.len(), 2);
    for cache in caches {
        let path = job.evaluated(&cache.with["path"]);
        assert!(path.starts_with('/'), "{path}");
        // What the cache action refuses.
        let moves = path.split('/').any(|part| part == "." || part == "..");
        assert!(!moves, "{path}");
        let key = job.evaluated(&cache.with["key"]);
        assert!(
            key.len() <= 512 && !key.contains(',') && !key.contains("--"),
            "{key}"
        );
        let older = cache
            .with
            .get("restore-keys")
            .map(|keys| job.evaluated(keys));
        for prefix in older.iter().flat_map(|keys| keys.lines()) {
            assert!(
                key.starts_with(prefix) && key != prefix,
                "{prefix} of {key}"
            );
        }
    }
    // A lock file of other dependencies is another cache of the runner.
    let lock = &job.context["steps.caches.outputs.lock"];
    assert_eq!(
        *lock,
        protocol::Sha256Digest::of(b"version = 4\n").to_string()
    );
}
