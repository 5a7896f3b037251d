//! Whether weights can be set now, by the chain's own rules: what it would refuse is
//! refused here, in words, before anything is signed.

use protocol::hotkey::Hotkey;
use subtensor::{Metagraph, Neuron, SubnetRules, WeightVector};

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Set them.
    Set,
    /// The rate limit has not passed: not before this block.
    WaitUntil(u64),
    /// The chain has them already, and they are fresh.
    Unchanged,
}

/// Why the chain would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The hotkey is not on the subnet.
    #[error(
        "hotkey {hotkey} is not registered on subnet {netuid}; register it, or use another hotkey or subnet"
    )]
    NotRegistered {
        /// Whose weights.
        hotkey: Hotkey,
        /// Where.
        netuid: u16,
    },
    /// It may not set weights.
    #[error(
        "hotkey {hotkey} (UID {uid}) has no validator permit on subnet {netuid}; the chain gives permits to the largest stakes"
    )]
    NoPermit {
        /// Whose weights.
        hotkey: Hotkey,
        /// Its place.
        uid: u16,
        /// Where.
        netuid: u16,
    },
    /// The vector is too short.
    #[error(
        "the policy has {targets} targets with a weight, and subnet {netuid} takes no fewer than {fewest} (its MinAllowedWeights is {min_allowed}, it has {neurons} neurons); its owner has to lower that"
    )]
    TooFew {
        /// How many there are.
        targets: usize,
        /// Where.
        netuid: u16,
        /// How many are needed.
        fewest: u16,
        /// The subnet's own number.
        min_allowed: u16,
        /// How many neurons there are.
        neurons: u16,
    },
    /// Another version key is asked for.
    #[error(
        "version key {ours} is smaller than {needed}, which subnet {netuid} demands; give a newer one, or none"
    )]
    VersionKey {
        /// What was configured.
        ours: u64,
        /// What is needed.
        needed: u64,
        /// Where.
        netuid: u16,
    },
}

/// What is known when it is decided.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// Who is on the subnet.
    pub metagraph: &'a Metagraph,
    /// The subnet's rules.
    pub rules: &'a SubnetRules,
    /// The weights that are on the chain, or were committed to it by this process.
    pub present: &'a [(u16, u16)],
    /// Weights that have not changed are set again after so many blocks, since the
    /// chain stops counting a validator that sets none.
    pub refresh_blocks: u64,
    /// The operator's version key.
    pub version_key: Option<u64>,
}

/// The validator's own neuron.
///
/// # Errors
/// [`PlanError::NotRegistered`], [`PlanError::NoPermit`].
pub fn validator<'a>(metagraph: &'a Metagraph, hotkey: &Hotkey) -> Result<&'a Neuron, PlanError> {
    let neuron = metagraph
        .by_hotkey(hotkey)
        .ok_or(PlanError::NotRegistered {
            hotkey: *hotkey,
            netuid: metagraph.netuid,
        })?;
    if neuron.validator_permit {
        return Ok(neuron);
    }
    Err(PlanError::NoPermit {
        hotkey: *hotkey,
        uid: neuron.uid,
        netuid: metagraph.netuid,
    })
}

/// Decides about `vector` for the neuron `me`.
///
/// # Errors
/// [`PlanError`].
pub fn decide(
    me: &Neuron,
    vector: &WeightVector,
    situation: &Situation<'_>,
) -> Result<Step, PlanError> {
    let rules = situation.rules;
    let targets = vector.uids().len();
    if targets < usize::from(rules.fewest_targets()) {
        return Err(PlanError::TooFew {
            targets,
            netuid: rules.netuid,
            fewest: rules.fewest_targets(),
            min_allowed: rules.min_allowed_weights,
            neurons: rules.neurons,
        });
    }
    if let Some(ours) = situation.version_key
        && ours < rules.version_key
    {
        return Err(PlanError::VersionKey {
            ours,
            needed: rules.version_key,
            netuid: rules.netuid,
        });
    }
    // 0: it never set any, and no limit applies.
    if me.last_update == 0 {
        return Ok(Step::Set);
    }
    let passed = situation.metagraph.block.saturating_sub(me.last_update);
    if passed < rules.rate_limit_blocks {
        return Ok(Step::WaitUntil(
            me.last_update.saturating_add(rules.rate_limit_blocks),
        ));
    }
    if passed < situation.refresh_blocks && vector.pairs().eq(situation.present.iter().copied()) {
        return Ok(Step::Unchanged);
    }
    Ok(Step::Set)
}
