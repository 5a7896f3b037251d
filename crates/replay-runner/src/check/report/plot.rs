//! A metric's values on one line: `0.12 ├─●──●●────●─┤ 0.93`.

use protocol::Decimal;

/// How many places the line has.
const WIDTH: usize = 32;

/// The values between the smallest and the largest one; a digit where several fall on
/// one place.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place on a line"
)]
pub(super) fn plot(values: &[Decimal]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(Decimal::compare);
    let (Some(low), Some(high)) = (sorted.first(), sorted.last()) else {
        return String::new();
    };
    let width = high.value() - low.value();
    if width <= 0.0 {
        return format!("{low} ● {} times", values.len());
    }
    let mut counts = [0usize; WIDTH];
    for value in values {
        let share = (value.value() - low.value()) / width;
        counts[(share * (WIDTH - 1) as f64).round() as usize] += 1;
    }
    let line: String = counts
        .iter()
        .map(|count| match count {
            0 => '─',
            1 => '●',
            2..=9 => char::from_digit(*count as u32, 10).unwrap_or('●'),
            _ => '+',
        })
        .collect();
    format!("{low} ├{line}┤ {high}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(texts: &[&str]) -> Vec<Decimal> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn equal_values_are_one_point() {
        assert_eq!(plot(&values(&["0.5", "0.5", "0.50"])), "0.5 ● 3 times");
    }

    #[test]
    fn the_smallest_and_the_largest_value_are_at_the_ends() {
        let line = plot(&values(&["1", "3", "3", "2"]));
        assert!(line.starts_with("1 ├●") && line.ends_with("2┤ 3"), "{line}");
        assert_eq!(line.matches('●').count(), 2);
    }
}
