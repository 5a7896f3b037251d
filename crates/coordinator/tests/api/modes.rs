//! Competition modes, ranking, and the planner.

use serde_json::{Value, json};

use crate::common::{Backend, Server, id, key, validator};

async fn only_strict_improvements_take_the_lead_and_the_history_is_kept(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| task["metric_direction"] = json!("minimize"))
        .await;
    let mut submissions = Vec::new();
    for (miner, score) in [(1, 5.0), (2, 5.0), (3, 4.0), (4, 6.0)] {
        let submission = server.submit(&key(miner), &task, |_| {}).await;
        server.accept(&validator(0), &submission, score).await;
        submissions.push(submission);
    }
    let best = server
        .get(&format!("/api/v1/tasks/{}/best", id(&task)))
        .await
        .expect(200);
    assert_eq!(best["best"]["id"], submissions[2]["id"]);
    let history: Vec<&Value> = best["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["submission_id"])
        .collect();
    assert_eq!(history, [&submissions[0]["id"], &submissions[2]["id"]]);
    server
        .get(&format!("/api/v1/tasks/{}/best", uuid::Uuid::new_v4()))
        .await
        .refused(404, "task_not_found");
}

async fn a_pareto_task_has_a_frontier(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| {
            task["ranking_mode"] = json!("pareto");
            task["secondary_metric_name"] = json!("bytes");
            task["secondary_metric_direction"] = json!("minimize");
        })
        .await;
    let mut ids = Vec::new();
    for (miner, score, bytes) in [(1, 1.0, 10), (2, 2.0, 20), (3, 0.5, 30), (4, 3.0, 5)] {
        let submission = server.submit(&key(miner), &task, |_| {}).await;
        let result =
            json!({"status": "accepted", "observed_metrics": {"score": score, "bytes": bytes}});
        server
            .judge(&validator(0), &submission, &result)
            .await
            .expect(200);
        ids.push(submission["id"].clone());
        let frontier = server
            .get(&format!("/api/v1/tasks/{}/best", id(&task)))
            .await
            .expect(200)["frontier"]
            .clone();
        let members: Vec<Value> = frontier
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].clone())
            .collect();
        let expected: Vec<Value> = match miner {
            1 => vec![ids[0].clone()],
            2 | 3 => vec![ids[1].clone(), ids[0].clone()],
            _ => vec![ids[3].clone()],
        };
        assert_eq!(members, expected, "after miner {miner}");
    }
    assert_eq!(
        server
            .get(&format!("/dashboard/tasks/{}", id(&task)))
            .await
            .text
            .matches("<circle")
            .count(),
        4
    );
}

async fn a_centerless_task_needs_ideas_and_pays_their_proposer(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| task["competition_mode"] = json!("centerless"))
        .await;
    server
        .try_submit(&key(1), &task, |_| {})
        .await
        .names_fields(&["proposed_idea"]);
    let with = |idea: &'static str, of: Value| {
        move |body: &mut Value| {
            body["proposed_idea"] = json!(idea);
            body["implemented_submission_id"] = of;
        }
    };
    let idea = server
        .submit(&key(2), &task, with("use radix sort", Value::Null))
        .await;
    server.accept(&validator(0), &idea, 1.0).await;
    server
        .try_submit(&key(3), &task, with("x", json!(uuid::Uuid::new_v4())))
        .await
        .names_fields(&["implemented_submission_id"]);
    let own = server
        .submit(&key(2), &task, with("y", idea["id"].clone()))
        .await;
    server.accept(&validator(0), &own, 2.0).await;
    assert_eq!(
        server.get("/api/v1/idea-rewards").await.expect(200),
        json!([]),
        "nobody is paid for their own idea"
    );
    let other = server
        .submit(&key(3), &task, with("z", idea["id"].clone()))
        .await;
    server.accept(&validator(0), &other, 3.0).await;
    let rewards = server.get("/api/v1/idea-rewards").await.expect(200);
    assert_eq!(rewards[0]["proposer_hotkey"], key(2).hotkey().to_string());
    assert_eq!(rewards[0]["implementing_submission_id"], other["id"]);
    assert_eq!(rewards[0]["improved_best"], true);
    let snapshot = server.get("/api/v1/reward-snapshot").await.expect(200);
    let share = |who: u8| {
        snapshot["eligible_miners"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["hotkey"] == key(who).hotkey().to_string())
            .map(|one| one["share_ppb"].clone())
    };
    assert_eq!(share(3), Some(json!(900_000_000)));
    assert_eq!(share(2), Some(json!(100_000_000)));
}

async fn an_implementation_that_improves_nothing_earns_the_idea_no_share(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| task["competition_mode"] = json!("centerless"))
        .await;
    let idea = server
        .submit(&key(1), &task, |body| body["proposed_idea"] = json!("i"))
        .await;
    server.accept(&validator(0), &idea, 5.0).await;
    let weak = server
        .submit(&key(2), &task, |body| {
            body["proposed_idea"] = json!("j");
            body["implemented_submission_id"] = idea["id"].clone();
        })
        .await;
    server.accept(&validator(0), &weak, 1.0).await;
    assert_eq!(
        server.get("/api/v1/idea-rewards").await.expect(200)[0]["improved_best"],
        false
    );
    let snapshot = server.get("/api/v1/reward-snapshot").await.expect(200);
    assert_eq!(snapshot["eligible_miners"][0]["results_ppb"], 1_000_000_000);
}

