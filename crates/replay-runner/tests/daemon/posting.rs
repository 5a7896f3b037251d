//! Posting, whatever the coordinator answers: a table of faults, each of which
//! must end with exactly one result that the coordinator has.

use std::time::Instant;

use serde_json::json;

use crate::coordinator::{Coordinator, JOB, Reply, empty_job, offering, row};
use crate::process::Place;

/// Starts a daemon for `coordinator`, and waits until its one job is in `state`.
#[track_caller]
fn ends_as(coordinator: &Coordinator, state: &str) -> Place {
    let place = Place::new();
    place.configure(coordinator.address, "");
    let daemon = place.start();
    let status = place.wait_for(state);
    assert_eq!(status["last"][0]["code"], "artifact.missing", "{status}");
    assert!(daemon.stop().success(), "{}", place.log());
    place
}

#[test]
fn a_result_is_signed_and_says_what_the_wire_says() {
    let coordinator = offering(|_, _| Reply::json(200, &row("rejected")));
    let place = ends_as(&coordinator, "posted");
    let posted = coordinator.asked("/result");
    assert_eq!(posted.len(), 1);
    assert_eq!(
        posted[0].path,
        format!("/api/v1/validator/jobs/{JOB}/result")
    );
    assert_eq!(posted[0].signer(), place.keypair.hotkey().to_string());
    let body = posted[0].json();
    assert_eq!(body["status"], "rejected");
    assert_eq!(body["outcome_code"], "artifact.missing");
    assert_eq!(body["fault"], "submission");
    assert_eq!(body["observed_metrics"], json!({}));
}

#[test]
fn a_coordinator_that_fails_for_a_while_gets_the_result_in_the_end() {
    let garbage = |text: &str| Reply::text(200, text);
    let table: Vec<(&str, Reply)> = vec![
        ("500", Reply::text(500, "oops")),
        ("503", Reply::text(503, "")),
        ("garbage", garbage("<html>hello</html>")),
        ("an empty answer", garbage("")),
        ("a list", garbage("[]")),
        (
            "another job's row",
            Reply::json(
                200,
                &json!({"id": "55555555-5555-4555-8555-555555555555", "status": "rejected"}),
            ),
        ),
        ("a row without a result", Reply::json(200, &row("leased"))),
        (
            "half an answer",
            Reply::Cut("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"id\": \"".to_owned()),
        ),
        ("half a head", Reply::Cut("HTTP/1.1 200 O".to_owned())),
        ("nothing", Reply::Cut(String::new())),
        ("no HTTP", Reply::Cut("SSH-2.0-OpenSSH\r\n".to_owned())),
        (
            "an endless answer",
            Reply::Cut(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{}",
                "x".repeat(1000)
            )),
        ),
    ];
    for (what, reply) in table {
        let coordinator = offering(move |count, _| match count {
            0 | 1 => reply.clone(),
            _ => Reply::json(200, &row("rejected")),
        });
        ends_as(&coordinator, "posted");
        let posted = coordinator.asked("/result");
        assert_eq!(posted.len(), 3, "{what}");
        assert_eq!(posted[0].body, posted[2].body, "{what}");
    }
}

#[test]
fn a_coordinator_that_asks_for_patience_gets_it() {
    let coordinator = offering(|count, _| match count {
        0 => Reply::Status(429, vec![("retry-after", "2".to_owned())], "{}".to_owned()),
        _ => Reply::json(200, &row("rejected")),
    });
    let start = Instant::now();
    ends_as(&coordinator, "posted");
    assert!(start.elapsed().as_secs() >= 2);
    assert_eq!(coordinator.asked("/result").len(), 2);
}

#[test]
fn a_lost_answer_is_found_among_the_verifications_and_nothing_is_posted_twice() {
    let coordinator = Coordinator::start(|request| match request.path.as_str() {
        "/api/v1/validator/submissions/scan" => Reply::json(200, &json!({"jobs": [empty_job()]})),
        "/api/v1/verifications" => Reply::json(200, &json!([row("rejected")])),
        path if path.ends_with("/result") => Reply::Cut(String::new()),
        _ => Reply::json(404, &json!({"detail": "Not Found"})),
    });
    ends_as(&coordinator, "posted");
    assert_eq!(coordinator.asked("/result").len(), 1);
    let asked = coordinator.asked("/verifications");
    assert!(
        asked[0].query.starts_with("submission_id=2222"),
        "{asked:?}"
    );
}

