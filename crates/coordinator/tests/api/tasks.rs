//! Tasks: creation, catalog, state, onboarding, privacy.

use coordinator::rules::places::Places;
use serde_json::{Value, json};

use crate::common::{Backend, Server, id, key, task_json};

async fn a_task_is_created_and_served_with_the_wires_fields(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    for field in [
        "id",
        "slug",
        "title",
        "brief",
        "repository",
        "base_ref",
        "benchmark_command",
        "allowed_patch_paths",
        "max_patch_bytes",
        "metric_name",
        "metric_direction",
        "ranking_mode",
        "competition_mode",
        "time_budget_seconds",
        "task_state",
        "is_active",
        "onboard_path",
        "created_at",
        "updated_at",
        "base_commit_sha",
    ] {
        assert!(!task[field].is_null(), "{field} is missing");
    }
    assert_eq!(task["task_state"], "live");
    assert_eq!(task["is_active"], true);
    assert_eq!(task["max_patch_bytes"], 262_144);
    assert_eq!(task["base_commit_sha"], "1".repeat(40));
    assert!(task["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        server
            .get(&format!("/api/v1/tasks/{}", id(&task)))
            .await
            .expect(200),
        task
    );
    assert_eq!(server.get("/api/v1/tasks").await.expect(200), json!([task]));
}

async fn an_omitted_competition_mode_is_centerless(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| {
            task.as_object_mut().unwrap().remove("competition_mode");
        })
        .await;
    assert_eq!(task["competition_mode"], "centerless");
}

async fn a_required_field_that_is_null_is_missing(backend: Backend) {
    let server = Server::start(backend).await;
    for field in [
        "slug",
        "title",
        "repository",
        "benchmark_command",
        "allowed_patch_paths",
        "metric_name",
        "metric_direction",
        "time_budget_seconds",
    ] {
        let mut task = crate::common::task_json();
        task[field] = Value::Null;
        server
            .admin_post("/api/v1/tasks", &task)
            .await
            .names_fields(&[field]);
    }
}

async fn all_wrong_fields_are_named_at_once(backend: Backend) {
    let server = Server::start(backend).await;
    let bad = json!({"slug": "a", "title": 5, "brief": "b".repeat(20_001), "repository": "ftp://x/y",
        "benchmark_command": "", "allowed_patch_paths": [], "metric_name": "supervisor.magic",
        "metric_direction": "up", "time_budget_seconds": 90_000, "ranking_mode": "pareto", "colour": "red"});
    server
        .admin_post("/api/v1/tasks", &bad)
        .await
        .names_fields(&[
            "slug",
            "title",
            "brief",
            "repository",
            "benchmark_command",
            "allowed_patch_paths",
            "metric_name",
            "metric_direction",
            "time_budget_seconds",
            "secondary_metric_name",
            "secondary_metric_direction",
            "colour",
        ]);
    assert_eq!(server.get("/api/v1/tasks").await.expect(200), json!([]));
}

async fn a_slug_is_taken_once(backend: Backend) {
    let server = Server::start(backend).await;
    let task = task_json();
    server.admin_post("/api/v1/tasks", &task).await.expect(201);
    server
        .admin_post("/api/v1/tasks", &task)
        .await
        .refused(409, "slug_taken");
}

async fn a_branch_is_resolved_to_its_commit_once(backend: Backend) {
    let server = Server::with(backend, |settings| settings.places = Places::LocalToo).await;
    let dir = tempfile::tempdir().unwrap();
    let commit = commit_in(dir.path());
    let path = dir.path().to_str().unwrap().to_owned();
    let task = server
        .task(|task| {
            task["repository"] = json!(path);
            task["base_ref"] = json!("main");
        })
        .await;
    assert_eq!(task["base_commit_sha"], commit);
    let tagged = server
        .task(|task| {
            task["repository"] = json!(path);
            task["base_ref"] = json!("v1");
        })
        .await;
    assert_eq!(
        tagged["base_commit_sha"], commit,
        "an annotated tag is the commit behind it"
    );
    let mut missing = task_json();
    missing["repository"] = json!(path);
    missing["base_ref"] = json!("no-such-branch");
    server
        .admin_post("/api/v1/tasks", &missing)
        .await
        .names_fields(&["base_ref"]);
}

