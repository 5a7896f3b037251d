//! `replay-runner lint` on good tasks, on one wrong task for each rule, and its
//! rehearsal on tasks with a planted weakness each; `replay-runner new`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use system_tests::fixtures;
use system_tests::tool::{Ended, run};

/// A task repository in a directory of its own.
struct Made {
    place: tempfile::TempDir,
    files: BTreeMap<&'static str, String>,
}

const GOOD_README: &str = "# A task\n\nImprove src/solution.py, and nothing else. It writes out/answer.txt, a number. \
score.py reads that number in a container of its own and reports the score, which should be large. Ten seconds, one \
core, no network. Try it with: replay-runner run .\n";
const GOOD_TASK: &str = "slug = \"lint-me\"\nimage = \"replay-sandbox/python:1\"\nallowed_patch_paths = [\"src/solution.py\"]\n\
benchmark_command = \"python3 src/solution.py\"\noutputs = [\"out/answer.txt\"]\nscore_command = \"python3 -I score.py\"\n\
result_path = \"result.json\"\nmetric_name = \"score\"\nmetric_direction = \"maximize\"\n\
metric_range = { min = 0, max = 1000 }\ntime_budget_seconds = 10\n";

impl Made {
    /// A task that breaks no rule.
    fn good() -> Self {
        let made = Self {
            place: tempfile::tempdir().expect("a directory"),
            files: BTreeMap::new(),
        };
        made.with("task.toml", GOOD_TASK)
            .with("README.md", GOOD_README)
            .with(
                "src/solution.py",
                "import os\nos.makedirs('out', exist_ok=True)\nopen('out/answer.txt', 'w').write('7')\n",
            )
            .with(
                "score.py",
                "import json\njson.dump({'score': int(open('out/answer.txt').read())}, open('result.json', 'w'))\n",
            )
    }

    /// A task without a score stage, whose `harness.py` judges; `task` are more
    /// lines for its task file.
    fn unscored(harness: &str, solution: &str, task: &str) -> Self {
        let fields = format!(
            "slug = \"weak\"\nimage = \"replay-sandbox/python:1\"\nallowed_patch_paths = [\"solution.py\"]\n\
             benchmark_command = \"python3 harness.py\"\nmetric_name = \"score\"\nmetric_direction = \"maximize\"\n\
             metric_range = {{ min = 0, max = 1000 }}\ntime_budget_seconds = 10\n{task}"
        );
        let made = Self {
            place: tempfile::tempdir().expect("a directory"),
            files: BTreeMap::new(),
        };
        made.with("task.toml", &fields)
            .with("harness.py", harness)
            .with("solution.py", solution)
            .with("README.md", &GOOD_README.replace("src/", ""))
    }

    fn with(mut self, path: &'static str, content: &str) -> Self {
        self.files.insert(path, content.to_owned());
        self
    }

    /// Replaces a part of the task file, which must be there.
    fn task(self, from: &str, to: &str) -> Self {
        let before = self.files["task.toml"].clone();
        assert!(before.contains(from), "{from:?} is not in the task file");
        self.with("task.toml", &before.replace(from, to))
    }

    fn write(&self) -> PathBuf {
        let task = self.place.path().join("task");
        for (path, content) in &self.files {
            let path = task.join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, content).expect("a file");
        }
        task
    }

    fn lint(&self, options: &[&str]) -> Value {
        let ended = lint(&self.write(), options);
        let report = ended.json().expect("a report");
        assert_eq!(
            ended.status == 0,
            report["passed"] == true,
            "{}",
            ended.stdout
        );
        report
    }
}

fn lint(task: &Path, options: &[&str]) -> Ended {
    let state = tempfile::tempdir().expect("a directory for the runner's state");
    let mut arguments = vec![
        "lint",
        task.to_str().expect("a plain path"),
        "--format",
        "json",
    ];
    arguments.extend(options);
    run(&fixtures::root(), state.path(), &arguments).expect("the runner is built")
}

/// The rules that a report calls broken.
fn broken(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().expect("findings");
    let mut rules: Vec<&str> = findings
        .iter()
        .filter(|finding| finding["severity"] == "error")
        .filter_map(|finding| finding["rule"].as_str())
        .collect();
    rules.dedup();
    rules
}

/// The forgeries that a report says would score.
fn scoring(report: &Value) -> Vec<&str> {
    let rehearsed = report["rehearsed"].as_array().expect("rehearsed");
    rehearsed
        .iter()
        .filter(|one| one["scores"] == true)
        .filter_map(|one| one["forgery"].as_str())
        .collect()
}

