//! A subnet's rules for setting weights, as they stand at one block
//! (`CHAIN.md` §2 of the design material; the defaults are the chain's own).

use crate::{At, ChainError, EpochSchedule};

/// A subnet's rules for setting weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetRules {
    /// The subnet.
    pub netuid: u16,
    /// How many neurons it has.
    pub neurons: u16,
    /// The fewest targets of a weight vector; the chain's default is 1024, more than
    /// a subnet has neurons, which then count.
    pub min_allowed_weights: u16,
    /// Blocks that have to pass between two settings by one neuron.
    pub rate_limit_blocks: u64,
    /// The smallest version key that is taken.
    pub version_key: u64,
    /// The stake weight below which the chain refuses weights, in rao.
    pub stake_threshold: u64,
    /// Whether weights are committed sealed and revealed later.
    pub commit_reveal: bool,
    /// The version of that scheme.
    pub commit_reveal_version: u16,
    /// After how many epochs committed weights are revealed.
    pub reveal_period_epochs: u64,
}

impl SubnetRules {
    /// The fewest targets that the chain takes now: no more than there are neurons.
    pub fn fewest_targets(&self) -> u16 {
        self.min_allowed_weights.min(self.neurons)
    }
}

impl At {
    /// The rules of a subnet.
    ///
    /// # Errors
    /// [`ChainError::NoSubnet`], and what reading gives.
    pub async fn subnet_rules(&self, netuid: u16) -> Result<SubnetRules, ChainError> {
        if !self.value("NetworksAdded", (netuid,)).await? {
            return Err(ChainError::NoSubnet(netuid));
        }
        Ok(SubnetRules {
            netuid,
            neurons: self.value("SubnetworkN", (netuid,)).await?,
            min_allowed_weights: self.value("MinAllowedWeights", (netuid,)).await?,
            rate_limit_blocks: self.value("WeightsSetRateLimit", (netuid,)).await?,
            version_key: self.value("WeightsVersionKey", (netuid,)).await?,
            stake_threshold: self.value("StakeThreshold", ()).await?,
            commit_reveal: self.value("CommitRevealWeightsEnabled", (netuid,)).await?,
            commit_reveal_version: self.value("CommitRevealWeightsVersion", ()).await?,
            reveal_period_epochs: self.value("RevealPeriodEpochs", (netuid,)).await?,
        })
    }

    /// When a subnet's epochs come.
    pub async fn epoch_schedule(&self, netuid: u16) -> Result<EpochSchedule, ChainError> {
        Ok(EpochSchedule {
            block: self.block_number(),
            tempo: self.value("Tempo", (netuid,)).await?,
            last_epoch_block: self.value("LastEpochBlock", (netuid,)).await?,
            pending_epoch_at: self.value("PendingEpochAt", (netuid,)).await?,
            epoch_index: self.value("SubnetEpochIndex", (netuid,)).await?,
            blocks_since_last_step: self.value("BlocksSinceLastStep", (netuid,)).await?,
        })
    }
}