fn commit_in(dir: &std::path::Path) -> String {
    let mut options = git2::RepositoryInitOptions::new();
    let repository = git2::Repository::init_opts(dir, options.initial_head("main")).unwrap();
    let who = git2::Signature::now("test", "test@example.org").unwrap();
    let tree = repository
        .find_tree(repository.treebuilder(None).unwrap().write().unwrap())
        .unwrap();
    let commit = repository
        .commit(Some("HEAD"), &who, &who, "first", &tree, &[])
        .unwrap();
    let object = repository.find_object(commit, None).unwrap();
    repository.tag("v1", &object, &who, "one", false).unwrap();
    commit.to_string()
}

async fn local_repositories_need_the_operators_leave(backend: Backend) {
    let server = Server::start(backend).await;
    for repository in [
        "/etc",
        "file:///etc",
        "../x",
        "http://example.org/x",
        "ssh://git@example.org/x",
        "https://user:secret@example.org/x",
        "git@example.org:x",
        "https://",
    ] {
        let mut task = task_json();
        task["repository"] = json!(repository);
        server
            .admin_post("/api/v1/tasks", &task)
            .await
            .names_fields(&["repository"]);
    }
}

async fn a_task_is_paused_resumed_and_closed_for_good(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    let to = |verb: &str| format!("/api/v1/tasks/{}/{verb}", id(&task));
    let claim = async || {
        server
            .post(&key(1), &to("claim"), &json!({"claim_description": "x"}))
            .await
    };
    server
        .admin_post(&to("resume"), &Value::Null)
        .await
        .refused(409, "wrong_task_state");
    assert_eq!(
        server
            .admin_post(&to("pause"), &Value::Null)
            .await
            .expect(200)["task_state"],
        "paused"
    );
    claim().await.refused(409, "task_not_live");
    server
        .admin_post(&to("pause"), &Value::Null)
        .await
        .refused(409, "wrong_task_state");
    assert_eq!(
        server
            .admin_post(&to("resume"), &Value::Null)
            .await
            .expect(200)["is_active"],
        true
    );
    claim().await.expect(201);
    assert_eq!(
        server
            .admin_post(&to("close"), &Value::Null)
            .await
            .expect(200)["task_state"],
        "closed"
    );
    for verb in ["pause", "resume", "close"] {
        server
            .admin_post(&to(verb), &Value::Null)
            .await
            .refused(409, "wrong_task_state");
    }
    claim().await.refused(409, "task_not_live");
    let ghost = format!("/api/v1/tasks/{}/pause", uuid::Uuid::new_v4());
    server
        .admin_post(&ghost, &Value::Null)
        .await
        .refused(404, "task_not_found");
}

async fn admin_routes_need_the_token_and_only_one_of_it(backend: Backend) {
    let server = Server::start(backend).await;
    let post = |token: &[&str]| {
        let mut request = server
            .request(reqwest::Method::POST, "/api/v1/tasks")
            .json(&task_json());
        for one in token {
            request = request.header("X-Admin-Token", *one);
        }
        server.send(request)
    };
    post(&[]).await.refused(401, "admin_token_missing");
    post(&["wrong"]).await.refused(401, "admin_token_wrong");
    post(&[""]).await.refused(401, "admin_token_wrong");
    post(&[crate::common::ADMIN, "wrong"])
        .await
        .refused(400, "repeated_header");
    assert_eq!(server.get("/api/v1/tasks").await.expect(200), json!([]));
}

