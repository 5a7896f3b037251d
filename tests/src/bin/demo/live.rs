//! The lines that move: what each validator does, and the best of each task.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::task::Direction;
use system_tests::network::Daemon;

use crate::network::Network;
use crate::plot::{best_so_far, sparkline};
use crate::style::Style;
use crate::watch::Watch;
use crate::words::short_name;

/// The marks of a sparkline.
const MOMENTS: usize = 24;

/// All of them, as things are now.
pub(crate) fn lines(style: Style, network: &Network, watch: &Watch<'_>) -> Vec<String> {
    let mut lines = vec![String::new()];
    for validator in &network.validators {
        lines.push(busy(style, validator, watch));
    }
    lines.push(queue(style, watch));
    lines.extend(bests(style, watch));
    lines
}

fn busy(style: Style, validator: &Daemon, watch: &Watch<'_>) -> String {
    let name = style.bold(&format!("{:8}", validator.name()));
    // It has not begun, or writes at this moment.
    let Ok(Some(overview)) = validator.overview() else {
        return format!("  {name} starts");
    };
    let running: Vec<String> = overview
        .open
        .iter()
        .filter(|job| job.state == "running")
        .map(|job| {
            let what = watch
                .entry_of(&job.submission_id)
                .map_or(job.submission_id.clone(), |(entry, fate)| {
                    format!("{} of {}", entry.case.name, fate.miner)
                });
            let age = u64::try_from(overview.now - job.changed_at).unwrap_or(0);
            let age = Duration::from_millis(age).as_secs_f64();
            format!("{what}: {} {age:.0} s", job.stage)
        })
        .collect();
    if running.is_empty() {
        return format!("  {name} {}", style.aside("waits for work"));
    }
    format!("  {name} {}", running.join(" · "))
}

fn queue(style: Style, watch: &Watch<'_>) -> String {
    let decided = watch
        .fates
        .iter()
        .filter(|fate| fate.is_as_expected())
        .count();
    let submitted = watch
        .fates
        .iter()
        .filter(|fate| fate.taken.is_some())
        .count();
    let text = format!(
        "{submitted} of {} submitted, {decided} decided as expected",
        watch.entries.len()
    );
    format!("  {}", style.aside(&text))
}

/// The best of each task over time, as a line of marks.
fn bests(style: Style, watch: &Watch<'_>) -> Vec<String> {
    let mut by_task: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (task, point) in &watch.points {
        by_task.entry(task).or_default().push(*point);
    }
    let tasks = by_task.into_iter().filter_map(|(id, points)| {
        let entry = watch.entries.iter().find(|entry| entry.task.id == id)?;
        let task = &entry.task.fixture.task;
        let is_less = task.metric_direction == Direction::Minimize;
        let bests = best_so_far(&points, is_less);
        let recent = &bests[bests.len().saturating_sub(MOMENTS)..];
        let arrow = if is_less { "↓" } else { "↑" };
        Some(format!(
            "  {:18} {} {arrow} {} {}",
            entry.task.fixture.name,
            style.aside(short_name(&task.metric_name)),
            sparkline(recent),
            recent.last()?,
        ))
    });
    tasks.collect()
}
