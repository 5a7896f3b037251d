//! Section 9 of the corpus: memory, processes, files and cores have bounds, and
//! each one that is hit is told as what it is.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use protocol::{Code, Fault};
use system_tests::corpus::engine::docker;
use system_tests::corpus::{Row, Table, Task, row};

#[test]
fn memory_has_a_bound_and_going_over_it_is_told_as_that() {
    Table::new(memory()).holds();
}

#[test]
fn space_and_files_have_bounds_inside_and_cost_the_host_nothing() {
    Table::new(space()).holds();
}

#[test]
fn processes_and_cores_have_bounds_and_neighbours_are_not_disturbed() {
    Table::new(processes()).holds();
}

#[test]
fn what_this_machine_does_not_have_is_refused_before_anything_is_pulled() {
    Table::new(unsatisfiable()).holds();
}

const OK: &str = "echo '{\"score\": 2}' > result.json";

fn memory() -> Vec<Row> {
    let small = || {
        Task::sh()
            .limit("memory", "\"48m\"")
            .limit("tmp", "\"256m\"")
    };
    let python = || Task::python().limit("memory", "\"64m\"");
    let out_of_memory = vec![
        row("M01", "the first process goes over the limit")
            .of(small())
            .miner("exec tail /dev/zero"),
        row("M01", "a program with a list that grows")
            .of(python())
            .miner("data = []\nwhile True:\n    data.append(bytearray(1 << 20))"),
        row(
            "M02",
            "a child goes over the limit, and the first process ends well with a result",
        )
        .of(small())
        .miner(&format!("tail /dev/zero\n{OK}\nexit 0")),
        row(
            "M02",
            "a grandchild in a session of its own goes over the limit",
        )
        .of(small())
        .miner(&format!("setsid sh -c 'setsid tail /dev/zero'\n{OK}")),
        row("M05", "files in memory go over the limit")
            .of(small())
            .miner(&format!(
                "head -c 200m /dev/zero > /tmp/x || head -c 200000000 /dev/zero > /tmp/x\n{OK}"
            )),
        row(
            "W16",
            "a bomb that leaves no result is out of memory, not without a result",
        )
        .of(python())
        .miner("x = 'x' * (1 << 20)\nwhile True:\n    x += x"),
    ];
    let mut rows: Vec<Row> = out_of_memory
        .into_iter()
        .map(|row| {
            row.rejects(Code::BenchmarkOutOfMemory)
                .and("the report says so of the stage", |seen| {
                    ensure!(
                        seen.stage("benchmark")?.oom_killed,
                        "{:?}",
                        seen.stage("benchmark")?
                    );
                    Ok(())
                })
        })
        .collect();
    rows.extend([
        row(
            "M01",
            "exit status 137 without want of memory is a failure like any other",
        )
        .miner("exit 137")
        .rejects(Code::BenchmarkFailed),
        row("M01", "setup goes over the limit")
            .of(small()
                .set("setup_command", "\"sh src/setup.sh\"")
                .file("src/setup.sh", "true\n"))
            .writes("src/setup.sh", "exec tail /dev/zero")
            .rejects(Code::SetupOutOfMemory),
        row("M13", "locked, huge and shared memory have bounds")
            .of(Task::python())
            .miner(LOCKED)
            .scores("3"),
        row(
            "M14",
            "a quarter of a gigabyte through a file of four megabytes is no want of memory",
        )
        .of(small().budget(60))
        .miner(&format!(
            "for i in $(seq 64); do head -c 4194304 /dev/zero > big; done\n{OK}"
        ))
        .scores("2"),
        row("M01", "the peak is the kernel's")
            .of(Task::python())
            .miner(&format!(
                "x = bytearray(50 << 20)\nimport os\nos.system(\"\"\"{OK}\"\"\")"
            ))
            .and("it is more than 50 MiB", |seen| {
                let peak = seen.stage("benchmark")?.peak_memory_bytes;
                ensure!((50 << 20..128 << 20).contains(&peak), "{peak}");
                Ok(())
            }),
    ]);
    rows
}

const LOCKED: &str = r#"
import ctypes, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
refused = 0
area = mmap.mmap(-1, 8 << 20)
address = ctypes.addressof(ctypes.c_char.from_buffer(area))
refused += libc.mlock(ctypes.c_void_p(address), 8 << 20) != 0
try:
    mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)
except OSError:
    refused += 1
try:
    with open('/dev/shm/x', 'wb') as shared:
        os.posix_fallocate(shared.fileno(), 0, 10 << 30)
except OSError:
    refused += 1
open('result.json', 'w').write('{"score": %d}' % refused)
"#;