async fn what_is_private_is_never_shown(backend: Backend) {
    let server = Server::start(backend).await;
    let secret = "https://private.example.org/held-out-SECRET";
    let task = server.task(|task| {
        task["private_inputs"] = json!([{"name": "held-out.json", "uri": secret, "sha256": "ab".repeat(32), "size_bytes": 7}]);
        task["validator_benchmark_env"] = json!({"TOKEN": "env-SECRET"});
    }).await;
    assert_eq!(task["has_private_inputs"], true);
    let submission = server.submit(&key(1), &task, |_| {}).await;
    server.accept(&key(200), &submission, 1.0).await;
    let (t, s) = (id(&task), id(&submission));
    for path in [
        "/api/v1/tasks".to_owned(),
        format!("/api/v1/tasks/{t}"),
        format!("/api/v1/tasks/{t}/onboard.md"),
        format!("/api/v1/tasks/{t}/best"),
        "/api/v1/submissions".to_owned(),
        format!("/api/v1/submissions/{s}"),
        format!("/api/v1/submissions/{s}/detail"),
        "/api/v1/verifications".to_owned(),
        "/api/v1/reward-snapshot".to_owned(),
        "/api/v1/dashboard".to_owned(),
        "/dashboard".to_owned(),
        format!("/dashboard/tasks/{t}"),
        format!("/dashboard/submissions/{s}"),
        "/api/v1/claims".to_owned(),
    ] {
        let reply = server.get(&path).await;
        assert!(
            !reply.text.contains("SECRET") && !reply.text.contains("private.example"),
            "{path} leaks"
        );
    }
    let mut conn = server.app.store.read().await.unwrap();
    let events = coordinator::store::events::after(&mut conn, 0, 1000)
        .await
        .unwrap();
    assert!(!serde_json::to_string(&events).unwrap().contains("SECRET"));
}

async fn the_onboarding_page_tells_a_miner_everything(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| task["onboard_md"] = json!("Read the paper first."))
        .await;
    let page = server.get(task["onboard_path"].as_str().unwrap()).await;
    assert_eq!(page.status, 200);
    for part in [
        "Sort faster",
        "score",
        "maximize",
        &"1".repeat(40),
        "`src`",
        "python bench.py",
        "make",
        "submission.json",
        "claimed_metrics",
        "BT-AUTH-V1",
        "replay-runner run",
        "Read the paper first.",
        "262144",
    ] {
        assert!(page.text.contains(part), "{part} is not in:\n{}", page.text);
    }
}

async fn the_catalog_is_read_page_by_page(backend: Backend) {
    let server = Server::start(backend).await;
    for _ in 0..5 {
        server.task(|_| {}).await;
    }
    let all = server.get("/api/v1/tasks").await.expect(200);
    let mut seen = Vec::new();
    let mut target = "/api/v1/tasks?limit=2".to_owned();
    loop {
        let page = server.get(&target).await;
        seen.extend(page.expect(200).as_array().unwrap().clone());
        let Some(link) = page.headers.get("link") else {
            break;
        };
        let link = link.to_str().unwrap();
        target = link[1..link.find('>').unwrap()].to_owned();
    }
    assert_eq!(json!(seen), all);
    for bad in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "cursor=x",
        "limit=1&limit=2",
        "task_state=gone",
    ] {
        assert_eq!(
            server.get(&format!("/api/v1/tasks?{bad}")).await.status,
            422,
            "{bad}"
        );
    }
}

on_both_databases! {
    a_task_is_created_and_served_with_the_wires_fields,
    an_omitted_competition_mode_is_centerless,
    all_wrong_fields_are_named_at_once,
    a_required_field_that_is_null_is_missing,
    a_slug_is_taken_once,
    a_branch_is_resolved_to_its_commit_once,
    local_repositories_need_the_operators_leave,
    a_task_is_paused_resumed_and_closed_for_good,
    admin_routes_need_the_token_and_only_one_of_it,
    what_is_private_is_never_shown,
    the_onboarding_page_tells_a_miner_everything,
    the_catalog_is_read_page_by_page,
}
