//! Attacks that a hostile review of the engine proved against an earlier state of
//! it, and honest submissions that it found refused.

use anyhow::ensure;
use protocol::{Code, Fault};
use system_tests::corpus::{Row, Table, Task, row};

#[test]
fn what_a_hostile_review_got_through_gets_through_no_more() {
    let mut rows = stale_outputs();
    rows.extend(hidden_in_results());
    rows.push(xattrs());
    Table::new(rows).holds();
}

#[test]
fn what_a_second_review_got_through_gets_through_no_more() {
    let timed = || {
        Task::sh()
            .set("metric_name", "\"supervisor.benchmark_seconds\"")
            .set("metric_range", "{ min = 1 }")
    };
    let nowhere = [
        "--artifact",
        "https://nowhere.invalid/x",
        "--artifact-size",
        "5",
        "--artifact-sha256",
    ];
    let digest = "a".repeat(64);
    let from_nowhere: Vec<&str> = nowhere.into_iter().chain([digest.as_str()]).collect();
    Table::new(vec![
        row("O04", "a flood of empty lines stops no clock")
            .of(timed())
            .miner("yes '' & sleep 1")
            .and("it was timed", |seen| {
                ensure!(seen.report.code == Code::Ok, "{:?}", seen.report);
                Ok(())
            }),
        row("T01", "a flood of empty lines outlives no budget")
            .of(Task::sh().budget(2))
            .miner("yes '' & sleep 60")
            .rejects(Code::BenchmarkTimeout),
        row("P01", "an artifact that cannot be had excuses no patch")
            .writes("outside", "1\n")
            .arguments(&from_nowhere)
            .rejects(Code::PatchPathNotAllowed),
        row("F09", "a metric twice in the list of metrics")
            .miner("echo '{\"metrics\": {\"score\": 0.1, \"score\": 0.9}, \"score\": 2}' > result.json")
            .rejects(Code::ResultInvalidJson),
        row("M13", "an output full of holes is as large as it says")
            .of(sparse_outputs())
            .miner("mkdir -p out; for i in 1 2 3 4 5 6 7 8; do truncate -s 30M out/$i; done")
            .rejects(Code::ResultTooLarge),
    ])
    .holds();
}

/// More room for outputs than memory.
fn sparse_outputs() -> Task {
    Task::scored()
        .set("outputs", "[\"out\"]")
        .file("run.sh", "mkdir -p out; echo 1 > out/answer\n")
        .file("score.sh", "echo '{\"score\": 1}' > result.json\n")
        .limit("memory", "\"64m\"")
        .limit("workspace", "\"1g\"")
}

#[test]
fn whom_a_review_found_refused_without_fault_is_refused_no_more() {
    let noise =
        "import random\nopen('result.json', 'w').write('{\"score\": %r}' % random.random())";
    let noisy = Task::python()
        .file("main.py", &format!("{noise}\n"))
        .set("repeats", "3");
    let at_least_zero = Task::sh().set("metric_range", "{ min = 0 }");
    Table::new(vec![
        row("D01", "the task itself wobbles")
            .of(noisy)
            .miner(&format!("{noise}\n# an honest change"))
            .errs(Code::ResultNotReproducible, Fault::Task),
        row("F15", "a loss of minus zero where zero is allowed")
            .of(at_least_zero)
            .miner("echo '{\"score\": -0.0}' > result.json")
            .scores("-0.0"),
        row(
            "F02",
            "an output into a directory that the author committed",
        )
        .of(directory_of_outputs())
        .miner("echo 2 > out/answer")
        .scores("2"),
    ])
    .holds();
}

/// The benchmark hands over a directory, in which the author committed an answer.
fn directory_of_outputs() -> Task {
    let score = "grep -qx '[0-9]' out/answer || exit 1\necho \"{\\\"score\\\": $(cat out/answer)}\" > result.json\n";
    Task::scored()
        .file("run.sh", "echo 1 > out/answer\n")
        .file("out/answer", "9\n")
        .file("score.sh", score)
        .set("outputs", "[\"out\"]")
}

fn stale_outputs() -> Vec<Row> {
    let with_setup = directory_of_outputs()
        .set("setup_command", "\"sh src/setup.sh\"")
        .file("src/setup.sh", "true\n");
    vec![
        row("F02", "a committed answer in a directory of outputs")
            .of(directory_of_outputs())
            .miner("true")
            .rejects(Code::ScoreFailed),
        row("F02", "an answer that setup left in a directory of outputs")
            .of(with_setup)
            .writes("src/setup.sh", "echo 8 > out/answer")
            .writes("run.sh", "true")
            .rejects(Code::ScoreFailed),
    ]
}

fn hidden_in_results() -> Vec<Row> {
    let long = |seen: &system_tests::corpus::Seen| {
        ensure!(
            seen.report.message.len() < 2048,
            "the message is {} bytes long",
            seen.report.message.len()
        );
        ensure!(
            !seen.report.message.contains("AAAA"),
            "the message quotes the result"
        );
        Ok(())
    };
    vec![
        row(
            "F09",
            "text in place of an object, to be quoted in the message",
        )
        .of(Task::python())
        .miner("import json\njson.dump('A' * 900000, open('result.json', 'w'))")
        .rejects(Code::ResultInvalidJson)
        .and("the message quotes nothing", long),
        row("F12", "a number with a hundred thousand digits")
            .of(Task::python())
            .miner("open('result.json', 'w').write('{\"score\": 0.' + '0' * 100000 + '1}')")
            .rejects(Code::ResultMetricNotANumber),
    ]
}

/// A work tree in which nothing can be copied up any more: what lies in the way
/// of the next stage is then not this host's fault.
fn xattrs() -> Row {
    let fill = "import os\nos.mkdir('out')\nopen('out/result.json', 'w').write('{}')\n\
        for n in range(100000):\n    try:\n        os.setxattr('out', f'user.{n}', b'x' * 60000)\n    except OSError:\n        break";
    let task = Task::python()
        .set("setup_command", "\"python3 src/setup.py\"")
        .set("result_path", "\"out/result.json\"")
        .file("src/setup.py", "pass\n")
        .file("main.py", "import os\nos.makedirs('out', exist_ok=True)\nopen('out/result.json', 'w').write('{\"score\": 1}')\n");
    row("M06", "setup fills a directory's attributes")
        .of(task)
        .writes("src/setup.py", fill)
        .writes("main.py", "raise SystemExit(1)")
        .rejects(Code::BenchmarkFailed)
}
