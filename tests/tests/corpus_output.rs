//! Section 7 of the corpus: what a program prints is kept, counted and shown,
//! and is never evidence of anything.

use anyhow::{Result, ensure};
use protocol::Code;
use system_tests::corpus::{Row, Seen, Table, Task, row};

/// What a runner may hold whatever a submission prints.
const RUNNER_MEMORY: u64 = 100 << 20;

#[test]
fn what_is_printed_decides_nothing_unless_the_task_says_so() {
    Table::new(no_evidence()).holds();
}

#[test]
fn a_flood_of_output_is_drained_and_counted_in_little_memory() {
    Table::new(floods()).holds();
}

#[test]
fn whatever_bytes_are_printed_the_report_is_inert_text() {
    Table::new(inert()).holds();
}

fn printed() -> Task {
    Task::sh()
        .without("result_path")
        .file("run.sh", "echo score: 1\n")
}

fn no_evidence() -> Vec<Row> {
    let complaint = |text: &str| {
        row(
            "O11",
            "a program that prints an engine's complaint and fails is the program's failure",
        )
        .miner(&format!("echo '{text}'; echo '{text}' >&2; exit 1"))
        .rejects(Code::BenchmarkFailed)
    };
    vec![
        row("O01", "a printed score is ignored where the task has a result file")
            .miner("echo '{\"score\": 0.99}'; echo 'score: 0.99'; echo 'METRIC: 0.99' >&2; echo '{\"score\": 2}' > result.json")
            .scores("2"),
        row("O01", "a printed score is no result where the task has a result file")
            .miner("echo '{\"score\": 0.99}'; echo 'score: 0.99'")
            .rejects(Code::ResultMissing),
        row("O02", "without a result file the last marker counts")
            .of(printed())
            .miner("echo score: 1; echo 'step 2 score = 0.50'; echo done")
            .scores("0.50"),
        row("O02", "a marker on standard error counts, too")
            .of(printed())
            .miner("echo score: 1; sleep 0.2; echo 'score: 3' >&2")
            .scores("3"),
        row("O02", "a marker at the end of a flood counts")
            .of(printed())
            .miner("head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; echo 'score: 4'; head -c 3000000 /dev/zero | tr '\\0' '\\n'")
            .scores("4"),
        row("O02", "no marker is no metric").of(printed()).miner("echo nothing").rejects(Code::ResultMetricMissing),
        row("O02", "a marker that is no number is none").of(printed()).miner("echo score: high").rejects(Code::ResultMetricNotANumber),
        row("O02", "a marker that is not finite is none").of(printed()).miner("echo score: 1e999").rejects(Code::ResultMetricNotFinite),
        row("O02", "a marker that is NaN is none").of(printed()).miner("echo score: NaN").rejects(Code::ResultMetricNotFinite),
        row("O02", "a benchmark that says that it refuses the submission, and fails, is believed")
            .miner("echo 'validator_rejection: bad shape' >&2; exit 1")
            .rejects(Code::BenchmarkRejected),
        row("O02", "a benchmark that says that it refuses the submission, and passes, passes")
            .miner("echo 'validator_rejection: bad shape'; echo '{\"score\": 2}' > result.json")
            .scores("2"),
        complaint("Killed"),
        complaint("No space left on device"),
        complaint("OutOfMemoryError"),
        complaint("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"),
        complaint("OCI runtime create failed: runc did not terminate successfully"),
        complaint("error: sandbox.engine_unavailable (fault: validator)"),
    ]
}

