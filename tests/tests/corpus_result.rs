//! Section 6 of the corpus: the one file that decides, and every way to make it
//! something else.

use anyhow::ensure;
use protocol::Code;
use system_tests::corpus::{Row, Table, Task, row};

#[test]
fn a_result_that_nobody_wrote_in_the_deciding_stage_is_missing() {
    Table::new(missing()).holds();
}

#[test]
fn a_result_that_is_no_regular_file_is_refused_and_never_followed() {
    Table::new(not_a_file()).holds();
}

#[test]
fn a_result_is_judged_by_its_bytes_and_by_nothing_else() {
    let mut rows = invalid_json();
    rows.extend(metrics());
    rows.extend(judged());
    Table::new(rows).holds();
}

fn missing() -> Vec<Row> {
    let committed = || Task::sh().file("result.json", "{\"score\": 99}\n");
    let with_setup = Task::sh()
        .set("setup_command", "\"sh src/setup.sh\"")
        .file("src/setup.sh", "true\n");
    let patchable = Task::sh().set("allowed_patch_paths", "[\"run.sh\", \"result.json\"]");
    vec![
        row("F01", "nobody writes it").miner("true"),
        row("F02", "it was committed in the repository").of(committed()).miner("true"),
        row("W10", "it was committed, and the benchmark deletes it at its exit")
            .of(committed())
            .miner("rm -f result.json"),
        row("F02", "the patch added it").of(patchable).miner("true").writes("result.json", "{\"score\": 99}"),
        row("F02", "setup wrote it")
            .of(with_setup)
            .writes("src/setup.sh", "echo '{\"score\": 99}' > result.json")
            .writes("run.sh", "true"),
        row("F01", "it is written beside its place").miner("mkdir -p /tmp/x; echo '{\"score\": 9}' > /tmp/result.json"),
        row("W14", "setup leaves a process that keeps writing it")
            .of(Task::sh().set("setup_command", "\"sh src/setup.sh\"").file("src/setup.sh", "true\n"))
            .writes("src/setup.sh", "(while :; do echo '{\"score\": 9}' > /workspace/result.json; done) >/dev/null 2>&1 &")
            .writes("run.sh", "rm -f result.json; sleep 0.3"),
    ]
    .into_iter()
    .map(|row| row.rejects(Code::ResultMissing))
    .collect()
}

fn not_a_file() -> Vec<Row> {
    let link = |target: &str| format!("rm -f result.json; ln -s {target} result.json");
    let socket = "import socket\nsocket.socket(socket.AF_UNIX).bind('result.json')";
    let nested = Task::sh().set("result_path", "\"out/result.json\"").file(
        "run.sh",
        "mkdir -p out; echo '{\"score\": 1}' > out/result.json\n",
    );
    let mut rows = vec![
        row("F03", "a link to a protected file with a score in it").miner(&link("eval/expected.json")),
        row("F03", "a link to the environment of whoever reads it").miner(&link("/proc/self/environ")),
        row("F03", "a link to a file of every host").miner(&link("/etc/hostname")),
        row("F03", "a link to nothing").miner(&link("nowhere")),
        row("F03", "a link to itself").miner(&link("result.json")),
        row("W09", "a link to a directory of the host").miner(&link("/etc")),
        row("F03", "a link to the open files of whoever reads it").miner(&link("/proc/self/fd/0")),
        row("F05", "a FIFO that nobody writes to").miner("mkfifo result.json"),
        row("F05", "an output is a FIFO").of(Task::scored()).miner("mkfifo answer"),
        row("F05", "a directory").miner("mkdir result.json"),
        row("F05", "a directory with the result in it").miner("mkdir result.json; echo '{\"score\": 9}' > result.json/result.json"),
        row("F05", "a socket").of(Task::python()).miner(socket),
        row("F03", "its directory is a link to another one").of(nested.clone()).miner("mkdir real; echo '{\"score\": 9}' > real/result.json; ln -s real out"),
        row("F03", "its directory is a link out of the work tree").of(nested).miner("mkdir -p /tmp/out; echo '{\"score\": 9}' > /tmp/out/result.json; ln -s /tmp/out out"),
    ];
    // The task's own scorer is the one who is fooled here: what it writes through
    // is what the miner left at the place of an output.
    rows.extend([
        row("F03", "an output is a link to the scorer's own answer")
            .of(Task::scored())
            .miner("ln -s eval/expected.json answer"),
        row("F05", "an output is a directory full of links")
            .of(Task::scored())
            .miner("mkdir answer; ln -s / answer/root"),
        row("F05", "an output holds a link")
            .of(Task::scored()
                .set("outputs", "[\"answer\", \"more/\"]")
                .file("run.sh", "mkdir more; echo 1 > answer\n"))
            .miner("echo 1 > answer; mkdir more; ln -s /etc more/etc"),
    ]);
    rows.into_iter()
        .map(|row| row.rejects(Code::ResultNotAFile))
        .collect()
}

