//! When committed weights are revealed.
//!
//! The chain reveals commits at the start of the block in which the epoch counter,
//! had that block's epoch already run, reaches the commit's epoch plus the reveal
//! period. An epoch runs when `tempo` blocks have passed since the last one, when the
//! subnet's owner asked for one, or when none has run for too long. (Read in the
//! chain's public sources; see the README's table of what was proved.)

/// The longest tempo that an owner can set, in blocks: about a week.
const MAX_TEMPO: u64 = 50_400;

/// What decides when a subnet's epochs come, at one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochSchedule {
    /// The block at which the rest was read.
    pub block: u64,
    /// Blocks between epochs; 0: none ever run.
    pub tempo: u16,
    /// The block of the last epoch.
    pub last_epoch_block: u64,
    /// A block at which an epoch was asked for, or 0.
    pub pending_epoch_at: u64,
    /// How many epochs have run.
    pub epoch_index: u64,
    /// Blocks since the last epoch, as the chain counts them.
    pub blocks_since_last_step: u64,
}

/// Why a reveal cannot be foretold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevealError {
    /// Tempo 0.
    #[error(
        "the subnet runs no epochs (its tempo is 0), so that committed weights would never be revealed"
    )]
    NoEpochs,
    /// Beyond what the chain's rules make possible.
    #[error("a reveal period of {0} epochs is out of range; distrust the endpoint")]
    TooLong(u64),
}

/// A reveal period that no owner can have set.
const MAX_REVEAL_PERIOD: u64 = 100;

impl EpochSchedule {
    /// Whether `block` runs an epoch.
    fn runs_at(&self, block: u64) -> bool {
        let asked_for = self.pending_epoch_at > 0 && block >= self.pending_epoch_at;
        let overdue = self.blocks_since_last_step > MAX_TEMPO;
        let due = block.saturating_sub(self.last_epoch_block) >= u64::from(self.tempo);
        self.tempo > 0 && (asked_for || overdue || due)
    }

    /// The epoch that a commit or a reveal on `block` belongs to.
    pub fn epoch_at(&self, block: u64) -> u64 {
        self.epoch_index
            .saturating_add(u64::from(self.runs_at(block)))
    }

    /// Goes on over `block`.
    fn advance(&mut self, block: u64) {
        self.blocks_since_last_step = self.blocks_since_last_step.saturating_add(1);
        if self.runs_at(block) {
            self.last_epoch_block = block;
            self.pending_epoch_at = 0;
            self.epoch_index = self.epoch_index.saturating_add(1);
            self.blocks_since_last_step = 0;
        }
        self.block = block;
    }

    /// The first block at which a commit included right after
    /// [`block`](Self::block) is revealed.
    ///
    /// # Errors
    /// [`RevealError`].
    pub fn reveal_block(&self, period_epochs: u64) -> Result<u64, RevealError> {
        if self.tempo == 0 {
            return Err(RevealError::NoEpochs);
        }
        if period_epochs > MAX_REVEAL_PERIOD {
            return Err(RevealError::TooLong(period_epochs));
        }
        let inclusion = self.block.saturating_add(1);
        let target = self.epoch_at(inclusion).saturating_add(period_epochs);
        let horizon = inclusion.saturating_add((period_epochs + 1) * MAX_TEMPO);
        let mut state = self.clone();
        for block in inclusion..=horizon {
            if state.epoch_at(block) == target {
                return Ok(block);
            }
            state.advance(block);
        }
        Err(RevealError::TooLong(period_epochs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(last: u64, pending: u64, tempo: u16, block: u64) -> EpochSchedule {
        EpochSchedule {
            block,
            tempo,
            last_epoch_block: last,
            pending_epoch_at: pending,
            epoch_index: 0,
            blocks_since_last_step: 0,
        }
    }

    #[test]
    fn a_commit_is_revealed_when_its_period_is_over() {
        // The three cases that the chain's own client is tested with.
        assert_eq!(schedule(10, 0, 50, 10).reveal_block(1), Ok(60));
        assert_eq!(schedule(80, 95, 20, 91).reveal_block(1), Ok(95));
        assert_eq!(
            schedule(10, 0, 0, 10).reveal_block(1),
            Err(RevealError::NoEpochs)
        );
        // Epochs at 60, 110 and 160.
        assert_eq!(schedule(10, 0, 50, 10).reveal_block(3), Ok(160));
    }

    #[test]
    fn a_commit_in_the_very_block_of_an_epoch_belongs_to_the_next() {
        assert_eq!(schedule(10, 0, 50, 58).epoch_at(59), 0);
        assert_eq!(schedule(10, 0, 50, 59).epoch_at(60), 1);
        assert_eq!(schedule(10, 0, 50, 59).reveal_block(1), Ok(110));
    }

    #[test]
    fn an_overdue_epoch_runs_at_once() {
        let mut overdue = schedule(1000, 0, 360, 1010);
        overdue.blocks_since_last_step = MAX_TEMPO + 1;
        assert_eq!(overdue.epoch_at(1011), 1);
    }

    #[test]
    fn absurd_numbers_of_a_node_neither_hang_nor_overflow() {
        let far = schedule(u64::MAX, u64::MAX, u16::MAX, u64::MAX);
        let _ = far.reveal_block(1);
        assert_eq!(
            schedule(0, 0, 1, 0).reveal_block(u64::MAX),
            Err(RevealError::TooLong(u64::MAX))
        );
    }
}
