//! Dividing a whole number by weights so that nothing is created or lost.

/// Splits `total` by weights with the largest remainders: each part is its exact
/// share rounded down, and the units that are left over go to the largest
/// remainders, between equal ones to the earlier entry. All parts are 0 when all
/// weights are; otherwise they add up to `total`.
pub fn apportion(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    // Two 64-bit numbers multiplied always fit.
    let exact = |weight: u64| u128::from(total) * u128::from(weight);
    let mut parts: Vec<u64> = Vec::with_capacity(weights.len());
    let mut remainders: Vec<(u128, usize)> = Vec::with_capacity(weights.len());
    for (place, weight) in weights.iter().enumerate() {
        // At most `total`, since a weight is at most the sum.
        parts.push(u64::try_from(exact(*weight) / sum).unwrap_or(total));
        remainders.push((exact(*weight) % sum, place));
    }
    let left = total - parts.iter().sum::<u64>();
    remainders.sort_unstable_by_key(|(remainder, place)| (std::cmp::Reverse(*remainder), *place));
    for ((_, place), _) in remainders.into_iter().zip(0..left) {
        parts[place] += 1;
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_remainder_gets_the_unit_and_the_earlier_of_two_equal_ones() {
        assert_eq!(apportion(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(apportion(10, &[1, 5, 3]), [1, 6, 3]);
        assert_eq!(apportion(7, &[0, 0]), [0, 0]);
        assert_eq!(apportion(7, &[]), [0; 0]);
        assert_eq!(
            apportion(u64::MAX, &[u64::MAX, u64::MAX]),
            [1 << 63, (1 << 63) - 1]
        );
    }

    proptest! {
        #[test]
        fn nothing_is_created_or_lost_and_no_part_is_off_by_one_unit(
            total in any::<u64>(), weights in proptest::collection::vec(any::<u64>(), 1..60)
        ) {
            let parts = apportion(total, &weights);
            let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            prop_assume!(sum > 0);
            prop_assert_eq!(parts.iter().map(|part| u128::from(*part)).sum::<u128>(), u128::from(total));
            for (part, weight) in parts.iter().zip(&weights) {
                let floor = u128::from(total) * u128::from(*weight) / sum;
                prop_assert!(u128::from(*part) == floor || u128::from(*part) == floor + 1);
                prop_assert!(*weight > 0 || *part == 0);
            }
        }
    }
}
