//! Bad luck between a client and the chain: answers that get lost, extrinsics that
//! wait for a block or are forgotten. It is the same in each run.

/// What becomes of an extrinsic in the pool when a block is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Included,
    Waiting,
    Forgotten,
}

/// A source of bad luck.
pub struct Weather(u64);

impl Weather {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number that looks random.
    fn dice(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }

    /// Whether an answer is lost.
    pub(super) fn loses(&mut self) -> bool {
        self.dice(40) == 0
    }

    pub(super) fn fate(&mut self) -> Fate {
        match self.dice(10) {
            0 => Fate::Forgotten,
            1..=5 => Fate::Waiting,
            _ => Fate::Included,
        }
    }
}
