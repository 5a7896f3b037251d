//! Taking work: what is offered, leased, passed over, and left alone.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::coordinator::{Coordinator, JOB, Reply, Request, SUBMISSION, empty_job, row};
use crate::process::Place;

const SCAN: &str = "/api/v1/validator/submissions/scan";
const CLAIM: &str = "/api/v1/validator/jobs/claim";

/// A coordinator whose worklist, leases and rows are as given.
fn coordinator(answer: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Coordinator {
    Coordinator::start(move |request| {
        answer(request).unwrap_or_else(|| match request.path.as_str() {
            SCAN => Reply::json(200, &json!({"jobs": []})),
            "/api/v1/verifications" => Reply::json(200, &json!([])),
            path if path.ends_with("/result") => {
                let mut posted = row("rejected");
                posted["id"] = json!(path.split('/').nth_back(1).unwrap());
                Reply::json(200, &posted)
            }
            _ => Reply::json(404, &json!({"detail": "Not Found"})),
        })
    })
}

#[test]
fn once_works_off_one_worklist_and_ends() {
    let coordinator = coordinator(|request| {
        (request.path == SCAN).then(|| Reply::json(200, &json!({"jobs": [empty_job()]})))
    });
    let place = Place::new();
    place.configure(coordinator.address, "");
    let status = place.command().arg("--once").status().unwrap();
    assert_eq!(status.code(), Some(0), "{}", place.log());
    assert_eq!(coordinator.asked(SCAN).len(), 1);
    assert_eq!(coordinator.asked("/result").len(), 1);
}

#[test]
fn a_dry_run_leases_nothing_posts_nothing_and_keeps_what_it_saw() {
    let coordinator = coordinator(|request| {
        (request.path == SCAN).then(|| Reply::json(200, &json!({"jobs": [empty_job()]})))
    });
    let place = Place::new();
    place.configure(coordinator.address, "");
    let status = place
        .command()
        .args(["--once", "--dry-run"])
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0), "{}", place.log());
    for path in [CLAIM, "/result", "/heartbeat"] {
        assert!(coordinator.asked(path).is_empty(), "{path} was asked");
    }
    assert_eq!(place.status()["last"][0]["state"], "kept");
}

#[test]
fn a_job_of_the_worklist_is_leased_before_it_is_worked_on() {
    let coordinator = coordinator(|request| match request.path.as_str() {
        SCAN => Some(Reply::json(200, &json!({"jobs": [empty_job()]}))),
        CLAIM => {
            assert_eq!(request.json(), json!({"submission_id": SUBMISSION}));
            Some(Reply::json(200, &empty_job()))
        }
        _ => None,
    });
    let place = Place::new();
    place.configure(coordinator.address, "once = true");
    assert!(place.command().status().unwrap().success());
    assert_eq!(coordinator.asked(CLAIM).len(), 1);
    assert_eq!(coordinator.asked("/result").len(), 1);
}

#[test]
fn a_job_that_others_have_is_passed_over() {
    let coordinator = coordinator(|request| match request.path.as_str() {
        SCAN => Some(Reply::json(200, &json!({"jobs": [empty_job()]}))),
        CLAIM => Some(Reply::json(
            404,
            &json!({"detail": "no pending validator jobs", "code": "no_pending_jobs"}),
        )),
        _ => None,
    });
    let place = Place::new();
    place.configure(coordinator.address, "once = true");
    assert!(place.command().status().unwrap().success());
    assert!(coordinator.asked("/result").is_empty());
}

#[test]
fn a_claim_path_of_single_jobs_is_asked_for_single_jobs() {
    let coordinator =
        coordinator(|request| (request.path == CLAIM).then(|| Reply::json(200, &empty_job())));
    let place = Place::new();
    place.configure(
        coordinator.address,
        &format!("once = true\nclaim_path = {CLAIM:?}"),
    );
    assert!(place.command().status().unwrap().success());
    assert!(coordinator.asked(SCAN).is_empty());
    assert_eq!(coordinator.asked("/result").len(), 1);
}

