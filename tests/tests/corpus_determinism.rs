//! Section 12 of the corpus as far as one replay goes, and the rows of section
//! 13 that concern stages and are in no other table.

use anyhow::{Context as _, ensure};
use protocol::{Code, Fault};
use system_tests::corpus::{Row, Table, Task, row};

#[test]
fn repeats_that_differ_are_no_result() {
    Table::new(repeats()).holds();
}

#[test]
fn attacks_that_worked_elsewhere_do_not_work_here() {
    Table::new(elsewhere()).holds();
}

fn repeats() -> Vec<Row> {
    let thrice = |task: Task| task.set("repeats", "3");
    let counts = |place: &str| {
        format!("echo x >> {place}\necho \"{{\\\"score\\\": $(wc -l < {place})}}\" > result.json")
    };
    let same = |row: Row| {
        row.scores("1").and("all three gave the same", |seen| {
            let spread = seen.report.spread.get("score").context("no spread")?;
            let ones = spread
                .values
                .iter()
                .filter(|value| value.as_str() == "1")
                .count();
            ensure!(spread.relative == 0.0 && ones == 3, "{spread:?}");
            Ok(())
        })
    };
    vec![
        row("D01", "a random metric")
            .of(thrice(Task::python()))
            .miner("import random\nopen('result.json', 'w').write('{\"score\": %r}' % random.random())")
            .rejects(Code::ResultNotReproducible)
            .and("the spread is shown", |seen| {
                let spread = seen.report.spread.get("score").context("no spread")?;
                ensure!(spread.values.len() == 3 && spread.relative > 0.0, "{spread:?}");
                ensure!(seen.report.message.contains("0."), "{:?}", seen.report.message);
                Ok(())
            }),
        row("D01", "a random metric that was not asked for twice is what it is")
            .of(Task::python())
            .miner("import random\nopen('result.json', 'w').write('{\"score\": %r}' % random.random())"),
        row("D01", "noise within the tolerance that the task declares")
            .of(thrice(Task::python().set("metric_tolerance", "0.5")))
            .miner("import random\nopen('result.json', 'w').write('{\"score\": %r}' % (1 + random.random() / 10))"),
        row("D01", "a random metric of a task whose baseline is random, too, is the task's fault")
            .of(thrice(Task::python().file("main.py", "import random\nopen('result.json', 'w').write('{\"score\": %r}' % random.random())\n")))
            .errs(Code::ResultNotReproducible, Fault::Task),
        same(row("D04", "a count kept in the work tree starts afresh each time").of(thrice(Task::sh())).miner(&counts("count"))),
        same(row("D04", "a count kept in /tmp starts afresh each time").of(thrice(Task::sh())).miner(&counts("/tmp/count"))),
        same(row("D04", "a count kept in shared memory starts afresh each time").of(thrice(Task::sh())).miner(&counts("/dev/shm/count"))),
        same(row("D04", "a count kept among what setup left starts afresh each time")
            .of(thrice(Task::sh().set("setup_command", "\"sh src/setup.sh\"").file("src/setup.sh", "true\n")))
            .writes("src/setup.sh", "mkdir cache; : > cache/count")
            .writes("run.sh", &counts("cache/count"))),
        row("D04", "the one in the middle counts where they differ within the tolerance")
            .of(Task::sh().set("repeats", "3").set("metric_tolerance", "0.5"))
            .miner("echo \"{\\\"score\\\": 10.$(date +%N | cut -c1-3)}\" > result.json")
            .and("it is one of the three", |seen| {
                let spread = seen.report.spread.get("score").context("no spread")?;
                let mut values: Vec<f64> = spread.values.iter().map(protocol::Decimal::value).collect();
                values.sort_by(f64::total_cmp);
                let told: f64 = seen.metric("score")?.parse()?;
                ensure!((told - values[1]).abs() < 1e-9, "{told} of {values:?}");
                Ok(())
            }),
    ]
}

fn elsewhere() -> Vec<Row> {
    let owner = || {
        Task::python()
            .environment("PYTHONSTARTUP", "/workspace/start.py")
            .environment("PATH", "/workspace/bin:/usr/bin:/bin")
    };
    vec![
        row("A22", "modules planted beside the program do not reach the scorer")
            .of(Task::scored()
                .set("image", "\"replay-sandbox/python:1\"")
                .set("score_command", "\"python3 -I score.py\"")
                .set("outputs", "[\"answer\", \"src/\"]")
                .file("src/keep", "kept\n")
                .file("score.py", "import json, sys\njson.dump({'score': int(open('answer').read())}, open('result.json', 'w'))\n"))
            .writes("run.sh", "echo 3 > answer; for name in json sitecustomize usercustomize conftest; do echo 'import os; os._exit(0)' > $name.py; cp $name.py src/; done; echo 'import os; os._exit(0)' > src/x.pth")
            .scores("3"),
        row("W07", "no login shell and no interpreter of the work tree is used")
            .of(Task::sh().set("allowed_patch_paths", "[\"**\"]"))
            .writes(".profile", "echo '{\"score\": 99}' > /workspace/result.json; exit 0")
            .writes(".bashrc", "echo '{\"score\": 99}' > /workspace/result.json; exit 0")
            .writes("sh", "echo '{\"score\": 99}' > result.json")
            .writes("run.sh", "echo '{\"score\": 4}' > result.json")
            .scores("4"),
        row("W13", "there is no token to be found and printed backwards")
            .of(Task::scored().private("heldout.txt", "sesame-4711\n"))
            .miner("(env; cat /proc/*/environ; find / -xdev -name '*heldout*' -exec cat {} +) 2>/dev/null | rev | base64; echo 3 > answer")
            .scores("3")
            .and("it is nowhere", |seen| {
                ensure!(!seen.stdout.contains("sesame") && !seen.stdout.contains("1174-emases"), "{}", seen.stdout);
                Ok(())
            }),
        row("W23", "variables that load code are the task owner's to set")
            .of(owner())
            .miner("import os\nopen('result.json', 'w').write('{\"score\": %d}' % (os.environ['PATH'].startswith('/workspace/bin') + ('PYTHONSTARTUP' in os.environ)))")
            .scores("2"),
        row("W23", "variables that load code do not come from the runner's own environment")
            .runner_env("LD_PRELOAD_OF_MINE", "x")
            .runner_env("BASH_ENV", "/tmp/x")
            .runner_env("PYTHONSTARTUP", "/tmp/x")
            .runner_env("AUTORESEARCH_TOKEN", "x")
            .miner("env | grep -E 'LD_PRELOAD|BASH_ENV|PYTHONSTARTUP|AUTORESEARCH|HOTKEY|CANARY|DOCKER' && exit 9; echo '{\"score\": 4}' > result.json")
            .scores("4"),
        row("W14", "a process that setup leaves behind is dead before the benchmark begins")
            .of(Task::sh().set("setup_command", "\"sh src/setup.sh\"").file("src/setup.sh", "true\n"))
            .writes("src/setup.sh", "(setsid sh -c 'while :; do echo 99 > /workspace/src/mark; done' &) >/dev/null 2>&1; sleep 0.2")
            .writes("run.sh", "echo 4 > src/mark; sleep 0.5; echo \"{\\\"score\\\": $(cat src/mark)}\" > result.json")
            .scores("4"),
        row("W16", "a memory bomb beside a good result is told as what it is")
            .of(Task::sh().limit("memory", "\"48m\""))
            .miner("echo '{\"score\": 9}' > result.json; tail /dev/zero; exit 0")
            .rejects(Code::BenchmarkOutOfMemory),
    ]
}
