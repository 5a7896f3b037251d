//! The reward snapshot: who is to be paid.

use anyhow::{Context as _, Result};
use serde_json::Value;
use system_tests::network::Client;

use crate::miners::Miners;
use crate::screen::Screen;

/// Shows the snapshot, and gives the hotkeys that are to be paid, the largest share
/// first.
pub(crate) fn show(screen: &Screen, client: &Client, miners: &Miners) -> Result<Vec<String>> {
    let style = screen.style;
    let snapshot = client.get("/api/v1/reward-snapshot")?;
    screen.say(&style.part("What is to be paid: the coordinator's reward snapshot"));
    let eligible = snapshot["eligible_miners"].as_array();
    let eligible = eligible.context("the snapshot has no eligible_miners")?;
    let mut shares: Vec<(u64, &Value)> = eligible
        .iter()
        .map(|miner| Ok((ppb(miner, "share_ppb")?, miner)))
        .collect::<Result<_>>()?;
    shares.sort_by_key(|(share, _)| std::cmp::Reverse(*share));
    let mut hotkeys = Vec::new();
    for (share, miner) in shares {
        let hotkey = miner["hotkey"].as_str().context("a miner has a hotkey")?;
        let (results, ideas) = (ppb(miner, "results_ppb")?, ppb(miner, "ideas_ppb")?);
        let parts = format!("results {}, ideas {}", percent(results), percent(ideas));
        screen.say(&format!(
            "  {:8} {:>7}   {}",
            miners.name_of(hotkey),
            percent(share),
            style.aside(&parts)
        ));
        hotkeys.push(hotkey.to_owned());
    }
    Ok(hotkeys)
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
