//! The call that sets weights on a subnet: in the open, or sealed where the subnet
//! wants that.

use protocol::hotkey::Hotkey;

use crate::{
    At, ChainError, PinnedCall, SubnetRules, WeightVector, WeightsPayload, round_at, seal,
};

/// Seconds between blocks.
const BLOCK_SECONDS: u64 = 12;
/// Blocks after the reveal at which the chain has surely heard of the beacon's
/// round: the offset that the field's own client uses.
const INGEST_BLOCKS: u64 = 3;
/// The version of sealed weights that [`seal`] makes.
const SEALED_AS: u16 = 4;

impl At {
    /// The call with which `hotkey` sets `vector`, by the rules of the subnet at this
    /// block.
    ///
    /// Sealed weights are made for a commit on the very next block, the earliest
    /// possible. If it comes an epoch later, its round is over early: the weights can
    /// be read before they count, and still count. Made for a later block, they might
    /// not count at all.
    ///
    /// # Errors
    /// [`ChainError::Reveal`], [`ChainError::Timelock`], what reading gives.
    pub async fn weights_call(
        &self,
        rules: &SubnetRules,
        hotkey: &Hotkey,
        vector: &WeightVector,
        version_key: u64,
    ) -> Result<PinnedCall, ChainError> {
        let netuid = rules.netuid;
        if !rules.commit_reveal {
            return Ok(PinnedCall::SetWeights {
                netuid,
                vector: vector.clone(),
                version_key,
            });
        }
        if rules.commit_reveal_version != SEALED_AS {
            // The chain would take it, and could never open it.
            return Err(ChainError::Encode {
                call: "commit_timelocked_weights",
                problem: format!(
                    "the chain wants weights sealed as version {}, and this program seals version {SEALED_AS}",
                    rules.commit_reveal_version
                ),
            });
        }
        let schedule = self.epoch_schedule(netuid).await?;
        let reveal_block = schedule.reveal_block(rules.reveal_period_epochs)?;
        let blocks = reveal_block.saturating_sub(schedule.block) + INGEST_BLOCKS;
        let made_at = self.timestamp().await?.as_secs();
        let reveal_round = round_at(made_at.saturating_add(blocks.saturating_mul(BLOCK_SECONDS)));
        let payload = WeightsPayload::new(hotkey, vector, version_key);
        Ok(PinnedCall::CommitTimelockedWeights {
            netuid,
            commit: seal(&payload, reveal_round)?,
            reveal_round,
            version: rules.commit_reveal_version,
        })
    }
}
