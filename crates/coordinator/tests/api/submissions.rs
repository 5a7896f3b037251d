//! Submissions: validated, frozen, shown.

use serde_json::{Value, json};

use crate::common::{Backend, Server, id, key, patch, submission_json};

async fn a_submission_is_frozen_and_served(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let submission = server
        .submit(&key(1), &task, |body| {
            body["claimed_metrics"] = json!({"score": 0.1});
        })
        .await;
    assert_eq!(submission["status"], "pending_verification");
    assert_eq!(submission["claimed_metrics"], json!({"score": 0.1}));
    assert_eq!(submission["spec_digest"].as_str().unwrap().len(), 64);
    let one = format!("/api/v1/submissions/{}", id(&submission));
    assert_eq!(server.get(&one).await.expect(200), submission);
    let detail = server.get(&format!("{one}/detail")).await.expect(200);
    assert_eq!(detail["claim"]["status"], "submitted");
    assert_eq!(detail["task_slug"], task["slug"]);
    assert_eq!(detail["events"][0]["action"], "submission.created");
    assert_eq!(
        server.get(&format!("{one}/execution.log")).await.text,
        "ran locally"
    );
    server
        .get(&format!("{one}/artifact"))
        .await
        .refused(404, "no_artifact");
    let listed = server
        .get(&format!(
            "/api/v1/submissions?task_id={}&status=pending_verification",
            id(&task)
        ))
        .await
        .expect(200);
    assert_eq!(listed[0]["id"], submission["id"]);
    for path in [
        "",
        "/detail",
        "/execution.log",
        "/artifact",
        "/peer-consensus",
    ] {
        server
            .get(&format!(
                "/api/v1/submissions/{}{path}",
                uuid::Uuid::new_v4()
            ))
            .await
            .refused(404, "submission_not_found");
    }
}

async fn digits_of_claimed_metrics_survive(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let claim = server.claim(&key(1), &task).await;
    let metrics = r#"{"a":0.10,"b":1e-7,"c":9007199254740993,"d":1E5,"e":-0}"#;
    let body = submission_json(&claim)
        .to_string()
        .replace(r#"{"score":1.5}"#, metrics);
    assert!(body.contains(metrics));
    let reply = server
        .post_text(&key(1), "/api/v1/submissions", &body)
        .await;
    reply.expect(201);
    assert!(
        reply
            .text
            .contains(&format!("\"claimed_metrics\":{metrics}")),
        "{}",
        reply.text
    );
}

async fn every_wrong_field_of_a_submission_is_named(backend: Backend) {
    let server = Server::start(backend).await;
    let bad = json!({"claim_id": "x", "base_ref": "", "patch": 1, "summary": "", "claimed_metrics": {"a": "1", "b": null},
        "artifact_sha256": "zz", "artifact_size_bytes": -1, "implemented_submission_id": "y"});
    server
        .post(&key(1), "/api/v1/submissions", &bad)
        .await
        .names_fields(&[
            "claim_id",
            "base_ref",
            "patch",
            "summary",
            "claimed_metrics.a",
            "claimed_metrics.b",
            "artifact_sha256",
            "artifact_size_bytes",
            "implemented_submission_id",
        ]);
}

async fn what_the_gate_would_refuse_is_refused_before_it_is_stored(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| task["max_patch_bytes"] = json!(2000))
        .await;
    let claim = server.claim(&key(1), &task).await;
    let post = async |change: Value| {
        let mut body = submission_json(&claim);
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        server.post(&key(1), "/api/v1/submissions", &body).await
    };
    for (bad, code) in [
        (patch().replace("src/", "eval/"), "patch.path_not_allowed"),
        (
            patch().replace("src/a.py", "src/../../x"),
            "patch.path_unsafe",
        ),
        (patch().replace("a.py", "a.pyc"), "patch.generated_file"),
        ("x".repeat(2001), "patch.too_large"),
        ("not a patch".to_owned(), "patch.empty"),
    ] {
        let reply = post(json!({"patch": bad})).await;
        reply.names_fields(&["patch"]);
        assert!(reply.text.contains(code), "{code}: {}", reply.text);
    }
    post(json!({"patch": ""})).await.names_fields(&["patch"]);
    post(json!({"artifact_uri": "http://x.example/a"}))
        .await
        .names_fields(&["artifact_uri", "artifact_sha256", "artifact_size_bytes"]);
    for uri in [
        "file:///etc/passwd",
        "https://u:p@x.example/a",
        "javascript:alert(1)",
        "//x.example/a",
    ] {
        post(json!({"artifact_uri": uri, "artifact_sha256": "ab".repeat(32), "artifact_size_bytes": 1})).await.names_fields(&["artifact_uri"]);
    }
    assert_eq!(
        server.get("/api/v1/submissions").await.expect(200),
        json!([])
    );
    post(json!({})).await.expect(201);
}

