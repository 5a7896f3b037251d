//! Receipts of this host: key files, receipt files, and what stands in them
//! (`CORPUS.md` D08–D12).

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

mod files;
mod independent;
mod statement;

use std::collections::BTreeMap;

use protocol::limits::Bytes;
use protocol::report::{StageReport, Timing};
use protocol::spec::{Commands, Content, Metric, PatchRules};
use protocol::task::{Direction, MetricRange};
use protocol::{Code, CommitId, Limits, ReplaySpec, Report, Sha256Digest, Status, TreeId};

pub(crate) fn spec() -> ReplaySpec {
    let content = |bytes: &[u8]| Content {
        sha256: Sha256Digest::of(bytes),
        size_bytes: bytes.len() as u64,
    };
    ReplaySpec {
        spec_version: ReplaySpec::VERSION,
        repository: "https://git.example/task.git".to_owned(),
        base_commit: CommitId::from_bytes([1; 20]),
        patch: Some(content(b"patch")),
        artifact: Some(content(b"artifact")),
        baseline_artifact: None,
        private_inputs: Vec::new(),
        image: format!("sha256:{}", "0".repeat(64)),
        commands: Commands {
            setup: None,
            benchmark: "python3 bench.py".to_owned(),
            score: None,
        },
        env: BTreeMap::new(),
        patch_rules: PatchRules {
            allowed_paths: vec!["src/**".to_owned()],
            protected_paths: Vec::new(),
            max_bytes: 262_144,
            max_files: 10_000,
            max_decoded_bytes: Bytes::mib(16),
            allow_binary: false,
            allow_executable: false,
        },
        result_path: Some("result.json".to_owned()),
        outputs: Vec::new(),
        metrics: vec![Metric {
            name: "loss".to_owned(),
            direction: Direction::Minimize,
            range: MetricRange::default(),
        }],
        tolerance: None,
        repeats: 1,
        time_budget_seconds: 60,
        setup_network: false,
        limits: Limits::default(),
    }
}

/// A replay whose output was cut, with values that no double can hold.
pub(crate) fn report() -> Report {
    let metric = |name: &str, text: &str| (name.to_owned(), text.parse().unwrap());
    Report {
        status: Status::Accepted,
        code: Code::Ok,
        message: "secret words of a message".to_owned(),
        fault: None,
        observed_metrics: BTreeMap::from([
            metric("loss", "1e-7"),
            metric("steps", "9007199254740993"),
            metric("supervisor.benchmark_seconds", "0.10"),
        ]),
        spread: BTreeMap::new(),
        spec_digest: Some(spec().digest()),
        base_commit: Some(spec().base_commit),
        patched_tree: Some(TreeId::from_bytes([2; 20])),
        image: Some(spec().image),
        result_digest: Some(Sha256Digest::of(b"result")),
        stages: vec![StageReport {
            name: "benchmark".to_owned(),
            pass: 1,
            exit_code: Some(-9_007_199_254_740_993),
            wall_seconds: 0.1,
            cpu_seconds: 0.05,
            peak_memory_bytes: u64::MAX,
            timed_out: false,
            oom_killed: true,
            workspace_full: false,
            output_bytes: 9_007_199_254_740_993,
            output_truncated: true,
            output: "secret words of the output".to_owned(),
        }],
        notes: vec!["secret words of a note".to_owned()],
        timing: Timing {
            total_seconds: 1.25,
            overhead_seconds: 0.5,
        },
    }
}
