//! Section 8 of the corpus: the time budget, and who can stretch it.

use anyhow::ensure;
use protocol::Code;
use system_tests::corpus::{Row, Table, Task, row};

/// For killing and removing, whatever there is to kill.
const GRACE: f64 = 1.0;

#[test]
fn whatever_never_ends_is_dead_and_gone_a_second_after_its_budget() {
    Table::new(endless()).holds();
}

#[test]
fn the_budget_is_counted_by_the_supervisor_alone() {
    Table::new(counted()).holds();
}

/// Replays that only the budget ends.
fn endless() -> Vec<Row> {
    let brief = || Task::sh().budget(2);
    let python = || {
        Task::python()
            .budget(6)
            .limit("pids", "1024")
            .limit("memory", "\"512m\"")
    };
    let rows = vec![
        row("T01", "a benchmark that sleeps for ever")
            .of(brief())
            .miner("exec sleep infinity"),
        row(
            "T02",
            "a benchmark that ignores every signal that can be ignored",
        )
        .of(brief())
        .miner("trap '' TERM INT HUP QUIT USR1 USR2\nwhile :; do sleep 1; done"),
        row(
            "T03",
            "five hundred children that ignore TERM, in sessions of their own, double-forked",
        )
        .of(python())
        .miner(MANY_CHILDREN)
        .and("five hundred were alive", |seen| {
            let alive: u32 = seen.output().trim().trim_start_matches("alive ").parse()?;
            ensure!(alive > 500, "{alive}");
            Ok(())
        }),
        row("T12", "a benchmark that stops itself")
            .of(brief())
            .miner("sh -c 'kill -STOP $$'"),
        row("T12", "a benchmark that somebody pauses")
            .of(brief())
            .miner("sleep 30")
            .meanwhile(|running| {
                let container = running.wait_for_stage("benchmark")?;
                system_tests::corpus::engine::docker(&["pause", &container]).map(drop)
            }),
    ];
    let gone = |row: Row| {
        row.rejects(Code::BenchmarkTimeout)
            .and(
                "every container is gone a second after the budget",
                |seen| {
                    let budget = if seen.output().contains("alive") {
                        6.0
                    } else {
                        2.0
                    };
                    seen.every_container_was_gone_within(budget + GRACE)
                },
            )
            .and("the report says that the budget ended it", |seen| {
                ensure!(
                    seen.stage("benchmark")?.timed_out,
                    "{:?}",
                    seen.stage("benchmark")?
                );
                Ok(())
            })
    };
    rows.into_iter().map(gone).collect()
}

const MANY_CHILDREN: &str = r"
import os, signal, time
for number in range(500):
    if os.fork() == 0:
        os.setsid()
        if os.fork() > 0:
            os._exit(0)
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)
        while True:
            time.sleep(60)
    else:
        os.wait()
alive = sum(entry.isdigit() for entry in os.listdir('/proc'))
print('alive', alive, flush=True)
time.sleep(60)
";

fn counted() -> Vec<Row> {
    let seconds = || {
        Task::python()
            .without("result_path")
            .set("metric_name", "\"supervisor.benchmark_seconds\"")
    };
    let between = |low: f64, high: f64| {
        move |seen: &system_tests::corpus::Seen| {
            let text = seen.metric("supervisor.benchmark_seconds")?;
            let value: f64 = text.parse()?;
            ensure!(
                (low..high).contains(&value),
                "{value} is not from {low} to {high}"
            );
            Ok(())
        }
    };
    vec![
        row("T04", "a benchmark that ends half a second before its budget")
            .of(Task::sh().budget(2))
            .miner("sleep 1.5; echo '{\"score\": 3}' > result.json")
            .scores("3"),
        row("T04", "a benchmark that ends half a second after its budget")
            .of(Task::sh().budget(2))
            .miner("sleep 2.5; echo '{\"score\": 3}' > result.json")
            .rejects(Code::BenchmarkTimeout),
        row("W19", "a second is enough for a benchmark of a tenth: the rest is not the miner's time")
            .of(Task::sh().budget(1))
            .miner("sleep 0.1; echo '{\"score\": 3}' > result.json")
            .scores("3"),
        row("T06", "a program that patches its clocks is timed from outside")
            .of(seconds())
            .miner("import time\nreal = time.sleep\ntime.time = time.perf_counter = time.monotonic = lambda: 0.0\nreal(0.7)")
            .and("the time is the supervisor's", between(0.7, 4.0)),
        row("T06", "a program that tells a time of its own is timed from outside")
            .of(seconds())
            .miner("import time\nprint('supervisor.benchmark_seconds: 0.001')\nopen('result.json', 'w').write('{\"supervisor.benchmark_seconds\": 0.001}')\ntime.sleep(0.7)")
            .and("the time is the supervisor's", between(0.7, 4.0)),
        row("T06", "a library that fakes the clock does not reach the supervisor")
            .of(Task::sh().without("result_path").set("metric_name", "\"supervisor.benchmark_seconds\""))
            .miner(FAKE_CLOCK)
            .and("the time is the supervisor's", between(0.7, 4.0)),
        row("T07", "a setup that uses all of the budget")
            .of(prepared())
            .writes("src/setup.sh", "sleep 60")
            .rejects(Code::BenchmarkTimeout)
            .and("the message names the stage", |seen| {
                ensure!(seen.report.message.contains("setup"), "{:?}", seen.report.message);
                Ok(())
            })
            .and("the benchmark never starts", |seen| {
                ensure!(seen.stage("benchmark").is_err(), "{:?}", seen.report.stages);
                Ok(())
            }),
        row("T08", "stages that take more together than there is")
            .of(prepared())
            .writes("src/setup.sh", "sleep 1.2")
            .writes("run.sh", "sleep 1.2; echo '{\"score\": 3}' > result.json")
            .rejects(Code::BenchmarkTimeout)
            .and("the budget ended the benchmark", |seen| {
                ensure!(seen.stage("benchmark")?.timed_out, "{:?}", seen.report.stages);
                Ok(())
            }),
        row("T11", "work left to the background ends with the program, and so does its chance")
            .of(Task::sh().budget(3))
            .miner("(sleep 1; echo '{\"score\": 9}' > result.json) >/dev/null 2>&1 &")
            .rejects(Code::ResultMissing),
    ]
}

/// One with a setup that the miner may replace, and two seconds in all.
fn prepared() -> Task {
    Task::sh()
        .budget(2)
        .set("setup_command", "\"sh src/setup.sh\"")
        .file("src/setup.sh", "true\n")
}

const FAKE_CLOCK: &str = r"
cat > /tmp/clock.c <<'END'
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now) { now->tv_sec = 1; now->tv_nsec = 0; return 0; }
time_t time(time_t *now) { return 1; }
END
gcc -shared -fPIC -o /tmp/clock.so /tmp/clock.c
LD_PRELOAD=/tmp/clock.so sleep 0.7
LD_PRELOAD=/tmp/clock.so date
";