async fn an_artifact_alone_is_enough_and_is_redirected_to(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let uri = "https://files.example.org/model.bin?x=1";
    let submission = server
        .submit(&key(1), &task, |body| {
            body["patch"] = json!("");
            body["artifact_uri"] = json!(uri);
            body["artifact_sha256"] = json!("AB".repeat(32));
            body["artifact_size_bytes"] = json!(7);
        })
        .await;
    assert_eq!(submission["artifact_sha256"], "ab".repeat(32));
    let reply = server
        .get(&format!("/api/v1/submissions/{}/artifact", id(&submission)))
        .await;
    assert_eq!(reply.status, 307);
    assert_eq!(reply.headers["location"], uri);
}

async fn a_client_that_sends_empty_fields_for_what_it_has_not_is_served(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let submission = server
        .submit(&key(1), &task, |body| {
            for field in [
                "proposed_idea",
                "implemented_submission_id",
                "artifact_uri",
                "artifact_sha256",
            ] {
                body[field] = json!("");
            }
            body["artifact_size_bytes"] = json!(0);
        })
        .await;
    for field in [
        "implemented_submission_id",
        "artifact_uri",
        "artifact_sha256",
        "artifact_size_bytes",
    ] {
        assert_eq!(submission[field], Value::Null, "{field}");
    }
    let empty = json!({"submission_id": "", "task_id": "", "limit": 5000});
    let scan = "/api/v1/validator/submissions/scan";
    let list = server.post(&key(200), scan, &empty).await.expect(200);
    assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
}

async fn foreign_and_used_claims_are_refused(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let claim = server.claim(&key(1), &task).await;
    let post = async |who: u8| {
        server
            .post(&key(who), "/api/v1/submissions", &submission_json(&claim))
            .await
    };
    post(2).await.refused(403, "claim_of_another");
    post(1).await.expect(201);
    post(1).await.refused(409, "claim_not_active");
    let mut ghost = submission_json(&claim);
    ghost["claim_id"] = json!(uuid::Uuid::new_v4());
    server
        .post(&key(1), "/api/v1/submissions", &ghost)
        .await
        .refused(404, "claim_not_found");
}

async fn two_submissions_that_race_for_a_claim_are_one(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let claim = server.claim(&key(1), &task).await;
    let attempts = (0..6).map(|_| async {
        server
            .post(&key(1), "/api/v1/submissions", &submission_json(&claim))
            .await
            .status
            .as_u16()
    });
    let mut statuses = futures_util::future::join_all(attempts).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
}

async fn equal_content_is_refused_from_one_hotkey_and_marked_from_another(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let same = patch();
    let first = server
        .submit(&key(1), &task, |body| body["patch"] = json!(same))
        .await;
    server
        .try_submit(&key(1), &task, |body| body["patch"] = json!(same))
        .await
        .refused(409, "duplicate_submission");
    let copy = server
        .submit(&key(2), &task, |body| body["patch"] = json!(same))
        .await;
    assert_eq!(copy["duplicate_of"], first["id"]);
    let active = server.get("/api/v1/claims?status=active").await.expect(200);
    assert_eq!(
        active.as_array().unwrap().len(),
        1,
        "a refused submission leaves its claim"
    );
}

async fn a_clock_that_is_set_back_makes_no_later_submission_the_earlier(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let first = server.submit(&key(1), &task, |_| {}).await;
    server.app.clock.advance_seconds(-100);
    let second = server.submit(&key(2), &task, |_| {}).await;
    let at = |one: &Value| one["created_at"].as_str().unwrap().to_owned();
    assert!(at(&first) < at(&second), "{} {}", at(&first), at(&second));
}