async fn peers_decide_by_the_median_and_never_about_themselves(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| {
            task["competition_mode"] = json!("peer_evaluation");
            task["min_peer_evaluations"] = json!(3);
        })
        .await;
    let submission = server.submit(&key(1), &task, |_| {}).await;
    assert_eq!(
        server
            .post(
                &validator(0),
                "/api/v1/validator/submissions/scan",
                &json!({})
            )
            .await
            .expect(200)["jobs"],
        json!([])
    );
    let target = format!("/api/v1/submissions/{}/peer-evaluate", id(&submission));
    let say = async |who: u8, score: f64| {
        server
            .post(
                &key(who),
                &target,
                &json!({"observed_metrics": {"score": score}}),
            )
            .await
    };
    say(1, 9.0).await.refused(403, "self_evaluation");
    say(2, 1.0).await.expect(201);
    say(2, 2.0).await.refused(409, "already_evaluated");
    server
        .post(&key(3), &target, &json!({}))
        .await
        .names_fields(&["observed_metrics.score"]);
    server
        .post(&key(3), &target, &json!({"status": "maybe"}))
        .await
        .names_fields(&["status"]);
    say(3, 3.0).await.expect(201);
    let standing = format!("/api/v1/submissions/{}/peer-consensus", id(&submission));
    assert_eq!(
        server.get(&standing).await.expect(200)["consensus_reached"],
        false
    );
    say(4, 2.0).await.expect(201);
    let done = server.get(&standing).await.expect(200);
    assert_eq!(
        (&done["consensus_reached"], &done["status"]),
        (&json!(true), &json!("accepted"))
    );
    assert_eq!(done["consensus_metrics"], json!({"score": 2.0}));
    say(5, 1.0).await.refused(409, "submission_decided");
    let listed = server
        .get(&format!(
            "/api/v1/peer-evaluations?submission_id={}",
            id(&submission)
        ))
        .await
        .expect(200);
    assert_eq!(listed.as_array().unwrap().len(), 3);
    let standard = server.task(|_| {}).await;
    let other = server.submit(&key(1), &standard, |_| {}).await;
    let target = format!("/api/v1/submissions/{}/peer-evaluate", id(&other));
    server
        .post(&key(2), &target, &json!({"observed_metrics": {"score": 1}}))
        .await
        .refused(409, "validators_decide");
}

async fn the_planner_plans_the_same_twice_and_items_are_claimed_and_completed(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server
        .task(|task| task["competition_mode"] = json!("centerless"))
        .await;
    let run = async || {
        server
            .admin_post("/api/v1/planner/run", &json!({"task_id": task["id"]}))
            .await
            .expect(200)
    };
    assert_eq!(run().await["created"], 1);
    assert_eq!(run().await, json!({"tasks": 1, "created": 0, "retired": 0}));
    let idea = server
        .submit(&key(1), &task, |body| {
            body["proposed_idea"] = json!("<i>try</i>");
        })
        .await;
    server.accept(&validator(0), &idea, 1.0).await;
    let planned = run().await;
    assert_eq!(
        (&planned["created"], &planned["retired"]),
        (&json!(2), &json!(1))
    );
    let items = server
        .get(&format!(
            "/api/v1/work-items?task_id={}&status=open",
            id(&task)
        ))
        .await
        .expect(200);
    let item = items
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["kind"] == "implement_idea")
        .unwrap();
    let target = format!("/api/v1/work-items/{}/claim", id(item));
    let claimed = server
        .post(&key(2), &target, &Value::Null)
        .await
        .expect(201);
    server
        .post(&key(3), &target, &Value::Null)
        .await
        .refused(409, "work_item_not_open");
    let mut body = crate::common::submission_json(&claimed["claim"]);
    body["proposed_idea"] = json!("next");
    let submission = server
        .post(&key(2), "/api/v1/submissions", &body)
        .await
        .expect(201);
    let done = server
        .get("/api/v1/work-items?status=completed")
        .await
        .expect(200);
    assert_eq!(done[0]["submission_id"], submission["id"]);
    let ghost = format!("/api/v1/work-items/{}/claim", uuid::Uuid::new_v4());
    server
        .post(&key(2), &ghost, &Value::Null)
        .await
        .refused(404, "work_item_not_found");
    server
        .admin_post(
            "/api/v1/planner/run",
            &json!({"task_id": uuid::Uuid::new_v4()}),
        )
        .await
        .refused(404, "task_not_found");
}

async fn an_expired_claim_opens_its_work_item_again(backend: Backend) {
    let server = Server::start(backend).await;
    let task = server.task(|_| {}).await;
    server
        .admin_post("/api/v1/planner/run", &Value::Null)
        .await
        .expect(200);
    let items = server
        .get(&format!("/api/v1/work-items?task_id={}", id(&task)))
        .await
        .expect(200);
    let target = format!("/api/v1/work-items/{}/claim", id(&items[0]));
    server
        .post(&key(1), &target, &Value::Null)
        .await
        .expect(201);
    server.app.clock.advance_seconds(46 * 60);
    server
        .post(&key(2), &target, &Value::Null)
        .await
        .expect(201);
}

on_both_databases! {
    only_strict_improvements_take_the_lead_and_the_history_is_kept,
    a_pareto_task_has_a_frontier,
    a_centerless_task_needs_ideas_and_pays_their_proposer,
    an_implementation_that_improves_nothing_earns_the_idea_no_share,
    peers_decide_by_the_median_and_never_about_themselves,
    the_planner_plans_the_same_twice_and_items_are_claimed_and_completed,
    an_expired_claim_opens_its_work_item_again,
}
