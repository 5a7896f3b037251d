//! What everybody sees in the end: the best of each task, and who is to be paid.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use protocol::task::RankingMode;
use serde_json::Value;
use system_tests::fixtures::Fixture;
use system_tests::table::Table;
use system_tests::verdict::metrics;

use crate::miners::Miners;
use crate::plot::{Point, plot};
use crate::service::Service;

/// The metric over time, and the best or the frontier.
pub(crate) fn leaders(
    service: &Service,
    miners: &Miners,
    fixture: &Fixture,
    task_id: &str,
    table: Table,
) -> Result<()> {
    let task = &fixture.task;
    let best = service
        .client
        .get(&format!("/api/v1/tasks/{task_id}/best"))?;
    let records: BTreeSet<&str> = list(&best["history"])
        .iter()
        .filter_map(|reign| reign["submission_id"].as_str())
        .collect();
    let path = format!("/api/v1/submissions?task_id={task_id}&status=accepted&limit=1000");
    let accepted = service.client.get(&path)?;
    let points: Vec<Point> = list(&accepted)
        .iter()
        .rev()
        .filter_map(|row| {
            Some(Point {
                value: row["observed_metrics"][&task.metric_name].as_f64()?,
                is_record: records.contains(row["id"].as_str()?),
            })
        })
        .collect();
    println!("{}", table.heading(&fixture.name, task));
    print!("{}", plot(&points));
    let which = match task.ranking_mode {
        RankingMode::Scalar => "was best",
        RankingMode::Pareto => "was on the frontier",
    };
    let about = format!(
        "{} of {} accepted submissions in the order they came; ● {which}",
        task.metric_name.trim_start_matches("supervisor."),
        points.len(),
    );
    println!("  {}", table.aside(&about));
    for row in list(&best["frontier"]) {
        let miner = miners.name_of(row["miner_hotkey"].as_str().unwrap_or_default());
        let values: Vec<String> = metrics(task)
            .map(|(name, _)| {
                let name_shown = name.trim_start_matches("supervisor.");
                format!("{name_shown} {}", row["observed_metrics"][name])
            })
            .collect();
        println!("  {miner:8} {}", values.join(", "));
    }
    Ok(())
}

/// The reward snapshot.
pub(crate) fn rewards(service: &Service, miners: &Miners, table: Table) -> Result<()> {
    let snapshot = service.client.get("/api/v1/reward-snapshot")?;
    println!("{}", table.part("What is to be paid"));
    let mut shares: Vec<(u64, &Value)> = list(&snapshot["eligible_miners"])
        .iter()
        .map(|miner| Ok((ppb(miner, "share_ppb")?, miner)))
        .collect::<Result<_>>()?;
    shares.sort_by_key(|(share, _)| std::cmp::Reverse(*share));
    for (share, miner) in shares {
        let name = miners.name_of(miner["hotkey"].as_str().unwrap_or_default());
        let (results, ideas) = (ppb(miner, "results_ppb")?, ppb(miner, "ideas_ppb")?);
        let parts = format!("results {}, ideas {}", percent(results), percent(ideas));
        println!("  {name:8} {:>7}   {}", percent(share), table.aside(&parts));
    }
    let targets = &snapshot["reward_policy"]["validator_weights"]["targets"];
    let targets: Vec<String> = list(targets)
        .iter()
        .map(|target| match target["hotkey"].as_str() {
            Some(hotkey) => format!("{} to {hotkey}", target["weight"]),
            None => format!("{} to UID {}", target["weight"], target["uid"]),
        })
        .collect();
    let text = format!("weights on the chain: {}", targets.join(", "));
    println!("  {}", table.aside(&text));
    Ok(())
}

fn ppb(miner: &Value, name: &str) -> Result<u64> {
    let share = miner[name].as_u64();
    share.with_context(|| format!("the snapshot has no {name}"))
}

/// Billionths, to a tenth of a per cent.
fn percent(ppb: u64) -> String {
    let tenths = (ppb + 500_000) / 1_000_000;
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