async fn hostile_text_is_stored_as_text(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let evil =
        "'; DROP TABLE submissions; -- <script>alert(1)</script> \u{202e}\u{1b}[31m =1+1 %s $1 \\";
    let submission = server
        .submit(&key(1), &task, |body| {
            body["summary"] = json!(evil);
            body["base_ref"] = json!("<img src=x onerror=alert(1)>");
            body["execution_log"] = json!(format!("{evil}\u{0}"));
            body["claimed_metrics"] = json!({"<b>score</b>": 1});
        })
        .await;
    assert_eq!(submission["summary"], evil);
    for page in [
        "/dashboard".to_owned(),
        format!("/dashboard/tasks/{}", id(&task)),
        format!("/dashboard/submissions/{}", id(&submission)),
    ] {
        let page = server.get(&page).await;
        assert_eq!(page.status, 200, "{}", page.text);
        for markup in ["<script", "<img", "<b>score"] {
            assert!(!page.text.contains(markup), "{markup} is markup");
        }
        assert!(page.text.contains("&lt;script&gt;"));
    }
    let log = server
        .get(&format!(
            "/api/v1/submissions/{}/execution.log",
            id(&submission)
        ))
        .await;
    assert!(
        log.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
}

async fn the_dashboard_shows_tasks_plots_and_life_lines(backend: Backend) {
    let server = Server::start(backend).await;
    let root = server.get("/").await;
    assert_eq!(root.headers["location"], "/dashboard");
    let task = server.task(|_| {}).await;
    for (miner, score) in [(1, 1.0), (2, 3.0), (3, 2.0)] {
        let submission = server.submit(&key(miner), &task, |_| {}).await;
        server.accept(&key(200), &submission, score).await;
    }
    let (newer, newest) = (server.task(|_| {}).await, server.task(|_| {}).await);
    server.submit(&key(4), &newer, |_| {}).await;
    let data = server.get("/api/v1/dashboard").await;
    assert_eq!(data.headers["cache-control"], "no-store");
    let cards = data.expect(200)["tasks"].clone();
    let told = |n: usize| {
        let scores = cards[n]["best"].as_array().unwrap().iter();
        let scores = scores.map(|best| best["observed_metrics"]["score"].clone());
        let (task, submissions) = (cards[n]["id"].clone(), cards[n]["submissions"].clone());
        json!([task, submissions, scores.collect::<Vec<Value>>()])
    };
    assert_eq!(told(0), json!([id(&newest), {}, []]));
    let pending = json!({"pending_verification": 1});
    assert_eq!(told(1), json!([id(&newer), pending, []]));
    assert_eq!(told(2), json!([id(&task), {"accepted": 3}, [3.0]]));
    let page = server.get(&format!("/dashboard/tasks/{}", id(&task))).await;
    assert_eq!(page.text.matches("<circle").count(), 3);
    assert_eq!(page.text.matches("point record").count(), 2);
    assert!(page.text.contains("Leaderboard"));
    let best = server
        .get(&format!("/api/v1/tasks/{}/best", id(&task)))
        .await
        .expect(200);
    let page = server
        .get(&format!("/dashboard/submissions/{}", id(&best["best"])))
        .await;
    for part in [
        "claimed",
        "submission created",
        "job leased",
        "result posted",
        "submission accepted",
        "best changed",
    ] {
        assert!(page.text.contains(part), "{part}");
    }
    for path in [
        "/dashboard/tasks/x",
        "/dashboard/submissions/00000000-0000-0000-0000-000000000000",
    ] {
        assert_eq!(server.get(path).await.status, 404);
    }
    assert!(
        server
            .get("/dashboard/style.css")
            .await
            .text
            .contains("prefers-color-scheme")
    );
}

on_both_databases! {
    a_submission_is_frozen_and_served,
    digits_of_claimed_metrics_survive,
    every_wrong_field_of_a_submission_is_named,
    what_the_gate_would_refuse_is_refused_before_it_is_stored,
    an_artifact_alone_is_enough_and_is_redirected_to,
    a_client_that_sends_empty_fields_for_what_it_has_not_is_served,
    foreign_and_used_claims_are_refused,
    two_submissions_that_race_for_a_claim_are_one,
    equal_content_is_refused_from_one_hotkey_and_marked_from_another,
    a_clock_that_is_set_back_makes_no_later_submission_the_earlier,
    hostile_text_is_stored_as_text,
    the_dashboard_shows_tasks_plots_and_life_lines,
}
