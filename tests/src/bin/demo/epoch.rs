//! From the snapshot to a root that anybody can recompute, and a claim with its
//! proof.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use protocol::Sha256Digest;
use protocol::claims::{
    ClaimPackage, KEY_HEADER, RecipientUpdate, SIGNATURE_HEADER, TIMESTAMP_HEADER,
};
use protocol::hotkey::Keypair;
use protocol::ss58::Address;
use serde_json::{Value, json};
use system_tests::network::{Pool, keypair};

use crate::miners::{Miner, Miners};
use crate::screen::Screen;
use crate::words::tokens;

/// What is divided: a thousand tokens.
const BUDGET_RAO: u64 = 1_000_000_000_000;
const EPOCH: u64 = 1;

/// An epoch with everybody's claim.
pub(crate) struct Epoch {
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
            name_recipient(&pool, miner, recipient)?;
            screen.say(&format!(
                "  {:8} signs that {recipient} is paid",
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
        contract,
        num_of_leaves: num_of_leaves.try_into()?,
        total_rao: total.parse()?,
        claims,
    })
}

/// What each miner can claim, with the proofs checked on the miner's side, where
/// nothing that the pool says has to be believed.
pub(crate) fn check(screen: &Screen, miners: &Miners, epoch: &Epoch) -> Result<()> {
    let style = screen.style;
    screen.say(&style.part("Miners check their proofs"));
    for claim in &epoch.claims {
        claim
            .verify(epoch.contract, epoch.num_of_leaves)
            .context("a proof does not lead to the root")?;
        screen.say(&format!(
            "  {} {:8} {:>16} tokens   {}",
            style.mark(true),
            miners.name_of(&claim.hotkey.to_string()),
            tokens(claim.amount_units),
            style.aside(&format!(
                "leaf {} of {}: {} hashes lead to the root",
                claim.index,
                epoch.num_of_leaves,
                claim.proof.len()
            )),
        ));
    }
    Ok(())
}

/// Where a miner keeps what it earns.
fn coldkey(name: &str) -> Address {
    keypair(&format!("{name}'s coldkey")).hotkey().address()
}

/// Tells the pool who is paid for the miner's hotkey, signed by that.
fn name_recipient(pool: &Pool, miner: &Miner, recipient: Address) -> Result<()> {
    let wallet: Value = serde_json::from_slice(&fs::read(miner.agent.hotkey_file())?)?;
    let seed = wallet["secretSeed"].as_str().context("no secretSeed")?;
    let seed: Sha256Digest = seed.trim_start_matches("0x").parse()?;
    let key = Keypair::from_seed(seed.as_bytes());
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let headers = RecipientUpdate::sign(&key, recipient, now).headers();
    let answer = reqwest::blocking::Client::new()
        .put(pool.url("/api/v1/miners/recipient-coldkey"))
        .header(KEY_HEADER, headers.key)
        .header(TIMESTAMP_HEADER, headers.timestamp)
        .header(SIGNATURE_HEADER, headers.signature)
        .json(&json!({"recipient_coldkey": recipient}))
        .send()?;
    let status = answer.status();
    ensure!(
        status.is_success(),
        "the pool answered {status}: {}",
        answer.text()?
    );
    Ok(())
}
