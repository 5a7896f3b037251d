//! From the snapshot to a root that anybody can recompute, and a claim with its
//! proof.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use protocol::claims::ClaimPackage;
use protocol::ss58::Address;
use serde_json::Value;
use system_tests::network::{Pool, keypair};

use crate::miners::{Miner, Miners};
use crate::screen::Screen;
use crate::words::tokens;

/// What is divided: a thousand tokens.
const BUDGET_RAO: u64 = 1_000_000_000_000;
const EPOCH: u64 = 1;

/// An epoch with everybody's claim.
pub(crate) struct Epoch {
    pool: Pool,
    pub(crate) contract: Address,
    pub(crate) num_of_leaves: u32,
    pub(crate) total_rao: u64,
    /// The largest first.
    pub(crate) claims: Vec<ClaimPackage>,
}

/// Lets the miners with these hotkeys name who is paid, and makes an epoch of the
/// snapshot.
pub(crate) fn make(
    screen: &Screen,
    directory: &Path,
    coordinator: &str,
    miners: &Miners,
    hotkeys: &[String],
) -> Result<Epoch> {
    let style = screen.style;
    screen.say(&style.part("The pool makes an epoch of it"));
    let pool = Pool::start(&directory.join("pool"))?;
    for miner in &miners.all {
        if hotkeys.contains(&miner.agent.hotkey) {
            let recipient = coldkey(miner.name);
            let words = ["rewards", "set-recipient", &recipient.to_string()];
            rewards(&pool, miner, words)?;
            screen.say(&format!(
                "  {:8} rewards set-recipient: {recipient} is paid",
                miner.name
            ));
        }
    }
    let contract = keypair("claim contract").hotkey().address();
    let snapshot = format!("{coordinator}/api/v1/reward-snapshot");
    let built = pool.run([
        "epoch",
        "build",
        &EPOCH.to_string(),
        "--contract",
        &contract.to_string(),
        "--snapshot",
        &snapshot,
        "--budget-rao",
        &BUDGET_RAO.to_string(),
    ])?;
    let line = |name: &str| {
        let mut lines = built.lines().filter_map(|line| line.trim().split_once(' '));
        let found = lines.find(|(label, _)| *label == name);
        found.map_or("", |(_, value)| value.trim())
    };
    screen.say(&format!(
        "  pool epoch build: root {}, {} leaves, {} tokens",
        line("root"),
        line("leaves"),
        tokens(BUDGET_RAO)
    ));
    let verified = pool.run(["verify", line("file")])?;
    screen.say(&format!("  pool verify: {}", verified.trim()));

    let view = pool.get(&format!("/claims/epoch/{EPOCH}"))?;
    let num_of_leaves = view["num_of_leaves"].as_u64().context("num_of_leaves")?;
    let total = view["total_rao"].as_str().context("total_rao")?;
    let mut claims = Vec::new();
    for hotkey in hotkeys {
        let package = pool.get(&format!("/claims/epoch/{EPOCH}/proof/{hotkey}"))?;
        claims.push(serde_json::from_value(package).context("a claim package")?);
    }
    Ok(Epoch {
        pool,
        contract,
        num_of_leaves: num_of_leaves.try_into()?,
        total_rao: total.parse()?,
        claims,
    })
}

/// What each miner's own tool says of its claim: it checks the proof itself, and
/// believes nothing that the pool says.
pub(crate) fn check(screen: &Screen, miners: &Miners, epoch: &Epoch) -> Result<()> {
    let style = screen.style;
    screen.say(&style.part("Miners look at their rewards, and check their proofs"));
    let contract = epoch.contract.to_string();
    for claim in &epoch.claims {
        let hotkey = claim.hotkey.to_string();
        let miner = miners.all.iter().find(|one| one.agent.hotkey == hotkey);
        let miner = miner.with_context(|| format!("{hotkey} has no name"))?;
        let list = rewards(
            &epoch.pool,
            miner,
            ["rewards", "list", "--contract", &contract],
        )?;
        let line = &list["epochs"][0];
        let amount = claim.amount_units.to_string();
        ensure!(
            line["epoch"] == EPOCH && line["amount_rao"] == *amount,
            "{} sees {list}",
            miner.name
        );
        ensure!(line["proof"] == "good", "{} finds {list}", miner.name);
        screen.say(&format!(
            "  {} {:8} rewards list: {:>16} tokens   {}",
            style.mark(true),
            miner.name,
            tokens(claim.amount_units),
            style.aside(&format!(
                "leaf {} of {}, its proof leads to the root",
                claim.index, epoch.num_of_leaves,
            )),
        ));
    }
    Ok(())
}

/// Where a miner keeps what it earns.
fn coldkey(name: &str) -> Address {
    keypair(&format!("{name}'s coldkey")).hotkey().address()
}

/// What one of the miner's commands about rewards says.
fn rewards<const N: usize>(pool: &Pool, miner: &Miner, words: [&str; N]) -> Result<Value> {
    let pool = pool.url("");
    let more = ["--json", "--pool-url", &pool];
    let ended = miner.agent.run_signed(words.iter().chain(&more))?;
    ended.successful()?.json()
}
