//! The weights that a validator would set now. There is no chain here: the demo
//! plays a node, which has the main network's recorded metadata and a metagraph
//! that the demo made up.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use protocol::hotkey::Hotkey;
use serde_json::Value;
use system_tests::network::{Client, Daemon, keypair};
use system_tests::runner::beside_this_program;
use system_tests::tool::Ended;

use crate::miners::Miners;
use crate::screen::Screen;
use crate::stand_in::{Account, StandIn, State};

const NETUID: u16 = 94;

/// Somebody on the subnet.
struct Neuron {
    name: String,
    hotkey: Hotkey,
    is_validator: bool,
}

/// Shows the weights that `validator` would set. Whether they are what the policy
/// says.
pub(crate) fn show(
    screen: &Screen,
    client: &Client,
    miners: &Miners,
    validator: &Daemon,
    directory: &Path,
) -> Result<bool> {
    let style = screen.style;
    screen.say(&style.part("Weights that would be set"));
    let policy = client.get("/api/v1/reward-snapshot")?["reward_policy"].clone();
    let targets = policy["validator_weights"]["targets"].as_array().cloned();
    let targets = targets.context("the policy has no targets")?;
    let neurons = metagraph(miners, validator, &targets)?;
    let places: Vec<String> = neurons
        .iter()
        .enumerate()
        .map(|(uid, neuron)| format!("{uid} {}", neuron.name))
        .collect();
    screen.say(&format!(
        "  {}",
        style.aside("No chain can be reached from a demo: this metagraph is the demo's own stand-in for one.")
    ));
    screen.say(&format!("  subnet {NETUID}: {}", places.join(", ")));
    for target in &targets {
        let holder = match target["hotkey"].as_str() {
            Some(hotkey) => format!("hotkey {hotkey}"),
            None => format!("UID {}", target["uid"]),
        };
        screen.say(&format!("  policy: {} to {holder}", target["weight"]));
    }
    let said = dry_run(client, &neurons, validator, directory)?;
    let vector = said["vector"]["uids"].as_array().context("a vector")?;
    let values = said["vector"]["weights"].as_array().context("a vector")?;
    let call = said["call"].as_str().context("a call")?;
    let wanted: Vec<usize> = targets
        .iter()
        .filter_map(|target| place(&neurons, target))
        .collect();
    let found: Vec<usize> = vector
        .iter()
        .filter_map(|uid| usize::try_from(uid.as_u64()?).ok())
        .collect();
    let right = wanted.len() == targets.len() && found == wanted;
    for (uid, value) in found.iter().zip(values) {
        let name = neurons.get(*uid).map_or("nobody", |neuron| &neuron.name);
        screen.say(&format!(
            "  {} {call} would give UID {uid} ({name}) {value}",
            style.mark(right)
        ));
    }
    Ok(right)
}

/// Where a target of the policy is.
fn place(neurons: &[Neuron], target: &Value) -> Option<usize> {
    match target["hotkey"].as_str() {
        Some(hotkey) => neurons
            .iter()
            .position(|neuron| neuron.hotkey.to_string() == hotkey),
        None => usize::try_from(target["uid"].as_u64()?).ok(),
    }
}

/// The subnet's owner, the validator, the miners, and whom the policy names.
fn metagraph(miners: &Miners, validator: &Daemon, targets: &[Value]) -> Result<Vec<Neuron>> {
    let neuron = |name: &str, hotkey: Hotkey| Neuron {
        name: name.to_owned(),
        hotkey,
        is_validator: false,
    };
    let mut neurons = vec![neuron("the subnet's owner", keypair("owner").hotkey())];
    neurons.push(Neuron {
        is_validator: true,
        ..neuron(validator.name(), keypair(validator.name()).hotkey())
    });
    for miner in &miners.all {
        neurons.push(neuron(miner.name, miner.agent.hotkey.parse()?));
    }
    for hotkey in targets
        .iter()
        .filter_map(|target| target["hotkey"].as_str())
    {
        neurons.push(neuron("the claim contract's hotkey", hotkey.parse()?));
    }
    Ok(neurons)
}

/// What the weight setter says, as JSON.
fn dry_run(
    client: &Client,
    neurons: &[Neuron],
    validator: &Daemon,
    directory: &Path,
) -> Result<Value> {
    let accounts = neurons.iter().map(|neuron| Account {
        hotkey: *neuron.hotkey.as_bytes(),
        stake: if neuron.is_validator { 1 << 40 } else { 1 },
        last_update: 0,
        permit: neuron.is_validator,
    });
    let runtime = tokio::runtime::Runtime::new()?;
    let node = runtime.block_on(StandIn::start(State::new(NETUID, accounts.collect())));
    let output = Command::new(beside_this_program("weight-setter")?)
        .args(["--dry-run", "--json", "--netuid", &NETUID.to_string()])
        .args(["--snapshot", &client.url("/api/v1/reward-snapshot")])
        .args(["--endpoint", &format!("ws://{}", node.endpoint())])
        .arg("--wallet-file")
        .arg(validator.hotkey_file())
        .arg("--lock-dir")
        .arg(directory)
        .output()
        .context("weight-setter")?;
    let ended = Ended::of(&output);
    ended.successful().context("weight-setter")?.json()
}
