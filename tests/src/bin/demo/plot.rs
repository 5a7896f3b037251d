//! A metric over time, for a terminal.

use std::fmt::Write as _;

/// An accepted submission.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) value: f64,
    /// Whether it was ever best, or on the frontier.
    pub(crate) is_record: bool,
}

const ROWS: usize = 7;
/// The columns of one submission.
const STEP: usize = 3;

/// Draws the points in their order, large values on top.
pub(crate) fn plot(points: &[Point]) -> String {
    let values = || points.iter().map(|point| point.value);
    let (low, high) = (
        values().fold(f64::INFINITY, f64::min),
        values().fold(f64::NEG_INFINITY, f64::max),
    );
    let mut text = String::new();
    for row in 0..ROWS {
        let label = match row {
            0 => short(high),
            last if last == ROWS - 1 => short(low),
            _ => String::new(),
        };
        let line: String = points
            .iter()
            .map(|point| mark(*point, row == row_of(point.value, low, high)))
            .collect();
        let _ = writeln!(text, "  {label:>9} │{}", line.trim_end());
    }
    let _ = writeln!(text, "  {:>9} └{}", "", "─".repeat(points.len() * STEP + 1));
    text
}

fn mark(point: Point, is_here: bool) -> &'static str {
    match (is_here, point.is_record) {
        (true, true) => "  ●",
        (true, false) => "  ·",
        (false, _) => "   ",
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "from 0 to the last row"
)]
fn row_of(value: f64, low: f64, high: f64) -> usize {
    let last = (ROWS - 1) as f64;
    let part = if high > low {
        (high - value) / (high - low)
    } else {
        0.5
    };
    (part * last).round().clamp(0.0, last) as usize
}

fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_a_dot_at_its_height() {
        let point = |value, is_record| Point { value, is_record };
        let drawn = plot(&[point(2.0, true), point(1.0, false), point(0.0, true)]);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines.len(), ROWS + 1);
        assert_eq!(lines[0], "          2 │  ●");
        assert_eq!(lines[3], "            │     ·");
        assert_eq!(lines[6], "          0 │        ●");
    }

    #[test]
    fn equal_values_lie_in_the_middle() {
        let same = Point {
            value: 1.0,
            is_record: true,
        };
        assert_eq!(
            plot(&[same, same]).lines().nth(3),
            Some("            │  ●  ●")
        );
    }
}
