//! Weights, and what the chain has of them.

use protocol::hotkey::Hotkey;
use subxt::ext::scale_decode::DecodeAsType;
use subxt::utils::AccountId32;

use crate::{At, ChainError};

/// Weights as the chain takes them: UIDs in ascending order without repetition, each
/// with a weight above 0, the largest of them 65535.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightVector {
    uids: Vec<u16>,
    values: Vec<u16>,
}

/// Why pairs are no weight vector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// Nothing would be set.
    #[error("a weight vector has at least one target")]
    Empty,
    /// The chain refuses duplicates.
    #[error("UID {0} is twice in the weight vector")]
    Twice(u16),
    /// A target that gets nothing.
    #[error("UID {0} has weight 0 in the weight vector")]
    Zero(u16),
    /// The chain would scale it, and what it has would not be what was sent.
    #[error("the largest weight is {0}, not 65535")]
    NotScaled(u16),
}

impl WeightVector {
    /// Takes pairs of UID and weight, in any order.
    ///
    /// # Errors
    /// [`VectorError`].
    pub fn new(pairs: impl IntoIterator<Item = (u16, u16)>) -> Result<Self, VectorError> {
        let mut pairs: Vec<(u16, u16)> = pairs.into_iter().collect();
        pairs.sort_unstable();
        if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(VectorError::Twice(twice[0].0));
        }
        if let Some((uid, _)) = pairs.iter().find(|(_, value)| *value == 0) {
            return Err(VectorError::Zero(*uid));
        }
        match pairs.iter().map(|(_, value)| *value).max() {
            None => return Err(VectorError::Empty),
            Some(u16::MAX) => {}
            Some(largest) => return Err(VectorError::NotScaled(largest)),
        }
        let (uids, values) = pairs.into_iter().unzip();
        Ok(Self { uids, values })
    }

    /// The targets.
    pub fn uids(&self) -> &[u16] {
        &self.uids
    }

    /// Their weights, in the same order.
    pub fn values(&self) -> &[u16] {
        &self.values
    }

    /// Targets with their weights.
    pub fn pairs(&self) -> impl Iterator<Item = (u16, u16)> {
        self.uids.iter().copied().zip(self.values.iter().copied())
    }
}

/// Sealed weights that wait on the chain for their reveal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedWeights {
    /// The block of the commit.
    pub block: u64,
    /// The sealed bytes.
    pub commit: Vec<u8>,
    /// The drand round that opens them.
    pub reveal_round: u64,
}

/// A row of `TimelockedWeightCommits`.
#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct CommitRow(AccountId32, u64, Vec<u8>, u64);

impl At {
    /// The weights that a neuron has on the chain: pairs of UID and weight.
    pub async fn weights_of(&self, netuid: u16, uid: u16) -> Result<Vec<(u16, u16)>, ChainError> {
        let mut pairs: Vec<(u16, u16)> = self.value("Weights", (netuid, uid)).await?;
        pairs.sort_unstable();
        Ok(pairs)
    }

    /// The sealed weights of a hotkey that were committed in one epoch of a subnet.
    pub async fn commits_of(
        &self,
        netuid: u16,
        epoch: u64,
        hotkey: &Hotkey,
    ) -> Result<Vec<CommittedWeights>, ChainError> {
        let rows: Vec<CommitRow> = self
            .value("TimelockedWeightCommits", (netuid, epoch))
            .await?;
        let of_hotkey = rows.into_iter().filter(|row| row.0.0 == *hotkey.as_bytes());
        Ok(of_hotkey
            .map(
                |CommitRow(_, block, commit, reveal_round)| CommittedWeights {
                    block,
                    commit,
                    reveal_round,
                },
            )
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_what_the_chain_takes_or_nothing() {
        let vector = WeightVector::new([(37, 7282), (0, 65535)]).unwrap();
        assert_eq!(vector.uids(), [0, 37]);
        assert_eq!(vector.values(), [65535, 7282]);
        for (pairs, problem) in [
            (vec![], VectorError::Empty),
            (vec![(1, 65535), (1, 1)], VectorError::Twice(1)),
            (vec![(1, 65535), (2, 0)], VectorError::Zero(2)),
            (vec![(1, 65534)], VectorError::NotScaled(65534)),
        ] {
            assert_eq!(WeightVector::new(pairs).unwrap_err(), problem);
        }
    }
}