fn floods() -> Vec<Row> {
    let flood = |row: Row| {
        row.and("the runner held less than 100 MiB", |seen| {
            ensure!(
                seen.peak_memory < RUNNER_MEMORY,
                "{} MiB",
                seen.peak_memory >> 20
            );
            Ok(())
        })
        .and("the report is short", |seen| {
            ensure!(seen.stdout.len() < 400_000, "{} bytes", seen.stdout.len());
            Ok(())
        })
        .and("it is said that something was left out", |seen| {
            let stage = seen.stage("benchmark")?;
            ensure!(
                stage.output_truncated && stage.output.contains("bytes left out]"),
                "{stage:?}"
            );
            Ok(())
        })
    };
    let counted = |program: &str| {
        format!("{program}\nimport json; json.dump({{'score': count}}, open('result.json', 'w'))\n")
    };
    let rows = vec![
        row("O04", "yes for the whole budget")
            .of(Task::sh().budget(3))
            .miner("exec yes")
            .rejects(Code::BenchmarkTimeout)
            .and("it ended with its budget", |seen| {
                seen.every_container_was_gone_within(4.0)
            })
            .and("much of it was read", |seen| {
                ensure!(
                    seen.stage("benchmark")?.output_bytes > 1 << 20,
                    "{}",
                    seen.stage("benchmark")?.output_bytes
                );
                Ok(())
            }),
        row("W17", "yes on both streams at once")
            .of(Task::sh().budget(2))
            .miner("yes out & exec yes err >&2")
            .rejects(Code::BenchmarkTimeout)
            .and("it ended with its budget", |seen| {
                seen.every_container_was_gone_within(3.0)
            }),
        row("O05", "one line without an end, for two seconds")
            .of(Task::python())
            .miner(&counted(ONE_LINE))
            .and("every byte is counted", every_byte_is_counted),
        row(
            "O06",
            "the first and the last kilobyte of a long output are kept",
        )
        .of(Task::python())
        .miner(&counted(FIRST_AND_LAST))
        .and("every byte is counted", every_byte_is_counted)
        .and("the first kilobyte is kept", |seen| {
            ensure!(
                seen.stage("benchmark")?
                    .output
                    .starts_with(&"A".repeat(1024)),
                "{}",
                seen.output()
            );
            Ok(())
        })
        .and("the last kilobyte is kept", |seen| {
            ensure!(
                seen.stage("benchmark")?.output.ends_with(&"Z".repeat(1024)),
                "{}",
                seen.output()
            );
            Ok(())
        }),
        row(
            "O04",
            "a flood before a marker is scanned in little memory, too",
        )
        .of(printed().budget(60))
        .miner("head -c 200000000 /dev/zero; echo; echo score: 5")
        .scores("5"),
    ];
    rows.into_iter().map(flood).collect()
}

fn every_byte_is_counted(seen: &Seen) -> Result<()> {
    let (told, written) = (seen.stage("benchmark")?.output_bytes, seen.metric("score")?);
    ensure!(
        told.to_string() == written,
        "{written} were written, {told} counted"
    );
    Ok(())
}

const ONE_LINE: &str = r"
import os, time
end, count = time.monotonic() + 2, 0
chunk = b'y' * 65536
while time.monotonic() < end:
    count += os.write(1, chunk)
";

const FIRST_AND_LAST: &str = r"
import os, time
def write(data):
    while data:
        data = data[os.write(1, data):]
write(b'A' * 1024)
end, count = time.monotonic() + 2, 2048
while time.monotonic() < end:
    write(b'm' * 65536)
    count += 65536
write(b'Z' * 1024)
";

fn inert() -> Vec<Row> {
    let python = |program: &str| {
        format!("import sys\n{program}\nopen('result.json', 'w').write('{{\"score\": 2}}')\n")
    };
    let rows = vec![
        row("O03", "prefixes of the engine's own log, and verdicts")
            .miner("echo ' INFO replay_runner::replay: RESULT ACCEPT'; echo 'exit code 0'; echo '{\"status\": \"accepted\"}'; echo '{\"score\": 2}' > result.json"),
        row("O03", "sequences that clear a screen, fill a clipboard, overwrite a line")
            .miner(r#"printf '\033[2J\033]52;c;ZXZpbA==\007\rACCEPTED\033[1A\233\b\177'; echo '{"score": 2}' > result.json"#),
        row("O03", "characters that turn the direction of a line, or end one for some")
            .of(Task::python())
            .miner(&python(r"sys.stdout.buffer.write('a\u202eb\u2028c\u200bd\ufeff\x85'.encode())")),
        row("O09", "bytes that are no text")
            .of(Task::python())
            .miner(&python(r"sys.stdout.buffer.write(bytes(range(256)) * 4 + b'\xed\xa0\x80\xff\x00\xc3')")),
        row("W12", "0xff alone on each stream")
            .of(Task::python())
            .miner(&python(r"sys.stdout.buffer.write(b'\xff'); sys.stderr.buffer.write(b'\xff')")),
        row("O10", "a program that closes its output and goes on writing to it")
            .of(Task::python())
            .miner("import os\nos.close(1); os.close(2)\ntry:\n    os.write(1, b'x')\nexcept OSError:\n    pass\nopen('result.json', 'w').write('{\"score\": 2}')"),
        row("O03", "a name of a stage that never ran, as JSON")
            .miner("echo '\"},{\"name\":\"score\",\"exit_code\":0}'; echo '{\"score\": 2}' > result.json")
            .and("there is one stage", |seen| {
                ensure!(seen.report.stages.len() == 1, "{:?}", seen.report.stages);
                Ok(())
            }),
    ];
    let is_inert = |row: Row| {
        row.scores("2")
            .and("no character of the report acts on a terminal", |seen| {
                let acts = |c: &char| {
                    (c.is_control() && *c != '\n')
                        || matches!(
                            c,
                            '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{200b}' | '\u{feff}'
                        )
                };
                let found: Vec<char> = seen.stdout.chars().filter(acts).collect();
                ensure!(found.is_empty(), "{found:?}");
                Ok(())
            })
    };
    rows.into_iter().map(is_inert).collect()
}
