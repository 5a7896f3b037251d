//! Medians and quartiles of what was measured in turn.

use std::fmt;

/// Values of one thing, in the order in which they were measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Between the two nearest ranks, in proportion.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks are small and not negative"
    )]
    fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else {
            return f64::NAN;
        };
        let rank = share * last as f64;
        let (low, high) = (rank.floor() as usize, rank.ceil() as usize);
        let part = rank - rank.floor();
        sorted[low] * (1.0 - part) + sorted[high] * part
    }

    /// Each of these to the mean of the two of `reference` that were measured
    /// right before and right after it.
    pub(crate) fn per_neighbours(&self, reference: &[(f64, f64)]) -> Self {
        let ratio =
            |(value, (before, after)): (&f64, &(f64, f64))| value / ((before + after) / 2.0);
        Self(self.0.iter().zip(reference).map(ratio).collect())
    }

    /// Each of these to the one of `reference` that it was measured in turn with.
    pub(crate) fn per(&self, reference: &Self) -> Self {
        let pairs = self.0.iter().zip(&reference.0);
        Self(pairs.map(|(value, base)| value / base).collect())
    }

    /// `0.83 × (0.79 – 0.91)`, with a unit in place of `×`.
    pub(crate) fn show<'a>(&'a self, unit: &'a str) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| {
            let digits = if self.median() < 20.0 { 2 } else { 0 };
            let (low, high) = (self.quantile(0.25), self.quantile(0.75));
            write!(f, "{:.digits$} {unit} ", self.median())?;
            write!(f, "({low:.digits$} – {high:.digits$})")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Samples;

    #[test]
    fn the_median_lies_between_the_two_middle_values() {
        let samples = |values: &[f64]| Samples(values.to_vec());
        assert!((samples(&[3.0, 1.0, 2.0]).median() - 2.0).abs() < 1e-9);
        assert!((samples(&[4.0, 1.0, 2.0, 3.0]).median() - 2.5).abs() < 1e-9);
        assert!(samples(&[]).median().is_nan());
    }

    #[test]
    fn a_machine_that_slows_down_evenly_does_not_change_the_ratio() {
        let values = Samples(vec![2.0, 4.0]);
        let ratios = values.per_neighbours(&[(0.5, 1.5), (1.5, 2.5)]);
        assert_eq!(ratios.show("×").to_string(), "2.00 × (2.00 – 2.00)");
    }
}