#[test]
fn a_job_whose_lease_was_answered_into_the_void_is_taken_up_and_no_second_one_is() {
    let place = Place::new();
    let hotkey = place.keypair.hotkey().to_string();
    let asked = AtomicUsize::new(0);
    let coordinator = coordinator(move |request| match request.path.as_str() {
        CLAIM => Some(if asked.fetch_add(1, Ordering::Relaxed) == 0 {
            // It was leased, and nobody heard of it.
            Reply::Cut(String::new())
        } else {
            assert_eq!(request.json(), json!({"submission_id": SUBMISSION}));
            Reply::json(200, &empty_job())
        }),
        "/api/v1/verifications" if request.query == "status=leased" => {
            let held = |id: &str, hotkey: &str| json!({"id": id, "submission_id": SUBMISSION, "status": "leased", "validator_hotkey": hotkey});
            let other = "99999999-9999-4999-8999-999999999999";
            Some(Reply::json(
                200,
                &json!([held(JOB, &hotkey), held(other, "somebody else")]),
            ))
        }
        _ => None,
    });
    place.configure(
        coordinator.address,
        &format!("cycles = 2\nclaim_path = {CLAIM:?}"),
    );
    let status = place.command().status().unwrap();
    assert!(status.success(), "{}", place.log());
    assert_eq!(coordinator.asked(CLAIM).len(), 2);
    assert_eq!(coordinator.asked("/result").len(), 1);
}

#[test]
fn a_task_slug_is_looked_up_and_asked_for_by_id() {
    let id = "33333333-3333-4333-8333-333333333333";
    let coordinator = coordinator(move |request| match request.path.as_str() {
        "/api/v1/tasks" => Some(Reply::json(200, &json!([{"id": id, "slug": "digits"}]))),
        _ => None,
    });
    let place = Place::new();
    place.configure(coordinator.address, "once = true\ntask_slug = \"digits\"");
    assert!(
        place.command().status().unwrap().success(),
        "{}",
        place.log()
    );
    assert_eq!(coordinator.asked(SCAN)[0].json()["task_id"], id);
    place.configure(coordinator.address, "once = true\ntask_slug = \"digts\"");
    assert_eq!(place.command().status().unwrap().code(), Some(1));
    assert!(place.log().contains("no task \"digts\""), "{}", place.log());
}

/// Worklists that no honest coordinator sends.
#[test]
fn a_worklist_of_nonsense_costs_nothing_but_its_own_jobs() {
    let evil = |edit: fn(&mut Value)| {
        let mut job = empty_job();
        edit(&mut job);
        job
    };
    let jobs = json!([
        null,
        7,
        {"job_id": JOB},
        evil(|job| job["job_id"] = json!("../../../etc/passwd")),
        evil(|job| job["job_id"] = json!("11111111-1111-4111-8111-111111111111/../x")),
        evil(|job| job["submission_id"] = json!("?admin=1")),
        evil(|job| job["submission"]["id"] = json!("99999999-9999-4999-8999-999999999999")),
        evil(|job| job["submission"] = json!([])),
        empty_job(),
        empty_job(),
    ]);
    let coordinator = coordinator(move |request| {
        (request.path == SCAN).then(|| Reply::json(200, &json!({"jobs": jobs})))
    });
    let place = Place::new();
    place.configure(coordinator.address, "once = true");
    assert!(
        place.command().status().unwrap().success(),
        "{}",
        place.log()
    );
    let posted = coordinator.asked("/result");
    assert_eq!(posted.len(), 1, "{posted:?}");
    let mut names: Vec<String> = std::fs::read_dir(place.state())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let known = [
        "artifacts",
        "controls",
        "daemon.lock",
        "mirrors",
        "private",
        "receipt.binding.json",
        "receipt.key",
        "runs",
        "spool.db",
        "spool.db-shm",
        "spool.db-wal",
        "trees",
    ];
    for name in &names {
        assert!(
            known.contains(&name.as_str()),
            "{name} is in the state directory: {names:?}"
        );
    }
}

#[test]
fn a_huge_worklist_is_not_read_to_its_end() {
    let coordinator = coordinator(|request| {
        let huge = || {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "[".repeat(1 << 20));
            Reply::Cut(format!("{head}{}", chunk.repeat(100)))
        };
        (request.path == SCAN).then(huge)
    });
    let place = Place::new();
    place.configure(coordinator.address, "once = true");
    assert_eq!(place.command().status().unwrap().code(), Some(1));
    assert!(
        place.log().contains("an answer of more than"),
        "{}",
        place.log()
    );
}

#[test]
fn a_job_that_was_decided_here_and_is_offered_again_and_again_is_posted_once() {
    let coordinator = coordinator(|request| {
        (request.path == SCAN).then(|| Reply::json(200, &json!({"jobs": [empty_job()]})))
    });
    let place = Place::new();
    place.configure(coordinator.address, "cycles = 10");
    assert!(place.command().status().unwrap().success());
    assert_eq!(coordinator.asked(SCAN).len(), 10);
    assert_eq!(coordinator.asked("/result").len(), 1);
}
