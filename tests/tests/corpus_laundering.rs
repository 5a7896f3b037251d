//! The first global rule: nothing that a miner controls turns a rejection into
//! an error, which would be a free retry and an alarm about a sound validator.

use anyhow::ensure;
use protocol::{Code, Fault, Status};
use system_tests::corpus::{Row, Table, Task, row};

#[test]
fn no_exit_status_and_no_signal_makes_a_failure_the_validators() {
    Table::new(exits()).holds();
}

#[test]
fn no_damage_inside_makes_a_failure_the_validators() {
    Table::new(damage()).holds();
}

#[test]
fn nothing_left_for_the_scorer_makes_a_failure_the_validators() {
    Table::new(outputs()).holds();
}

#[test]
fn no_submission_brings_a_file_that_the_author_keeps_where_stages_write() {
    Table::new(taken_for_written()).holds();
}

#[test]
fn an_address_of_the_tasks_own_that_is_none_is_the_tasks_fault() {
    let rows = ["ftp://example.org/x", "http://example.org/x", "https://["].map(|uri| {
        let zeros = "0".repeat(64);
        let file =
            format!("{{name = \"x\", uri = \"{uri}\", sha256 = \"{zeros}\", size_bytes = 1}}");
        row("launder", "a private input at no address")
            .of(Task::scored().set("private_inputs", &format!("[{file}]")))
            .miner("echo 2 > answer")
            .errs(Code::SpecInvalid, Fault::Task)
    });
    Table::new(rows.into()).holds();
}

#[test]
fn what_the_baseline_cannot_do_either_is_the_tasks_fault() {
    Table::new(tasks_fault()).holds();
}