#[test]
fn the_fixture_tasks_are_fit_to_post_and_no_forgery_scores_in_them() {
    let submissions = fixtures::root().join("submissions");
    let better = |path: &str| submissions.join(path).display().to_string();
    let digits = better("digits-frontier/larger-steps/patch.diff");
    for (name, options) in [
        ("digits-frontier", vec!["--better", digits.as_str()]),
        ("matmul-kernel", vec![]),
        ("compressed-model", vec![]),
    ] {
        let ended = lint(&fixtures::root().join("tasks").join(name), &options);
        let report = ended.json().expect("a report");
        assert_eq!(ended.status, 0, "{name}: {}", ended.stdout);
        assert_eq!(broken(&report), Vec::<&str>::new(), "{name}");
        assert_eq!(scoring(&report), Vec::<&str>::new(), "{name}");
        let tried = report["rehearsed"].as_array().map_or(0, Vec::len);
        assert_eq!(
            tried > 0,
            name != "compressed-model",
            "{name}: {tried} forgeries tried"
        );
    }
}

#[test]
fn one_wrong_task_for_each_rule_fails_by_that_rule_alone() {
    let private = "[[private_inputs]]\nname = \"labels.csv\"\nuri = \"../labels.csv\"\n";
    let rows: Vec<(&str, Made, Vec<&str>)> = vec![
        ("pinned", Made::good().task("slug", "base_ref = \"no-such-branch\"\nslug"), vec![]),
        ("baseline-runs", Made::good().with("src/solution.py", "raise SystemExit(3)\n"), vec![]),
        ("direction", Made::good().task("maximize", "minimize").with("../better.diff", BETTER), vec!["--better"]),
        ("headroom", Made::good().with("score.py", "import json, time\nwhile time.process_time() < 3.5: pass\njson.dump({'score': 1}, open('result.json', 'w'))\n"), vec![]),
        ("allowed-paths", Made::good().task("\"src/solution.py\"]", "\"src/solution.py\", \"lib/\"]").with("README.md", &GOOD_README.replace("and nothing", "lib and nothing")), vec![]),
        ("judge-protected", Made::good().task("\"src/solution.py\"]", "\"src/\"]").with("src/judge.py", "LIMIT = 1000\n").with("score.py", "import json\nfrom src.judge import LIMIT\njson.dump({'score': min(LIMIT, int(open('out/answer.txt').read()))}, open('result.json', 'w'))\n").task("python3 -I score.py", "python3 score.py"), vec![]),
        ("stale-result", Made::good().with("result.json", "{\"score\": 999}"), vec![]),
        ("hidden-data", Made::good().with("data/heldout.csv", "1,2\n"), vec![]),
        ("setup-network", Made::good().task("slug", "setup_command = \"true || pip install torch\"\nslug"), vec![]),
        ("files", Made::good().task("time_budget_seconds = 10\n", &format!("time_budget_seconds = 10\n{private}")).with("../labels.csv", "1\n"), vec![]),
        ("onboarding", Made::good().with("README.md", "# A task\n"), vec![]),
    ];
    for (rule, made, flags) in rows {
        let better = made.place.path().join("better.diff").display().to_string();
        let mut options = vec!["--no-rehearsal"];
        for flag in flags {
            options.extend([flag, better.as_str()]);
        }
        let report = made.lint(&options);
        assert_eq!(broken(&report), [rule], "{report:#}");
    }
    assert_eq!(broken(&Made::good().lint(&[])), Vec::<&str>::new());
}

const BETTER: &str = "\
diff --git a/src/solution.py b/src/solution.py
--- a/src/solution.py
+++ b/src/solution.py
@@ -1,3 +1,3 @@
 import os
 os.makedirs('out', exist_ok=True)
-open('out/answer.txt', 'w').write('7')
+open('out/answer.txt', 'w').write('8')
";

#[test]
fn a_whole_repository_that_may_be_patched_is_refused_with_its_judge() {
    let open = Made::good().task("\"src/solution.py\"]", "\"**\"]");
    let report = open.lint(&["--no-rehearsal"]);
    let rules = broken(&report);
    assert!(
        rules.contains(&"allowed-paths") && rules.contains(&"judge-protected"),
        "{rules:?}"
    );
}

