//! What came of each task: a table of what was submitted, the metric over time,
//! and who is best.

use anyhow::{Context as _, Result};
use protocol::task::{Direction, RankingMode};
use serde_json::Value;
use system_tests::network::{Client, Taken};
use system_tests::verdict::metrics;

use crate::miners::{Entry, Miners};
use crate::owners::Posted;
use crate::plot::{Point, plot};
use crate::screen::{Columns, Screen};
use crate::watch::{Fate, Watch};
use crate::words::{observed, short_name};

/// Shows one task.
pub(crate) fn show(
    screen: &Screen,
    client: &Client,
    miners: &Miners,
    task: &Posted<'_>,
    watch: &Watch<'_>,
) -> Result<()> {
    let style = screen.style;
    let title = style.part(&task.fixture.task.title);
    screen.say(&format!(
        "{title} {}",
        style.aside(&format!("({})", task.fixture.name))
    ));
    for (entry, fate) in watch.entries.iter().zip(&watch.fates) {
        if entry.task.id == task.id {
            screen.say(&row(screen, entry, fate));
        }
    }
    let points: Vec<Point> = watch
        .points
        .iter()
        .filter(|(id, _)| *id == task.id)
        .map(|(_, point)| *point)
        .collect();
    if points.is_empty() {
        return Ok(());
    }
    let rules = &task.fixture.task;
    let is_less = rules.metric_direction == Direction::Minimize;
    screen.say(plot(&points, is_less).trim_end());
    let which = match rules.ranking_mode {
        RankingMode::Scalar => "was best",
        RankingMode::Pareto => "was on the frontier",
    };
    let wanted = if is_less { "less" } else { "more" };
    screen.say(&format!(
        "  {}",
        style.aside(&format!(
            "{} of accepted submissions over time; {wanted} is better; ─ the best, ● {which}",
            short_name(&rules.metric_name),
        ))
    ));
    leaders(screen, client, miners, task)
}

/// One line of the table.
fn row(screen: &Screen, entry: &Entry<'_>, fate: &Fate) -> String {
    let (style, Columns { name, code }) = (screen.style, screen.columns);
    let head = format!(
        "{} {:name$}  {:8}",
        style.mark(fate.is_as_expected()),
        entry.case.name,
        fate.miner
    );
    let line = match (&fate.taken, &fate.decision) {
        (Some(Taken::Refused { code: said, .. }), _) => {
            let said = said.as_str();
            format!(
                "{head} {} {said:code$} when it was submitted",
                style.refused()
            )
        }
        (_, Some(decision)) => {
            let by: Vec<String> = fate
                .replays
                .iter()
                .map(|replay| {
                    let seconds = replay.seconds.unwrap_or_default();
                    format!("{} {seconds:.1} s", replay.validator)
                })
                .collect();
            format!(
                "{head} {} {:code$} {:37} {}",
                style.status(decision.status),
                decision.code.as_str(),
                observed(&entry.task.fixture.task, &decision.metrics),
                style.aside(&by.join(", ")),
            )
        }
        _ => format!("{head} undecided"),
    };
    let wrong = fate.differences.iter();
    let wrong = wrong.map(|line| format!("\n    {}", style.wrong(line)));
    line + &wrong.collect::<String>()
}

/// The best, or everybody on the frontier.
fn leaders(screen: &Screen, client: &Client, miners: &Miners, task: &Posted<'_>) -> Result<()> {
    let best = client.get(&format!("/api/v1/tasks/{}/best", task.id))?;
    let frontier = best["frontier"].as_array().context("a frontier")?;
    for leader in frontier {
        let miner = miners.name_of(leader["miner_hotkey"].as_str().unwrap_or_default());
        let observed: &Value = &leader["observed_metrics"];
        let values: Vec<String> = metrics(&task.fixture.task)
            .map(|(name, _)| format!("{} {}", short_name(name), observed[name]))
            .collect();
        screen.say(&format!("  {miner:8} {}", values.join(", ")));
    }
    Ok(())
}
