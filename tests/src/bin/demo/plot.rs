//! A metric over time, for a terminal.

use std::fmt::Write as _;

/// An accepted submission.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    /// When it was accepted.
    pub(crate) seconds: f64,
    pub(crate) value: f64,
    /// Whether it was best then, or on the frontier.
    pub(crate) is_record: bool,
}

const ROWS: usize = 7;
const COLUMNS: usize = 56;

/// Draws the points over time, large values on top, and the best so far as a line.
pub(crate) fn plot(points: &[Point], less_is_better: bool) -> String {
    let values = || points.iter().map(|point| point.value);
    let (low, high) = bounds(values());
    let (start, end) = bounds(points.iter().map(|point| point.seconds));
    let column = |seconds: f64| place(seconds, start, end, COLUMNS);
    let row = |value: f64| ROWS - 1 - place(value, low, high, ROWS);
    let mut cells = vec![[' '; COLUMNS]; ROWS];
    let bests = best_so_far(points, less_is_better);
    let steps = points.iter().zip(&bests);
    let ends = points.iter().skip(1).map(|point| column(point.seconds));
    for ((point, best), end) in steps.zip(ends.chain([COLUMNS])) {
        cells[row(*best)][column(point.seconds)..end].fill('─');
    }
    for point in points {
        let mark = if point.is_record { '●' } else { '·' };
        let cell = &mut cells[row(point.value)][column(point.seconds)];
        if *cell != '●' {
            *cell = mark;
        }
    }
    let mut text = String::new();
    for (number, cells) in cells.iter().enumerate() {
        let label = match number {
            0 => short(high),
            last if last == ROWS - 1 => short(low),
            _ => String::new(),
        };
        let line: String = cells.iter().collect();
        let line = format!("  {label:>9} │ {line}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(text, "  {:>9} └{}", "", "─".repeat(COLUMNS + 1));
    let (start, end) = (format!("{start:.0} s"), format!("{end:.0} s"));
    let _ = writeln!(
        text,
        "  {:>9}   {start}{end:>width$}",
        "",
        width = COLUMNS - start.len()
    );
    text
}

/// The best value at each point.
pub(crate) fn best_so_far(points: &[Point], less_is_better: bool) -> Vec<f64> {
    let mut best: Option<f64> = None;
    let next = |point: &Point| {
        let value = match best {
            Some(best) if less_is_better => best.min(point.value),
            Some(best) => best.max(point.value),
            None => point.value,
        };
        best = Some(value);
        value
    };
    points.iter().map(next).collect()
}

/// One mark for each value, as high as the value is large.
pub(crate) fn sparkline(values: &[f64]) -> String {
    const MARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let (low, high) = bounds(values.iter().copied());
    values
        .iter()
        .map(|value| MARKS[place(*value, low, high, MARKS.len())])
        .collect()
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

/// The nearest of so many places from `low` to `high`; the one in the middle if
/// these are equal.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "from 0 to the last place"
)]
fn place(value: f64, low: f64, high: f64, places: usize) -> usize {
    let last = (places - 1) as f64;
    let part = if high > low {
        (value - low) / (high - low)
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

    fn point(seconds: f64, value: f64, is_record: bool) -> Point {
        Point {
            seconds,
            value,
            is_record,
        }
    }

    #[test]
    fn the_best_is_a_line_that_only_gets_better() {
        let points = [
            point(10.0, 2.0, true),
            point(20.0, 3.0, false),
            point(30.0, 1.0, true),
            point(40.0, 2.0, false),
        ];
        assert_eq!(best_so_far(&points, true), [2.0, 2.0, 1.0, 1.0]);
        assert_eq!(best_so_far(&points, false), [2.0, 3.0, 3.0, 3.0]);
        let drawn = plot(&points, true);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines.len(), ROWS + 2);
        assert_eq!(lines[0], format!("          3 │ {:18}·", ""));
        let (best, later) = ("─".repeat(36), " ".repeat(18));
        assert_eq!(lines[3], format!("            │ ●{best}{later}·"));
        let rest = "─".repeat(18);
        assert_eq!(lines[6], format!("          1 │ {:37}●{rest}", ""));
        assert!(lines[8].trim_start().starts_with("10 s") && lines[8].ends_with("40 s"));
    }

    #[test]
    fn equal_values_lie_in_the_middle_and_one_point_is_no_trouble() {
        let drawn = plot(&[point(1.0, 1.0, true)], true);
        assert!(drawn.lines().nth(3).unwrap().contains('●'), "{drawn}");
    }

    #[test]
    fn a_sparkline_goes_from_the_lowest_mark_to_the_highest() {
        assert_eq!(sparkline(&[0.0, 1.0, 0.5]), "▁█▅");
        assert_eq!(sparkline(&[]), "");
    }
}
