//! Who is registered on a subnet.

use protocol::hotkey::Hotkey;
use subxt::ext::scale_decode::DecodeAsType;
use subxt::utils::AccountId32;

use crate::{At, ChainError};

/// Everybody who is registered on a subnet, at one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metagraph {
    /// The subnet.
    pub netuid: u16,
    /// The block.
    pub block: u64,
    /// By UID, without gaps: the neuron at place `n` has UID `n`.
    pub neurons: Vec<Neuron>,
}

/// One place of a subnet and who holds it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neuron {
    /// The place; its holder changes.
    pub uid: u16,
    /// The holder.
    pub hotkey: Hotkey,
    /// The holder's stake on this subnet in rao of its token, of all who stake with
    /// it.
    pub stake_rao: u64,
    /// Whether it may set weights.
    pub validator_permit: bool,
    /// The block at which it last set weights.
    pub last_update: u64,
}

impl Metagraph {
    /// The neuron of a UID.
    pub fn by_uid(&self, uid: u16) -> Option<&Neuron> {
        self.neurons.get(usize::from(uid))
    }

    /// The neuron of a hotkey.
    pub fn by_hotkey(&self, hotkey: &Hotkey) -> Option<&Neuron> {
        self.neurons.iter().find(|neuron| neuron.hotkey == *hotkey)
    }
}

/// The fields of the runtime's `NeuronInfoLite` that count here; the others are
/// skipped by name.
#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct NeuronInfoLite {
    hotkey: AccountId32,
    uid: u16,
    netuid: u16,
    stake: Vec<(AccountId32, u64)>,
    last_update: u64,
    validator_permit: bool,
}

impl At {
    /// Everybody on a subnet: hotkeys by UID, stake, permit, last update.
    ///
    /// # Errors
    /// [`ChainError::NoSubnet`]; [`ChainError::Read`] for an answer that contradicts
    /// itself.
    pub async fn metagraph(&self, netuid: u16) -> Result<Metagraph, ChainError> {
        if !self.value("NetworksAdded", (netuid,)).await? {
            return Err(ChainError::NoSubnet(netuid));
        }
        let answer: Vec<NeuronInfoLite> = self
            .runtime("NeuronInfoRuntimeApi", "get_neurons_lite", (netuid,))
            .await?;
        let neurons = sort_out(netuid, answer).map_err(|problem| ChainError::Read {
            what: "the metagraph",
            problem,
        })?;
        Ok(Metagraph {
            netuid,
            block: self.block_number(),
            neurons,
        })
    }
}

/// Orders neurons by UID, and refuses a list in which a UID or a hotkey means two.
fn sort_out(netuid: u16, answer: Vec<NeuronInfoLite>) -> Result<Vec<Neuron>, String> {
    let mut neurons = Vec::with_capacity(answer.len());
    for info in answer {
        if info.netuid != netuid {
            return Err(format!(
                "UID {} is said to be of subnet {}, not {netuid}",
                info.uid, info.netuid
            ));
        }
        let stakes = info.stake.iter().map(|(_, stake)| *stake);
        neurons.push(Neuron {
            uid: info.uid,
            hotkey: Hotkey::from_bytes(info.hotkey.0),
            stake_rao: stakes.fold(0, u64::saturating_add),
            validator_permit: info.validator_permit,
            last_update: info.last_update,
        });
    }
    neurons.sort_by_key(|neuron| neuron.uid);
    let mut hotkeys = std::collections::BTreeSet::new();
    for (place, neuron) in neurons.iter().enumerate() {
        if usize::from(neuron.uid) != place {
            return Err(format!("UID {} is at place {place}", neuron.uid));
        }
        if !hotkeys.insert(neuron.hotkey) {
            return Err(format!("hotkey {} has two UIDs", neuron.hotkey));
        }
    }
    Ok(neurons)
}
