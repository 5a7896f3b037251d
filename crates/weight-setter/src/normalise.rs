//! Shares as the chain's integers: `round_half_even(share / largest · 65535)`, zeros
//! dropped. The field's own client computes exactly this, in doubles; other digits
//! than its own would make honest validators disagree.

use subtensor::{VectorError, WeightVector};

use crate::resolve::Shares;

/// A vector, and who fell out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normalised {
    /// What is set.
    pub vector: WeightVector,
    /// UIDs whose share is less than half of 1/65535 of the largest: they get
    /// nothing.
    pub rounded_away: Vec<u16>,
}

/// Scales shares so that the largest becomes 65535.
///
/// # Errors
/// [`VectorError::Empty`] for no shares.
pub fn normalise(shares: &Shares) -> Result<Normalised, VectorError> {
    let largest = shares.values().copied().fold(0.0, f64::max);
    let scaled = |share: f64| scale(share, largest);
    let pairs = shares.iter().map(|(uid, share)| (*uid, scaled(*share)));
    let (kept, dropped): (Vec<_>, Vec<_>) = pairs.partition(|(_, value)| *value > 0);
    Ok(Normalised {
        vector: WeightVector::new(kept)?,
        rounded_away: dropped.into_iter().map(|(uid, _)| uid).collect(),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to 65535: the share is at most the largest; a cast saturates otherwise"
)]
fn scale(share: f64, largest: f64) -> u16 {
    (share / largest * f64::from(u16::MAX)).round_ties_even() as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(shares: &[(u16, f64)]) -> Vec<(u16, u16)> {
        let normalised = normalise(&shares.iter().copied().collect()).unwrap();
        normalised.vector.pairs().collect()
    }

    #[test]
    fn ninety_to_ten_is_65535_to_7282_however_it_is_written() {
        for (burn, contract) in [
            (0.9, 0.1),
            (90.0, 10.0),
            (9.0, 1.0),
            (9e-300, 1e-300),
            (9e300, 1e300),
        ] {
            assert_eq!(
                values(&[(0, burn), (37, contract)]),
                [(0, 65535), (37, 7282)]
            );
        }
    }

    #[test]
    fn a_share_that_rounds_to_nothing_is_told_of() {
        let shares = [(0, 131_070.0), (1, 1.0)].into_iter().collect();
        let normalised = normalise(&shares).unwrap();
        assert_eq!(normalised.vector.uids(), [0]);
        assert_eq!(normalised.rounded_away, [1]);
    }

    #[test]
    fn no_shares_are_no_vector() {
        assert_eq!(normalise(&Shares::new()), Err(VectorError::Empty));
    }

    proptest! {
        #[test]
        fn any_shares_give_a_vector_the_chain_takes(
            shares in proptest::collection::btree_map(any::<u16>(), f64::MIN_POSITIVE..f64::MAX, 1..64)
        ) {
            let normalised = normalise(&shares).unwrap();
            let count = normalised.vector.uids().len() + normalised.rounded_away.len();
            prop_assert_eq!(count, shares.len());
            prop_assert_eq!(normalised.vector.values().iter().max(), Some(&u16::MAX));
        }
    }
}
