//! What a handful of values say: median, spread, and an interval for the median
//! by the bootstrap. The random numbers are seeded, so that the same values
//! always give the same interval.

/// How many resamples make an interval.
const RESAMPLES: usize = 2000;
/// The interval holds the true median so often, by the percentile bootstrap
/// (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13).
/// With fewer than about ten values it is narrower than it should be.
pub const CONFIDENCE: f64 = 0.95;

/// `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014): small, and good enough to
/// resample with.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, without 0.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, bound: usize) -> usize {
        // The bias of a remainder is far below what 2000 resamples can show.
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }

    /// A standard normal value (Box and Muller, 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.unit(), self.unit());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}

/// The middle value, or the mean of the two middle ones; NaN of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count => {
            let (low, high) = (sorted[(count - 1) / 2], sorted[count / 2]);
            low / 2.0 + high / 2.0
        }
    }
}

/// The largest difference between two values.
pub(crate) fn width(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    (largest - smallest).max(0.0)
}

/// The standard deviation of whatever the values are a sample of.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
pub(crate) fn deviation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    if count < 2.0 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (count - 1.0)).sqrt()
}

/// `value` as a share of the size of `whole`; a difference from zero is infinite.
pub(crate) fn relative(value: f64, whole: f64) -> f64 {
    if value == 0.0 {
        0.0
    } else {
        (value / whole.abs()).min(f64::MAX)
    }
}

/// The interval in which the median lies with [`CONFIDENCE`].
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks are small and not negative"
)]
pub(crate) fn median_interval(values: &[f64]) -> (f64, f64) {
    let mut random = Random::seeded(values.len() as u64);
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn: Vec<f64> = values
                .iter()
                .map(|_| values[random.below(values.len())])
                .collect();
            median(&drawn)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let rank = |share: f64| (share * (RESAMPLES - 1) as f64).round() as usize;
    let outside = (1.0 - CONFIDENCE) / 2.0;
    (medians[rank(outside)], medians[rank(1.0 - outside)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_no_spread_and_a_narrow_interval() {
        let values = [0.5; 5];
        assert!(width(&values) == 0.0 && deviation(&values) == 0.0);
        assert_eq!(median_interval(&values), (0.5, 0.5));
        assert!(relative(0.0, 0.0) == 0.0);
    }

    #[test]
    fn the_interval_is_the_same_each_time_and_holds_the_median() {
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        let (low, high) = median_interval(&values);
        assert_eq!((low, high), median_interval(&values));
        assert!(
            (1.0..=4.0).contains(&low) && (4.0..=16.0).contains(&high),
            "{low} {high}"
        );
    }

    #[test]
    fn the_normal_values_have_the_mean_and_deviation_of_a_normal() {
        let mut random = Random::seeded(7);
        let values: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        assert!(median(&values).abs() < 0.05 && (deviation(&values) - 1.0).abs() < 0.05);
    }
}
