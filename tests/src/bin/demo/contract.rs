//! Claims against the contract's own code, without a chain.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use protocol::claims::ClaimPackage;
use serde_json::{Value, json};
use system_tests::fixtures;
use system_tests::runner::beside_this_program;

use crate::epoch::Epoch;
use crate::miners::Miners;
use crate::screen::Screen;
use crate::words::tokens;

const PROGRAM: &str = "examples/execute_epoch";

/// The program that executes an epoch by the contract's code. The contract is a
/// workspace of its own, with a target directory of its own unless there is one for
/// everything.
pub(crate) fn executor() -> Result<PathBuf> {
    let workspace = fixtures::root().with_file_name("crates/claim-contract");
    let places = [
        workspace.join("target/debug").join(PROGRAM),
        beside_this_program(PROGRAM)?,
    ];
    match places.into_iter().find(|place| place.is_file()) {
        Some(place) => Ok(place),
        None => bail!(
            "the contract is not built; `just demo` does it, or `cd {} && cargo build --example execute_epoch`",
            workspace.display()
        ),
    }
}

/// Lets everybody claim, the first twice and once too much. Whether the contract
/// paid what it should and nothing else.
pub(crate) fn claim(screen: &Screen, miners: &Miners, epoch: &Epoch) -> Result<bool> {
    let style = screen.style;
    screen.say(&style.part("They claim: the contract's own code, executed off chain"));
    let first = epoch.claims.first().context("nobody has a claim")?;
    let greedy = ClaimPackage {
        amount_units: first.amount_units + 1,
        ..first.clone()
    };
    let paid = |claim: &ClaimPackage| ("paid", claim.amount_units);
    let mut attempts = vec![(greedy, "one rao too many", ("ProofInvalid", 0))];
    attempts.push((first.clone(), "the proof as it is", paid(first)));
    attempts.push((first.clone(), "the same again", ("AlreadyClaimed", 0)));
    for claim in &epoch.claims[1..] {
        attempts.push((claim.clone(), "the proof as it is", paid(claim)));
    }
    let said = execute(epoch, attempts.iter().map(|(claim, ..)| claim))?;
    ensure!(said.len() == attempts.len(), "the contract said {said:?}");
    let mut all_right = true;
    for ((claim, what, (outcome, rao)), said) in attempts.iter().zip(said) {
        let right = said["outcome"] == *outcome && said["transferred_rao"] == *rao;
        all_right &= right;
        screen.say(&format!(
            "  {} {:8} {what:20} {:14} {:>16} tokens",
            style.mark(right),
            miners.name_of(&claim.hotkey.to_string()),
            said["outcome"].as_str().unwrap_or_default(),
            tokens(said["transferred_rao"].as_u64().unwrap_or_default()),
        ));
    }
    Ok(all_right)
}

/// Publishes the epoch, waits for its window to be over, and makes the claims.
fn execute<'a>(
    epoch: &Epoch,
    claims: impl Iterator<Item = &'a ClaimPackage> + Clone,
) -> Result<Vec<Value>> {
    let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    let first = claims.clone().next().context("nobody claims")?;
    let packages: Vec<Value> = claims
        .map(|claim| {
            json!({
                "index": claim.index,
                "hotkey": hex(claim.hotkey.as_bytes()),
                "recipient_coldkey": hex(claim.recipient_coldkey.as_bytes()),
                "amount_units": claim.amount_units,
                "proof": claim.proof,
            })
        })
        .collect();
    let document = json!({
        "contract": hex(epoch.contract.as_bytes()),
        "epoch": first.epoch,
        "root": first.root,
        "num_of_leaves": epoch.num_of_leaves,
        "total_rao": epoch.total_rao,
        "claims": packages,
    });
    let mut process = Command::new(executor()?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = process.stdin.take().context("its input")?;
    input.write_all(document.to_string().as_bytes())?;
    drop(input);
    let output = process.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the contract: {}", errors.trim());
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().map(|line| Ok(serde_json::from_str(line)?));
    lines.collect()
}
