//! Executes an epoch and its claims by the contract's own code, in ink!'s off-chain environment, so that whoever makes
//! epochs can hold them against the contract without a chain. The stake is played, nothing else.
//!
//! Reads an epoch as JSON on standard input and prints one JSON line for each claim, in order:
//!
//! ```text
//! {"contract": "0x…", "epoch": 1, "root": "0x…", "num_of_leaves": 3, "total_rao": 123000, "claims": [
//!   {"index": 0, "hotkey": "0x…", "recipient_coldkey": "0x…", "amount_units": 100000, "proof": ["0x…"]}]}
//!
//! {"index":0,"outcome":"paid","transferred_rao":100000}
//! {"index":0,"outcome":"AlreadyClaimed","transferred_rao":0}
//! ```
//!
//! Exit status 0 whatever the claims came to, 1 when the epoch itself is refused.

#[path = "../../tests/rules/support/chain.rs"]
#[expect(dead_code, reason = "only tests make the chain refuse")]
mod chain;

use std::error::Error;

use claim_contract::claim::ClaimData;
use claim_contract::epoch::CHALLENGE_BLOCKS;
use claim_contract::{ClaimContract, SubtensorEnvironment};
use ink::env::test;
use ink::primitives::{AccountId, Hash};
use serde::Deserialize;

use chain::{Chain, HOTKEY, NETUID};

#[derive(Deserialize)]
struct EpochFile {
    contract: Bytes32,
    epoch: u64,
    root: Bytes32,
    num_of_leaves: u32,
    total_rao: u64,
    claims: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    index: u32,
    hotkey: Bytes32,
    recipient_coldkey: Bytes32,
    amount_units: u64,
    proof: Vec<Bytes32>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "String")]
struct Bytes32([u8; 32]);

impl TryFrom<String> for Bytes32 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        let bytes = hex::decode(digits)
            .ok()
            .and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| format!("\"{text}\" is not 32 bytes in hex"))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let file: EpochFile = serde_json::from_reader(std::io::stdin())?;
    let mut failure = None;
    test::run_test::<SubtensorEnvironment, _>(|_| {
        failure = execute(&file).err();
        Ok(())
    })
    .map_err(|error| format!("the off-chain environment failed: {error:?}"))?;
    match failure {
        Some(message) => Err(message.into()),
        None => Ok(()),
    }
}

fn execute(file: &EpochFile) -> Result<(), String> {
    let address = AccountId::from(file.contract.0);
    let chain = Chain::with(address, file.total_rao);
    test::register_chain_extension(chain.clone());
    test::set_callee::<SubtensorEnvironment>(address);
    let mut contract = ClaimContract::new(NETUID, AccountId::from(HOTKEY));
    let root = Hash::from(file.root.0);
    contract
        .publish_epoch(
            file.epoch,
            root,
            file.num_of_leaves,
            file.total_rao,
            String::new(),
        )
        .map_err(|error| format!("epoch {} is refused: {error:?}", file.epoch))?;
    test::set_block_number::<SubtensorEnvironment>(CHALLENGE_BLOCKS);
    for package in &file.claims {
        let recipient = AccountId::from(package.recipient_coldkey.0);
        let before = chain.stake(recipient);
        let outcome = match contract.claim_single(claim(file.epoch, package), true) {
            Ok(()) => "paid".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        let line = serde_json::json!({
            "index": package.index,
            "outcome": outcome,
            "transferred_rao": chain.stake(recipient).saturating_sub(before),
        });
        println!("{line}");
    }
    Ok(())
}

fn claim(epoch: u64, package: &Package) -> ClaimData {
    ClaimData {
        epoch,
        index: package.index,
        hotkey: AccountId::from(package.hotkey.0),
        recipient_coldkey: AccountId::from(package.recipient_coldkey.0),
        amount: package.amount_units,
        proof: package
            .proof
            .iter()
            .map(|hash| Hash::from(hash.0))
            .collect(),
    }
}
