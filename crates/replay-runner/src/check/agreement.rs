//! How much tolerance honest validators need to agree with 99.9 % probability.
//!
//! Two validators replay a task of `r` repeats. Each holds its repeats to the
//! tolerance (their spread, relative to the median) and reports the median; the
//! two agree if the medians differ by no more than the tolerance, too. With
//! normal scatter of relative standard deviation σ all three conditions hold with
//! probability 99.9 % if the tolerance is `f(r) · σ`, where `f(r)` is the 99.9 %
//! quantile of the largest of two ranges of `r` standard normal values and the
//! distance of their medians. [`factor`] takes it from 100,000 seeded
//! simulations; `f(1) = √2 · 3.29 = 4.65` is known in closed form, and tested.
//!
//! σ is not known: it is measured by the deviation `s` of `n` runs.
//! * The *estimate* puts `s / c₄(n)` for it (the unbiased estimate of a normal's
//!   deviation; NIST/SEMATECH e-Handbook of Statistical Methods, §6.3.2).
//! * The *safe* value allows for how badly `n` runs measure σ, as a prediction
//!   interval does (Hahn and Meeker, *Statistical Intervals*, 1991, §4.7): it
//!   takes Student's quantile of `n − 1` degrees of freedom in place of the
//!   normal one. For one repeat that is exact.
//!
//! Neither is ever below the spread that was seen.

use serde::{Deserialize, Serialize};

use super::statistics::{Random, deviation, median, relative, width};

/// How sure agreement is.
pub const PROBABILITY: f64 = 0.999;
/// The 99.95 % quantile of the standard normal: 0.05 % on either side.
const NORMAL: f64 = 3.290_527;
const SIMULATIONS: usize = 100_000;

/// What it takes to agree, for one number of repeats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Needed {
    /// How often a replay runs the benchmark.
    pub repeats: u32,
    /// The relative tolerance, if the measured deviation is the true one.
    pub tolerance_estimate: f64,
    /// The relative tolerance that allows for how few runs measured it.
    pub tolerance_safe: f64,
}

/// What `values` of single runs ask of a task with `repeats`.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
pub(crate) fn needed(values: &[f64], repeats: u32) -> Needed {
    let middle = median(values);
    let seen = relative(width(values), middle);
    let sigma = relative(deviation(values), middle);
    if seen == 0.0 || values.len() < 2 {
        return Needed {
            repeats,
            tolerance_estimate: seen,
            tolerance_safe: seen,
        };
    }
    let count = values.len() as f64;
    let unbiased = (4.0 * count - 4.0) / (4.0 * count - 3.0);
    let factor = factor(repeats);
    // JSON has no infinity, which a median of zero would ask for.
    let finite = |tolerance: f64| tolerance.max(seen).min(f64::MAX);
    Needed {
        repeats,
        tolerance_estimate: finite(factor * sigma / unbiased),
        tolerance_safe: finite(factor * sigma * student(values.len() - 1) / NORMAL),
    }
}

/// `f(r)` of the module's description.
fn factor(repeats: u32) -> f64 {
    if repeats <= 1 {
        return std::f64::consts::SQRT_2 * NORMAL;
    }
    let mut random = Random::seeded(repeats.into());
    let mut draw = || -> Vec<f64> { (0..repeats).map(|_| random.normal()).collect() };
    let mut largest: Vec<f64> = (0..SIMULATIONS)
        .map(|_| {
            let (one, other) = (draw(), draw());
            let distance = (median(&one) - median(&other)).abs();
            distance.max(width(&one)).max(width(&other))
        })
        .collect();
    largest.sort_by(f64::total_cmp);
    // 0.1 % of the simulations lie above.
    largest[SIMULATIONS - SIMULATIONS / 1000]
}

/// The 99.95 % quantile of Student's distribution: from tables for few degrees
/// of freedom, by Fisher and Cornish's expansion (Abramowitz and Stegun, 26.7.5)
/// for more.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn student(degrees: usize) -> f64 {
    const TABLE: [f64; 9] = [
        636.619, 31.599, 12.924, 8.610, 6.869, 5.959, 5.408, 5.041, 4.781,
    ];
    if let Some(known) = degrees.checked_sub(1).and_then(|index| TABLE.get(index)) {
        return *known;
    }
    let (z, n) = (NORMAL, degrees.max(1) as f64);
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / n + second / n.powi(2) + third / n.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_equal_need_no_tolerance() {
        let needed = needed(&[0.25; 5], 3);
        assert!(needed.tolerance_estimate == 0.0 && needed.tolerance_safe == 0.0);
    }

    #[test]
    fn values_around_zero_need_a_tolerance_that_json_can_carry() {
        let needed = needed(&[-1.0, 0.0, 1.0], 3);
        assert!(needed.tolerance_estimate.is_finite() && needed.tolerance_safe.is_finite());
    }

    #[test]
    fn students_quantile_is_that_of_the_tables() {
        for (degrees, quantile) in [(4, 8.610), (10, 4.587), (19, 3.883), (29, 3.659)] {
            assert!((student(degrees) - quantile).abs() < 0.02, "{degrees}");
        }
    }

    #[test]
    fn validators_with_the_estimated_tolerance_agree_in_all_but_one_of_a_thousand() {
        let mut random = Random::seeded(99);
        for repeats in [1, 3] {
            let tolerance = 0.01 * factor(repeats);
            let mut measure =
                || -> Vec<f64> { (0..repeats).map(|_| 1.0 + 0.01 * random.normal()).collect() };
            let trials = 40_000;
            let disagreements = (0..trials)
                .filter(|_| {
                    let (one, other) = (measure(), measure());
                    let spread = |values: &[f64]| relative(width(values), median(values));
                    let apart = (median(&one) - median(&other)).abs() / median(&one);
                    apart.max(spread(&one)).max(spread(&other)) > tolerance
                })
                .count();
            assert!(
                (15..=80).contains(&disagreements),
                "{repeats}: {disagreements}"
            );
        }
    }

    #[test]
    fn the_safe_tolerance_narrows_with_more_runs() {
        let few = needed(&[1.0, 1.01, 1.02], 1);
        let values: Vec<f64> = (0..30).map(|n| 1.0 + 0.01 * f64::from(n % 3)).collect();
        let many = needed(&values, 1);
        assert!(
            few.tolerance_safe > 2.0 * many.tolerance_safe,
            "{few:?} {many:?}"
        );
        assert!(few.tolerance_safe > few.tolerance_estimate);
    }
}