fn exits() -> Vec<Row> {
    let failed = |says, program: &str| {
        row("launder", says)
            .miner(program)
            .rejects(Code::BenchmarkFailed)
    };
    let mut rows: Vec<Row> = [
        "1", "2", "125", "126", "127", "128", "130", "134", "137", "139", "143", "255",
    ]
    .into_iter()
    .map(|status| {
        failed(
            "an exit status that others give a meaning",
            &format!("echo 'oom-kill: Killed process'; exit {status}"),
        )
        .and("the status is told as it was", move |seen| {
            let told = seen.stage("benchmark")?.exit_code;
            ensure!(told == status.parse().ok(), "{told:?}");
            Ok(())
        })
    })
    .collect();
    let python = |says, program: &str| {
        row("launder", says)
            .of(Task::python().set("benchmark_command", "\"exec python3 main.py\""))
            .miner(program)
    };
    rows.extend([
        failed("a command that does not exist", "no-such-command"),
        failed("a file that is no program", "exec ./eval/expected.json"),
        python("the first process aborts", "import os\nos.abort()").rejects(Code::BenchmarkFailed),
        python("the first process reads where nothing is", "import ctypes\nctypes.string_at(0)").rejects(Code::BenchmarkFailed),
        python("the first process kills itself", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nos._exit(3)").rejects(Code::BenchmarkFailed),
        failed("everything is killed that can be", "kill -9 -1; exit 1"),
        failed("the program's own parents are killed", "sh -c 'kill -9 $PPID'; kill -9 1; exit 1"),
        row("launder", "the engine's words on standard error, a full disk, and no result")
            .miner("head -c 90000000 /dev/zero > x 2>/dev/null; echo 'docker: Error response from daemon: OCI runtime create failed: no space left on device: unknown.' >&2; rm x")
            .rejects(Code::ResultMissing),
    ]);
    rows
}

fn damage() -> Vec<Row> {
    let small = || Task::sh().limit("workspace_files", "200");
    let many_files = (0..300).fold(
        Task::sh()
            .set("setup_command", "\"sh src/setup.sh\"")
            .file("src/setup.sh", "true\n")
            .limit("workspace_files", "100"),
        |task, number| task.file(&format!("data/{}/{number}.txt", number % 10), "x\n"),
    );
    let missing = |row: Row| row.rejects(Code::ResultMissing);
    vec![
        missing(row("launder", "everything is deleted").miner("rm -rf --no-preserve-root / 2>/dev/null; true")),
        missing(row("launder", "nobody may enter the work tree any more").miner("chmod 000 /workspace")),
        missing(row("launder", "names with line feeds, escapes and bytes that are no text")
            .miner(r#"touch "$(printf 'a\nb\033[2J\377\376')" "$(printf '\r')" "$(printf '%255s' x)"; mkdir -p "$(printf '\200')""#)),
        missing(row("launder", "directories deeper than any path is long")
            .of(Task::python())
            .miner("import os\nfor _ in range(500):\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)")),
        missing(row("launder", "every process slot is taken")
            .of(Task::sh().limit("pids", "32"))
            .miner("for i in $(seq 200); do sleep 9 & done 2>/dev/null; exit 0"))
            .rejects_any(&[Code::ResultMissing, Code::BenchmarkFailed]),
        row("launder", "every file that may be is made").of(small()).miner("i=0; while : > f$i; do i=$((i + 1)); done").rejects(Code::BenchmarkFailed),
        row("launder", "setup makes every file that may be")
            .of(small().set("setup_command", "\"sh src/setup.sh\"").file("src/setup.sh", "true\n"))
            .writes("src/setup.sh", "mkdir -p a/b/c; (i=0; while : > a/f$i; do i=$((i + 1)); done) 2>/dev/null; exit 0")
            .writes("run.sh", "true")
            .rejects(Code::ResultMissing),
        row("launder", "setup removes more protected files than a work tree may hold")
            .of(many_files.clone())
            .writes("src/setup.sh", "rm -rf data")
            .rejects(Code::IntegrityProtectedPathModified),
        row("launder", "setup puts one file in place of many")
            .of(many_files)
            .writes("src/setup.sh", "mv data /tmp/data; echo x > data")
            .rejects(Code::IntegrityProtectedPathModified),
        row("launder", "setup marks a directory as one that hides what is below it")
            .of(Task::python().set("setup_command", "\"python3 src/setup.py\"").file("src/setup.py", "\n"))
            .writes("src/setup.py", "import os\nfor name in ('user.overlay.opaque', 'trusted.overlay.opaque', 'user.overlay.whiteout', 'user.overlay.redirect'):\n    for place in ('eval', '.', 'eval/expected.json'):\n        try:\n            os.setxattr(place, name, b'y')\n            print(name, 'set')\n        except OSError as error:\n            print(name, error)")
            .writes("main.py", "pass")
            .rejects_any(&[Code::ResultMissing, Code::IntegrityProtectedPathModified]),
        row("launder", "the place of the result is a directory that is full of links")
            .miner("mkdir result.json; i=0; while [ $i -lt 100 ]; do ln -s / result.json/$i; i=$((i + 1)); done")
            .rejects(Code::ResultNotAFile),
        row("launder", "two hundred megabytes are printed before the failure")
            .of(Task::sh().budget(60))
            .miner("head -c 200000000 /dev/zero; exit 1")
            .rejects(Code::BenchmarkFailed)
            .and("every byte is counted", |seen| {
                ensure!(seen.stage("benchmark")?.output_bytes == 200_000_000, "{}", seen.stage("benchmark")?.output_bytes);
                Ok(())
            }),
    ]
}

/// Files of the author's at places where the task says that stages write.
fn taken_for_written() -> Vec<Row> {
    let forged = "echo 'echo \"{\\\"score\\\": 9}\" > result.json' > eval/score.sh";
    let scorer_among_outputs = || {
        Task::scored()
            .set("outputs", "[\"answer\", \"eval/\"]")
            .set("score_command", "\"sh eval/score.sh\"")
            .file("eval/score.sh", "echo '{\"score\": 1}' > result.json\n")
    };
    let set_up = || {
        Task::scored()
            .set("setup_command", "\"sh src/setup.sh\"")
            .file("src/setup.sh", "true\n")
    };
    vec![
        row("launder", "a scorer among the outputs is nobody's to bring")
            .of(scorer_among_outputs())
            .miner(&format!("echo 1 > answer; mkdir -p eval; {forged}"))
            .errs(Code::SpecInvalid, Fault::Task),
        row(
            "launder",
            "a scorer that is itself an output is nobody's to bring",
        )
        .of(scorer_among_outputs().set("outputs", "[\"answer\", \"eval/score.sh\"]"))
        .miner(&format!("echo 1 > answer; mkdir -p eval; {forged}"))
        .errs(Code::SpecInvalid, Fault::Task),
        row(
            "launder",
            "a scorer beside protected files is protected by name or refused",
        )
        .of(scorer_among_outputs().set("protected_paths", "[\"eval/expected.json\"]"))
        .miner(&format!("echo 1 > answer; {forged}"))
        .errs(Code::SpecInvalid, Fault::Task),
        row(
            "launder",
            "an output with a star in its name opens no other file to setup",
        )
        .of(set_up()
            .set("outputs", "[\"*\"]")
            .file("run.sh", "echo 1 > '*'\n")
            .file("score.sh", "echo '{\"score\": 1}' > result.json\n"))
        .writes("src/setup.sh", "echo true > score.sh")
        .rejects(Code::IntegrityProtectedPathModified),
        row(
            "launder",
            "a result with a star in its name opens no other file to setup",
        )
        .of(Task::sh()
            .set("setup_command", "\"sh src/setup.sh\"")
            .set("result_path", "\"*.*\"")
            .set("benchmark_command", "\"sh bench.sh\"")
            .file("src/setup.sh", "true\n")
            .file("bench.sh", "echo '{\"score\": 1}' > '*.*'\n"))
        .writes(
            "src/setup.sh",
            "echo \"echo '{\\\"score\\\": 9}' > '*.*'\" > bench.sh",
        )
        .rejects(Code::IntegrityProtectedPathModified),
    ]
}

fn outputs() -> Vec<Row> {
    let open = || {
        Task::scored()
            .set("outputs", "[\"answer\", \"out/\"]")
            .set("protected_paths", "[\"out/cases\", \"out/key\"]")
            .file("run.sh", "mkdir -p out; echo 1 > answer\n")
            .file("out/cases/1", "one\n")
            .file("out/cases/2", "two\n")
            .file("out/key", "key\n")
            // As many as there are cases, if the key is there.
            .file("score.sh", "[ \"$(cat out/key)\" = key ] || exit 1\necho \"{\\\"score\\\": $(cat out/cases/* | wc -l)}\" > result.json\n")
    };
    let python = || {
        open()
            .set("image", "\"replay-sandbox/python:1\"")
            .set("benchmark_command", "\"python3 run.py\"")
            .set("allowed_patch_paths", "[\"run.py\"]")
            .file("run.py", "open('answer', 'w').write('1')\n")
    };
    vec![
        row("launder", "what is protected among the outputs is seen as it was").of(open()).miner("echo 1 > answer; rm -rf out/cases out/key; mkdir -p out/cases; echo forged > out/cases/1; echo x > out/key").scores("2"),
        row("launder", "a file in place of a protected directory does not hide it").of(open()).miner("echo 1 > answer; rm -rf out/cases; echo x > out/cases").scores("2"),
        row("launder", "a directory in place of a protected file does not hide it").of(open()).miner("echo 1 > answer; rm -rf out/key; mkdir out/key").scores("2"),
        row("launder", "an output whose path is longer than a path can be")
            .of(python())
            .writes("run.py", "import os\nopen('answer', 'w').write('1')\nos.makedirs('out', exist_ok=True)\nos.chdir('out')\nfor _ in range(25):\n    os.mkdir('d' * 250)\n    os.chdir('d' * 250)\nopen('x', 'w').write('x')")
            .rejects_any(&[Code::ResultNotAFile, Code::ResultTooLarge]),
        row("launder", "an output that is deeper than any honest one")
            .of(python())
            .writes("run.py", "import os\nopen('answer', 'w').write('1')\nos.makedirs('out/' + 'd/' * 100)")
            .rejects(Code::ResultNotAFile),
        row("launder", "outputs with names that are no text").of(open()).miner(r#"echo 1 > answer; mkdir -p out; touch "out/$(printf 'a\377\nb')""#).scores("2"),
        row("launder", "more outputs than a work tree may hold").of(open().limit("workspace_files", "150")).miner("echo 1 > answer; mkdir -p out; (i=0; while : > out/f$i; do i=$((i + 1)); done) 2>/dev/null; exit 0").scores("2"),
        row("launder", "a link to a device among the outputs").of(open()).miner("echo 1 > answer; mkdir -p out; ln -s /dev/zero out/zero").rejects(Code::ResultNotAFile),
        row("launder", "a file where a directory of outputs should be").of(open()).miner("echo 1 > answer; rm -rf out; echo x > out").scores("2"),
        row("launder", "no outputs at all").of(open()).miner("rm -rf out answer").rejects(Code::ResultMissing),
        row("launder", "an output that the scorer chokes on").of(Task::scored()).miner("head -c 5000000 /dev/zero > answer").rejects(Code::ScoreFailed),
        row("launder", "an output that the scorer needs for ever")
            .of(Task::scored().budget(2).file("score.sh", "[ \"$(cat answer)\" = 1 ] || sleep 60\necho '{\"score\": 1}' > result.json\n"))
            .miner("echo 2 > answer")
            .rejects(Code::ScoreTimeout),
        row("launder", "an output that the scorer cannot hold in memory")
            .of(Task::scored().limit("memory", "\"48m\"").file("score.sh", "[ \"$(cat answer)\" = 1 ] || exec tail /dev/zero\necho '{\"score\": 1}' > result.json\n"))
            .miner("echo 2 > answer")
            .rejects(Code::ScoreOutOfMemory),
    ]
}

fn tasks_fault() -> Vec<Row> {
    let fails = |says, baseline: &str, code| {
        row("attribute", says)
            .of(Task::sh().file("run.sh", baseline))
            .miner("exit 1")
            .errs(code, Fault::Task)
    };
    vec![
        fails(
            "the baseline fails as well",
            "exit 4\n",
            Code::BenchmarkFailed,
        ),
        fails(
            "the baseline leaves no result",
            "true\n",
            Code::BenchmarkFailed,
        ),
        row("attribute", "the baseline itself has no result")
            .of(Task::sh().file("run.sh", "true\n"))
            .errs(Code::ResultMissing, Fault::Task),
        row("C08", "the baseline's command does not exist")
            .of(Task::sh().set("benchmark_command", "\"no-such-command\""))
            .errs(Code::SpecInvalid, Fault::Task),
        row(
            "C08",
            "the command exists neither with the patch nor without",
        )
        .of(Task::sh().set("benchmark_command", "\"no-such-command\""))
        .miner("true")
        .errs(Code::SpecInvalid, Fault::Task),
        row("C08", "the command is a file that nobody may execute")
            .of(Task::sh().set("benchmark_command", "\"./run.sh\""))
            .miner("true")
            .errs(Code::SpecInvalid, Fault::Task),
        row("C08", "the miner deletes the program")
            .deletes("run.sh")
            .rejects(Code::BenchmarkFailed),
        row("C08", "the miner deletes what the command names itself")
            .of(Task::sh().set("benchmark_command", "\". ./run.sh\""))
            .deletes("run.sh")
            .rejects(Code::BenchmarkFailed),
        row("attribute", "an accepted replay needs no baseline")
            .of(Task::sh().file("run.sh", "exit 1\n"))
            .miner("echo '{\"score\": 3}' > result.json")
            .scores("3")
            .and("none was run", |seen| {
                ensure!(
                    seen.report.status == Status::Accepted && seen.report.stages.len() == 1,
                    "{:?}",
                    seen.report.stages
                );
                Ok(())
            }),
    ]
}