fn invalid_json() -> Vec<Row> {
    let text = |says, printf: &str| {
        row("F09", says)
            .miner(&format!("printf '{printf}' > result.json"))
            .rejects(Code::ResultInvalidJson)
    };
    vec![
        text("no JSON", "score 1"),
        text("cut off", "{\"score\": 1"),
        text("empty", ""),
        text("with a byte order mark", "\\357\\273\\277{\"score\": 1}"),
        text("in UTF-16", "{\\000\"\\000s\\000\"\\000:\\0001\\000}\\000"),
        text("with something after it", "{\"score\": 1} x"),
        text("two documents", "{\"score\": 1}\\n{\"score\": 2}"),
        text("with a comment", "{\"score\": 1 // really\\n}"),
        text("a list", "[1]"),
        text("not a number, unquoted", "{\"score\": NaN}").filed_under("F13"),
        text("infinite, unquoted", "{\"score\": Infinity}").filed_under("F13"),
        text("negatively infinite, unquoted", "{\"score\": -Infinity}").filed_under("F13"),
        text("the metric twice", "{\"score\": 1, \"score\": 9}"),
        text(
            "with bytes that are no text",
            "{\"score\": 1, \"x\": \"\\377\"}",
        ),
    ]
}

fn metrics() -> Vec<Row> {
    let json = |id, says, value: &str, code| {
        row(id, says)
            .miner(&format!("echo '{value}' > result.json"))
            .rejects(code)
    };
    let ranged = |value: &str, min: &str, max: &str| {
        row("F15", "outside the range that the task declares")
            .of(Task::sh().set("metric_range", &format!("{{ min = {min}, max = {max} }}")))
            .miner(&format!("echo '{{\"score\": {value}}}' > result.json"))
            .rejects(Code::ResultMetricOutOfRange)
    };
    vec![
        json(
            "F11",
            "the metric is absent",
            "{\"other\": 1}",
            Code::ResultMetricMissing,
        ),
        json(
            "F11",
            "the metric is null",
            "{\"score\": null}",
            Code::ResultMetricMissing,
        ),
        json(
            "F11",
            "the metric is in other letters",
            "{\"Score\": 1}",
            Code::ResultMetricMissing,
        ),
        json(
            "F12",
            "the metric is a text",
            "{\"score\": \"0.9\"}",
            Code::ResultMetricNotANumber,
        ),
        json(
            "F12",
            "the metric is true",
            "{\"score\": true}",
            Code::ResultMetricNotANumber,
        ),
        json(
            "F12",
            "the metric is a list",
            "{\"score\": [0.9]}",
            Code::ResultMetricNotANumber,
        ),
        json(
            "F12",
            "the metric is an object",
            "{\"score\": {\"score\": 0.9}}",
            Code::ResultMetricNotANumber,
        ),
        json(
            "F13",
            "the metric is larger than a double",
            "{\"score\": 1e400}",
            Code::ResultMetricNotFinite,
        ),
        json(
            "F13",
            "the metric is more negative than a double",
            "{\"score\": -1e400}",
            Code::ResultMetricNotFinite,
        ),
        ranged("1.7", "0", "1"),
        ranged("-1", "0", "1000"),
        ranged("0", "0.001", "50"),
    ]
}