#[test]
fn the_rehearsal_finds_each_planted_weakness() {
    let result = "result_path = \"result.json\"\n";
    // Imports what is submitted, and writes what it returns.
    let importing = "import json\nimport solution\njson.dump({'score': solution.answer() % 7}, open('result.json', 'w'))\n";
    // Runs what is submitted in a process of its own, and writes the result after it.
    let running = "import json, subprocess, sys, time\n\
        out = subprocess.run([sys.executable, 'solution.py'], capture_output=True, text=True, timeout=5).stdout\n\
        json.dump({'score': len(out) % 7}, open('result.json', 'w'))\ntime.sleep(0.2)\n";
    let answer = "def answer():\n    return 7\n";
    let rows: Vec<(&str, Made)> = vec![
        ("writes_result", Made::unscored(importing, answer, result)),
        (
            "writes_result_at_exit",
            Made::unscored(importing, answer, result),
        ),
        ("patches_library", Made::unscored(importing, answer, result)),
        (
            "leaves_a_process",
            Made::unscored(running, "print('seven')\n", result),
        ),
        (
            "prints_metric",
            Made::unscored(
                "import solution\nprint('score:', solution.answer() % 7)\n",
                answer,
                "",
            ),
        ),
        (
            "shadows_module",
            Made::unscored(importing, answer, result)
                .task("\"solution.py\"]", "\"solution.py\", \"*.py\"]"),
        ),
        (
            "reads_private_inputs",
            Made::unscored(
                importing,
                answer,
                &format!(
                    "{result}[[private_inputs]]\nname = \"labels.csv\"\nuri = \"../labels.csv\"\n"
                ),
            )
            .with("../labels.csv", "1\n"),
        ),
        (
            "rewrites_harness_in_setup",
            Made::unscored(
                importing,
                answer,
                &format!("setup_command = \"sh build.sh\"\n{result}"),
            )
            .task("[\"solution.py\"]", "[\"build.sh\"]")
            .task("python3 harness.py", "python3 build/harness.py")
            .with(
                "build.sh",
                "mkdir -p build\ncp harness.py solution.py build/\n",
            ),
        ),
    ];
    for (forgery, made) in rows {
        let report = made.lint(&[]);
        let found = scoring(&report);
        assert!(found.contains(&forgery), "{forgery}: {report:#}");
        assert!(broken(&report).contains(&"rehearsal"), "{forgery}");
    }
}

#[test]
fn the_rehearsal_finds_nothing_where_a_score_stage_judges() {
    let report = Made::good().lint(&[]);
    assert_eq!(scoring(&report), Vec::<&str>::new(), "{report:#}");
    assert!(
        report["rehearsed"]
            .as_array()
            .is_some_and(|tried| tried.len() >= 4)
    );
}

#[test]
fn a_new_task_goes_to_a_replayed_submission_by_its_readme_alone() {
    for options in [
        ["--language", "python", "--score"],
        ["--language", "python", "--no-score"],
        ["--language", "c", "--score"],
        ["--language", "c", "--no-score"],
    ] {
        let place = tempfile::tempdir().expect("a directory");
        let state = place.path().join("state");
        let made = run(
            place.path(),
            &state,
            &[&["new", "my-task"], &options[..]].concat(),
        )
        .expect("it runs");
        assert_eq!(made.status, 0, "{made:?}");
        let task = place.path().join("my-task");
        let readme = fs::read_to_string(task.join("README.md")).expect("a README");
        let commands: Vec<&str> = readme
            .lines()
            .filter_map(|line| line.strip_prefix("    replay-runner "))
            .map(|line| line.split('#').next().unwrap_or_default().trim())
            .collect();
        assert_eq!(commands.len(), 4, "{readme}");
        for command in commands {
            let words: Vec<&str> = command.split_whitespace().collect();
            // How far processor time scatters is this machine's; the other three
            // commands say the same on every machine.
            if words[0] == "check" && readme.contains("supervisor.") {
                continue;
            }
            let ended = run(&task, &state, &words).expect("it runs");
            assert_eq!(
                ended.status, 0,
                "{options:?} {command}: {}{}",
                ended.stdout, ended.stderr
            );
        }
        assert!(git_applies(&task), "{options:?}: git refuses example.diff");
        let again = run(place.path(), &state, &["new", "my-task"]).expect("it runs");
        assert_eq!(
            again.status, 2,
            "a directory that is not empty is not written to"
        );
    }
}

fn git_applies(task: &Path) -> bool {
    let git = |arguments: &[&str]| {
        Command::new("git")
            .current_dir(task)
            .args(arguments)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    git(&["init", "--quiet"]) && git(&["apply", "--check", "example.diff"])
}