fn space() -> Vec<Row> {
    let full = |row: Row| {
        row.and("the report says that the work tree was full", |seen| {
            ensure!(
                seen.stage("benchmark")?.workspace_full,
                "{:?}",
                seen.stage("benchmark")?
            );
            Ok(())
        })
    };
    vec![
        row(
            "M04",
            "a full /tmp is an error to who fills it, and the program may go on",
        )
        .of(Task::sh().limit("tmp", "\"4m\""))
        .miner(&format!(
            "head -c 9000000 /dev/zero > /tmp/x 2>/dev/null && exit 9\n{OK}"
        ))
        .scores("2"),
        row(
            "M04",
            "a program that does not survive a full /tmp has failed",
        )
        .of(Task::sh().limit("tmp", "\"4m\""))
        .miner("set -e\nhead -c 9000000 /dev/zero > /tmp/x\ntrue")
        .rejects(Code::BenchmarkFailed),
        full(
            row(
                "M06",
                "a full work tree is an error to who fills it: no room for the result",
            )
            .miner(&format!("head -c 90000000 /dev/zero > x 2>/dev/null\n{OK}"))
            .rejects(Code::BenchmarkFailed),
        ),
        row("M06", "a program may clean up after itself")
            .miner(&format!(
                "head -c 90000000 /dev/zero > x 2>/dev/null && exit 9\nrm x\n{OK}"
            ))
            .scores("2"),
        full(
            row("M07", "a million empty files")
                .miner("i=0; while : > f$i; do i=$((i + 1)); done; exit 1")
                .rejects(Code::BenchmarkFailed),
        ),
        row("M06", "a file larger than the limit of files")
            .of(Task::sh().limit("file_size", "\"1m\""))
            .miner(&format!(
                "(head -c 3000000 /dev/zero > x) 2>/dev/null && exit 9\nrm -f x\n{OK}"
            ))
            .scores("2"),
        row("M09", "ten thousand open files and sockets")
            .of(Task::python())
            .miner(MANY_OPEN)
            .scores("2"),
        row("M10", "a crash leaves no core")
            .miner(CRASH)
            .scores("2"),
        row("M06", "outputs larger than the work tree of the scorer")
            .of(Task::scored()
                .set("outputs", "[\"answer\", \"more/\"]")
                .file("run.sh", "mkdir -p more; echo 1 > answer\n"))
            .miner("mkdir more; truncate -s 900M more/sparse; echo 3 > answer")
            .rejects(Code::ResultTooLarge),
    ]
}

const MANY_OPEN: &str = r#"
import errno, socket
hit = 0
for make in (lambda: open('/dev/null'), socket.socket):
    kept = []
    try:
        for _ in range(10000):
            kept.append(make())
    except OSError as error:
        hit += error.errno == errno.EMFILE
    del kept
open('result.json', 'w').write('{"score": %d}' % hit)
"#;

const CRASH: &str = r#"
ulimit -c unlimited 2>/dev/null && exit 8
sh -c 'kill -SEGV $$'
ls core* /tmp/core* 2>/dev/null && exit 9
echo '{"score": 2}' > result.json
"#;

fn processes() -> Vec<Row> {
    let shared: &'static Mutex<Vec<(String, f64, f64)>> = Box::leak(Box::default());
    let neighbour = move |says: &'static str| {
        row("M11", says)
            .miner("grep Cpus_allowed_list /proc/self/status; nproc; timeout 1 sh -c 'while :; do :; done' & wait; echo '{\"score\": 2}' > result.json")
            .scores("2")
            .and("no other spinning replay had its core at the same time", move |seen| {
                let line = seen.output();
                let cores = line.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).context("its cores")?.trim().to_owned();
                ensure!(!cores.contains([',', '-']), "one core was asked for, {cores} were given");
                let events = seen.events()?;
                let at = |action: &str| events.iter().find(|event| event.action == action).map(|event| event.at.as_secs_f64());
                let (from, to) = (at("start").context("start")?, at("die").context("die")?);
                let mut known = shared.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
                let clash = known.iter().find(|(core, start, end)| *core == cores && from < *end && *start < to);
                ensure!(clash.is_none(), "{clash:?} and {cores} from {from} to {to}");
                known.push((cores, from, to));
                Ok(())
            })
    };
    vec![
        row("M08", "a fork bomb")
            .of(Task::sh().budget(2).limit("pids", "64"))
            .miner("bomb() { bomb | bomb & }\nbomb\nexec sleep 60")
            .meanwhile(|running| {
                running.wait_for_stage("benchmark")?;
                let asked = Instant::now();
                docker(&["version"])?;
                ensure!(asked.elapsed() < Duration::from_secs(5), "the engine took {:?}", asked.elapsed());
                Ok(())
            })
            .rejects(Code::BenchmarkTimeout)
            .and("it is gone a second after its budget", |seen| seen.every_container_was_gone_within(3.0)),
        row("M08", "a fork bomb in Python")
            .of(Task::python().budget(2).limit("pids", "64"))
            .miner("import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass")
            .rejects(Code::BenchmarkTimeout)
            .and("it is gone a second after its budget", |seen| seen.every_container_was_gone_within(3.0)),
        neighbour("one of three that spin at the same time"),
        neighbour("another of three that spin at the same time"),
        neighbour("the last of three that spin at the same time"),
        row("M12", "a flood of output beside an honest neighbour").of(Task::sh().budget(2)).miner("exec yes").rejects(Code::BenchmarkTimeout),
        row("M12", "the honest neighbour of a flood")
            .of(Task::sh().without("result_path").set("metric_name", "\"supervisor.benchmark_cpu_seconds\""))
            .miner("i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done")
            .and("its processor time is its own", |seen| {
                let seconds: f64 = seen.metric("supervisor.benchmark_cpu_seconds")?.parse()?;
                ensure!((0.01..2.0).contains(&seconds), "{seconds}");
                Ok(())
            }),
    ]
}

fn unsatisfiable() -> Vec<Row> {
    // An image that is nowhere: it would be pulled if that came first.
    let greedy = |name: &str, value: &str| {
        Task::sh()
            .set("image", "\"replay-test/nowhere:1\"")
            .limit(name, value)
    };
    vec![
        row("M15", "more memory than this machine has").of(greedy("memory", "\"8t\"")),
        row("M15", "more cores than this machine has").of(greedy("cpus", "1000")),
        row("M16", "a GPU on a machine without").of(greedy("gpus", "1")),
    ]
    .into_iter()
    .map(|row| {
        row.errs(Code::SandboxLimitsUnsatisfiable, Fault::Validator)
            .and("no container was made", |seen| {
                let made = seen.owner.is_some() && !seen.events()?.is_empty();
                ensure!(!made, "{:?}", seen.events()?);
                Ok(())
            })
    })
    .collect()
}