#[test]
fn a_row_that_says_something_else_is_no_answer_to_ours() {
    let coordinator = Coordinator::start(|request| match request.path.as_str() {
        "/api/v1/validator/submissions/scan" => Reply::json(200, &json!({"jobs": [empty_job()]})),
        "/api/v1/verifications" => Reply::json(200, &json!([row("accepted")])),
        path if path.ends_with("/result") => Reply::json(
            409,
            &json!({"detail": "another result", "code": "result_differs"}),
        ),
        _ => Reply::json(404, &json!({"detail": "Not Found"})),
    });
    ends_as(&coordinator, "refused");
}

#[test]
fn a_result_that_nobody_wants_any_more_is_dropped() {
    for (status, code) in [
        (409, "submission_decided"),
        (404, "job_not_found"),
        (410, "gone"),
    ] {
        let coordinator =
            offering(move |_, _| Reply::json(status, &json!({"detail": "no", "code": code})));
        ends_as(&coordinator, "dropped");
    }
}

#[test]
fn an_older_coordinator_that_knows_fewer_fields_gets_fewer() {
    let coordinator = offering(|_, request| {
        if request.json().get("outcome_code").is_some() {
            return Reply::json(
                422,
                &json!({"detail": [{"loc": ["body", "outcome_code"], "msg": "extra fields not permitted"}]}),
            );
        }
        Reply::json(200, &row("rejected"))
    });
    ends_as(&coordinator, "posted");
    let last = coordinator.asked("/result").pop().unwrap().json();
    let keys: Vec<&String> = last.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "notes",
            "observed_metrics",
            "replay_log",
            "status",
            "submission_id"
        ]
    );
}

#[test]
fn a_validator_that_is_not_let_in_keeps_its_result_and_says_what_to_do() {
    let coordinator = offering(|_, _| {
        Reply::json(
            401,
            &json!({"detail": "X-Timestamp: 5 is 900 s from this server's clock", "code": "stale"}),
        )
    });
    let place = Place::new();
    place.configure(coordinator.address, "");
    let daemon = place.start();
    place.wait("word about the clock", || {
        place.log().contains("set this host's clock").then_some(())
    });
    assert_eq!(place.status()["counts"]["states"]["ready"], 1);
    // What is not posted yet is told by the exit status.
    assert_eq!(daemon.stop().code(), Some(1));
}

#[test]
fn a_redirect_is_not_followed_and_loses_nothing() {
    let elsewhere = Coordinator::start(|_| Reply::json(200, &row("rejected")));
    let location = format!("http://{}/x", elsewhere.address);
    let coordinator = offering(move |_, _| {
        Reply::Status(307, vec![("location", location.clone())], String::new())
    });
    let place = Place::new();
    place.configure(coordinator.address, "");
    let daemon = place.start();
    place.wait("word about the address", || {
        place
            .log()
            .contains("write the address that it redirects to")
            .then_some(())
    });
    assert_eq!(place.status()["counts"]["states"]["ready"], 1);
    assert!(elsewhere.asked("/").is_empty());
    daemon.stop();
}

#[test]
fn a_host_that_is_no_coordinator_loses_no_result() {
    let coordinator = Coordinator::start(|request| match request.path.as_str() {
        "/api/v1/validator/submissions/scan" => Reply::json(200, &json!({"jobs": [empty_job()]})),
        _ => Reply::text(404, "<html>not found</html>"),
    });
    let place = Place::new();
    place.configure(coordinator.address, "");
    let daemon = place.start();
    place.wait("a refusal", || {
        (!coordinator.asked("/verifications").is_empty()).then_some(())
    });
    place.wait_for("ready");
    daemon.stop();
    assert_eq!(place.status()["counts"]["states"]["ready"], 1);
}

#[test]
fn results_survive_a_coordinator_that_is_away_and_the_end_of_the_daemon() {
    let coordinator = offering(|_, _| Reply::Cut(String::new()));
    let place = Place::new();
    place.configure(coordinator.address, "");
    let daemon = place.start();
    place.wait_for("ready");
    drop(daemon);
    let back = offering(|_, _| Reply::json(200, &row("rejected")));
    place.configure(back.address, "");
    let daemon = place.start();
    place.wait_for("posted");
    assert!(daemon.stop().success());
    assert_eq!(back.asked("/result").len(), 1);
}