fn judged() -> Vec<Row> {
    let capped = || Task::sh().limit("result", "64");
    // 13 bytes of JSON and as many blanks as make 64 or 65 of it.
    let padded = |blanks: usize| format!("printf '{{\"score\": 42}}%{blanks}s' '' > result.json");
    vec![
        row("F08", "exactly as large as the cap").of(capped()).miner(&padded(64 - 13)).scores("42"),
        row("F08", "one byte over the cap").of(capped()).miner(&padded(65 - 13)).rejects(Code::ResultTooLarge),
        row("F08", "a sparse file of 12 GB")
            .of(Task::sh().limit("file_size", "\"16g\""))
            .miner("echo '{\"score\": 1}' > result.json; truncate -s 12G result.json")
            .rejects(Code::ResultTooLarge),
        row("F06", "a second name for a protected file is judged as what it says")
            .miner("rm -f result.json; ln eval/expected.json result.json")
            .scores("5"),
        row("F06", "its mode and owner are nobody's business")
            .miner("echo '{\"score\": 4}' > result.json; chmod 000 result.json")
            .scores("4"),
        row("F18", "written by a temporary file and a rename")
            .miner("echo '{\"score\": 8}' > result.tmp; mv result.tmp result.json")
            .scores("8"),
        row("F18", "rewritten by a loop that does not end is read after the loop is dead, and whole")
            .miner(REWRITTEN)
            .and("it is one of the two", |seen| {
                let score = seen.metric("score")?;
                ensure!(["3", "4"].contains(&score), "{score}");
                Ok(())
            }),
        row("F19", "keys that look like a verdict are ignored")
            .miner("echo '{\"status\": \"ERROR\", \"code\": \"internal\", \"reject_code\": null, \"fault\": \"validator\", \"observed_metrics\": {\"score\": 31415926535}, \"score\": 2}' > result.json")
            .scores("2")
            .and("nothing of them is in the report", |seen| {
                ensure!(!seen.stdout.contains("reject_code") && !seen.stdout.contains("31415926535"), "{}", seen.stdout);
                Ok(())
            }),
        row("F18", "the digits are kept as they were written")
            .miner("echo '{\"score\": 0.10000000000000000000000001}' > result.json")
            .scores("0.10000000000000000000000001"),
        row("S11", "a process that is left behind and rewrites it comes too late")
            .miner("echo '{\"score\": 6}' > result.json\n(setsid sh -c 'sleep 1; echo \"{\\\"score\\\": 99}\" > result.json' &) >/dev/null 2>&1\nexit 0")
            .scores("6"),
        row("W11", "a one-process task cannot tell a forged result from an honest one: it is accepted as it says")
            .of(Task::python().file("train.py", "SCORE = 1\n"))
            .miner("import os\nopen('result.json', 'w').write('{\"score\": 99}')\nos._exit(0)")
            .scores("99"),
        row("W11", "a task with a score stage is immune to the same program")
            .of(Task::scored())
            .miner("echo '{\"score\": 99}' > result.json; echo 3 > answer; printf '#!/bin/sh\\necho 99' > score.sh")
            .scores("3"),
    ]
}

const REWRITTEN: &str = r#"
writer() { while :; do echo '{"score": 3}' > a.$1; mv a.$1 result.json; echo '{"score": 4}' > b.$1; mv b.$1 result.json; done; }
writer 1 >/dev/null 2>&1 &
writer 2 >/dev/null 2>&1 &
sleep 0.5
"#;
