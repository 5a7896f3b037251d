//! What a monitor reads: counters of this process, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use protocol::report::StageReport;

use super::spool::Counts;

/// Upper bounds of the histogram of stage seconds.
const BUCKETS: [f64; 10] = [
    0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0,
];

/// Counters that only grow.
#[derive(Debug, Default)]
pub(super) struct Meters(Mutex<Counters>);

#[derive(Debug, Default)]
struct Counters {
    /// By status and code.
    replays: BTreeMap<(String, String), u64>,
    /// By the name of the stage.
    stages: BTreeMap<String, Histogram>,
    /// By the engine's code.
    engine_errors: BTreeMap<String, u64>,
    /// By how posting went.
    posts: BTreeMap<&'static str, u64>,
    reused: u64,
}

#[derive(Debug, Default)]
struct Histogram {
    counts: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

/// What is true at the moment of reading.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    pub(super) counts: Counts,
    pub(super) slots: usize,
    pub(super) busy: usize,
    pub(super) backlog: usize,
    pub(super) queue_seconds: u64,
    pub(super) unposted_seconds: u64,
    pub(super) paused: bool,
    pub(super) coordinator_up: bool,
    pub(super) open_breakers: usize,
    pub(super) caches: Vec<(&'static str, u64)>,
    pub(super) free_disk_bytes: u64,
}

impl Meters {
    fn counters(&self) -> std::sync::MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A replay ended.
    pub(super) fn replayed(&self, status: &str, code: &str, stages: &[StageReport]) {
        let mut counters = self.counters();
        let key = (status.to_owned(), code.to_owned());
        *counters.replays.entry(key).or_default() += 1;
        if code.starts_with("sandbox.") {
            *counters.engine_errors.entry(code.to_owned()).or_default() += 1;
        }
        for stage in stages {
            let histogram = counters.stages.entry(stage.name.clone()).or_default();
            histogram.add(stage.wall_seconds);
        }
    }

    /// An earlier result answered a job.
    pub(super) fn reused(&self) {
        self.counters().reused += 1;
    }

    /// A result was posted, or was not: `posted`, `again`, `refused`, `dropped`.
    pub(super) fn post(&self, how: &'static str) {
        *self.counters().posts.entry(how).or_default() += 1;
    }

    /// Everything as text.
    pub(super) fn text(&self, gauges: &Gauges) -> String {
        let mut text = Text(String::with_capacity(4096));
        self.counters().write(&mut text);
        gauges.write(&mut text);
        text.0
    }
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        for (bound, count) in BUCKETS.iter().zip(&mut self.counts) {
            *count += u64::from(seconds <= *bound);
        }
        self.count += 1;
        self.sum += seconds;
    }
}

impl Counters {
    fn write(&self, text: &mut Text) {
        let name = "replay_runner_replays_total";
        text.head(name, "counter", "Replays that ended, by outcome.");
        for ((status, code), count) in &self.replays {
            text.line(name, &[("status", status), ("code", code)], count);
        }
        let name = "replay_runner_engine_errors_total";
        text.head(name, "counter", "Replays that the container engine failed.");
        for (code, count) in &self.engine_errors {
            text.line(name, &[("code", code)], count);
        }
        let name = "replay_runner_posts_total";
        text.head(
            name,
            "counter",
            "Attempts to post a result, by how they went.",
        );
        for (how, count) in &self.posts {
            text.line(name, &[("result", how)], count);
        }
        let name = "replay_runner_reused_results_total";
        text.head(
            name,
            "counter",
            "Jobs answered by an earlier replay of the same content.",
        );
        text.line(name, &[], self.reused);
        let name = "replay_runner_stage_seconds";
        text.head(name, "histogram", "Wall time of stages.");
        for (stage, histogram) in &self.stages {
            let bucket = format!("{name}_bucket");
            for (bound, count) in BUCKETS.iter().zip(histogram.counts) {
                text.line(
                    &bucket,
                    &[("stage", stage), ("le", &bound.to_string())],
                    count,
                );
            }
            text.line(
                &bucket,
                &[("stage", stage), ("le", "+Inf")],
                histogram.count,
            );
            text.line(&format!("{name}_sum"), &[("stage", stage)], histogram.sum);
            text.line(
                &format!("{name}_count"),
                &[("stage", stage)],
                histogram.count,
            );
        }
    }
}

impl Gauges {
    fn write(&self, text: &mut Text) {
        let name = "replay_runner_jobs";
        text.head(name, "gauge", "Jobs in the spool, by state.");
        for (state, count) in &self.counts.states {
            text.line(name, &[("state", state)], count);
        }
        let name = "replay_runner_cache_bytes";
        text.head(name, "gauge", "Bytes that caches hold on disk.");
        for (cache, bytes) in &self.caches {
            text.line(name, &[("cache", cache)], bytes);
        }
        let one = |text: &mut Text, name: &str, help: &str, value: u64| {
            let name = format!("replay_runner_{name}");
            text.head(&name, "gauge", help);
            text.line(&name, &[], value);
        };
        one(
            text,
            "slots",
            "Replays that may run at once.",
            self.slots as u64,
        );
        one(
            text,
            "slots_busy",
            "Replays that run now.",
            self.busy as u64,
        );
        one(
            text,
            "worklist_jobs",
            "Jobs offered and not taken yet.",
            self.backlog as u64,
        );
        one(
            text,
            "queue_age_seconds",
            "Age of the oldest submission offered and not taken yet.",
            self.queue_seconds,
        );
        one(
            text,
            "unposted_age_seconds",
            "Age of the oldest job taken whose result is not posted.",
            self.unposted_seconds,
        );
        one(
            text,
            "paused",
            "1 while no work is taken because this host is not fit.",
            self.paused.into(),
        );
        one(
            text,
            "coordinator_up",
            "1 if the coordinator's last answer could be used.",
            self.coordinator_up.into(),
        );
        one(
            text,
            "open_breakers",
            "Repositories and artifact hosts left alone for now.",
            self.open_breakers as u64,
        );
        one(
            text,
            "free_disk_bytes",
            "Free bytes where the state directory is.",
            self.free_disk_bytes,
        );
    }
}

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Label values are names of ours: stages, states and codes.
    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{value}\""))
            .collect();
        let _ = if labels.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{}}} {value}", labels.join(","))
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_counted_in_every_bucket_that_it_fits() {
        let meters = Meters::default();
        let stage: StageReport = serde_json::from_str(
            r#"{"name": "benchmark", "pass": 1, "exit_code": 0, "wall_seconds": 0.7, "cpu_seconds": 0.5,
            "peak_memory_bytes": 1, "timed_out": false, "oom_killed": false, "workspace_full": false,
            "output_bytes": 0, "output_truncated": false, "output": ""}"#,
        )
        .unwrap();
        meters.replayed("error", "sandbox.engine_timeout", &[stage]);
        meters.post("posted");
        let text = meters.text(&Gauges::default());
        for line in [
            r#"replay_runner_replays_total{status="error",code="sandbox.engine_timeout"} 1"#,
            r#"replay_runner_engine_errors_total{code="sandbox.engine_timeout"} 1"#,
            r#"replay_runner_stage_seconds_bucket{stage="benchmark",le="0.5"} 0"#,
            r#"replay_runner_stage_seconds_bucket{stage="benchmark",le="1"} 1"#,
            r#"replay_runner_stage_seconds_bucket{stage="benchmark",le="+Inf"} 1"#,
            r#"replay_runner_stage_seconds_sum{stage="benchmark"} 0.7"#,
            r#"replay_runner_posts_total{result="posted"} 1"#,
            "replay_runner_paused 0",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
