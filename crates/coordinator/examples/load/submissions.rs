//! Signed submissions, as many as many clients get answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coordinator::store::claims;
use coordinator::store::rows::{ClaimRow, ClaimStatus};
use protocol::hotkey::Keypair;
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::service::{Service, key};

/// More submissions than a client gets answered in a second.
const READY_PER_SECOND: u64 = 400;

/// Claims are made and requests signed before, and not counted.
pub(crate) async fn per_second(
    service: &Service,
    task: &str,
    clients: u8,
    time: Duration,
) -> anyhow::Result<f64> {
    let mut running = JoinSet::new();
    let count = Arc::new(AtomicU64::new(0));
    let start = Arc::new(Barrier::new(usize::from(clients) + 1));
    for n in 1..=clients {
        let miner = key(n);
        let ids = claims_of(service, task, &miner, time.as_secs() * READY_PER_SECOND).await?;
        let requests: Vec<_> = ids
            .iter()
            .map(|claim| submission(service, &miner, claim))
            .collect::<anyhow::Result<_>>()?;
        let (count, start) = (count.clone(), start.clone());
        running.spawn(async move {
            start.wait().await;
            let began = Instant::now();
            for request in requests {
                if began.elapsed() > time {
                    break;
                }
                let answer = request.send().await;
                if answer.is_ok_and(|answer| answer.status() == 201) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    start.wait().await;
    let began = Instant::now();
    while running.join_next().await.is_some() {}
    #[expect(clippy::cast_precision_loss, reason = "a count for people")]
    Ok(count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}

/// Claims straight into the database.
async fn claims_of(
    service: &Service,
    task: &str,
    miner: &Keypair,
    count: u64,
) -> anyhow::Result<Vec<String>> {
    let now = service.app.clock.now();
    let made: Vec<ClaimRow> = (0..count)
        .map(|_| ClaimRow {
            id: uuid::Uuid::new_v4().to_string(),
            task_id: task.to_owned(),
            miner_hotkey: miner.hotkey().to_string(),
            claim_description: "load".to_owned(),
            base_submission_id: None,
            work_item_id: None,
            status: ClaimStatus::Active,
            expires_at: now.plus_seconds(2700),
            created_at: now,
            updated_at: now,
        })
        .collect();
    let ids = made.iter().map(|claim| claim.id.clone()).collect();
    let store = &service.app.store;
    store
        .write(move |conn| {
            Box::pin(async move {
                for claim in made {
                    claims::insert(conn, &claim).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(ids)
}

fn submission(
    service: &Service,
    miner: &Keypair,
    claim: &str,
) -> anyhow::Result<reqwest::RequestBuilder> {
    let patch = format!(
        "diff --git a/src/a b/src/a\n--- a/src/a\n+++ b/src/a\n@@ -1 +1 @@\n-x\n+{}\n",
        uuid::Uuid::new_v4()
    );
    let body = json!({"claim_id": claim, "base_ref": "main", "patch": patch, "summary": "load", "claimed_metrics": {"score": 1.0}});
    service.signed(miner, "/api/v1/submissions", &body.to_string())
}
