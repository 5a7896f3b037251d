//! Plots as SVG: the metric over time with the best as a line, or two metrics
//! with their frontier.

use maud::{Markup, html};

/// One submission in a plot.
#[derive(Debug, Clone)]
pub(super) struct Point {
    /// Where it leads.
    pub(super) id: String,
    /// What is read out of it.
    pub(super) label: String,
    pub(super) x: f64,
    pub(super) y: f64,
    /// Whether it was ever best, or is on the frontier.
    pub(super) is_record: bool,
}

/// How the records are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Each record holds until the next.
    Steps,
    /// From one record to the next.
    Straight,
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 80.0;
const BOTTOM: f64 = 36.0;
const MARGIN: f64 = 14.0;

struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            low = low.min(value);
            high = high.max(value);
        }
        // A single value sits in the middle of a range of its own size.
        if high <= low {
            let half = if low == 0.0 { 1.0 } else { low.abs() / 2.0 };
            (low, high) = ((low - half).max(f64::MIN), (high + half).min(f64::MAX));
        }
        Self {
            low,
            high,
            from,
            to,
        }
    }

    /// The position of a value; a range too wide for a double ends in the middle.
    fn place(&self, value: f64) -> f64 {
        let part = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        let part = if part.is_finite() {
            part.clamp(0.0, 1.0)
        } else {
            0.5
        };
        ((self.from + part * (self.to - self.from)) * 10.0).round() / 10.0
    }
}

/// Draws the points, which come in the order of `x`.
pub(super) fn plot(points: &[Point], line: Line, x_ends: (&str, &str), y_name: &str) -> Markup {
    let x = Scale::over(points.iter().map(|p| p.x), LEFT, WIDTH - MARGIN);
    let y = Scale::over(points.iter().map(|p| p.y), HEIGHT - BOTTOM, MARGIN + 10.0);
    let label = format!("{y_name}: {} submissions", points.len());
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
            line.axis x1=(LEFT) y1=(HEIGHT - BOTTOM) x2=(WIDTH - MARGIN) y2=(HEIGHT - BOTTOM) {}
            line.axis x1=(LEFT) y1=(MARGIN) x2=(LEFT) y2=(HEIGHT - BOTTOM) {}
            text x=(LEFT - 8.0) y=(y.to + 4.0) text-anchor="end" { (number(y.high)) }
            text x=(LEFT - 8.0) y=(y.from + 4.0) text-anchor="end" { (number(y.low)) }
            text x=(LEFT + 6.0) y=(MARGIN + 2.0) { (y_name) }
            text x=(LEFT) y=(HEIGHT - 10.0) { (x_ends.0) }
            text x=(WIDTH - MARGIN) y=(HEIGHT - 10.0) text-anchor="end" { (x_ends.1) }
            path.best d=(path(points, line, &x, &y)) {}
            @for point in points {
                a href={ "/dashboard/submissions/" (point.id) } {
                    circle class={ "point" @if point.is_record { " record" } }
                        cx=(x.place(point.x)) cy=(y.place(point.y)) r=(if point.is_record { 5 } else { 3 }) {
                        title { (point.label) }
                    }
                }
            }
        }
    }
}

fn path(points: &[Point], line: Line, x: &Scale, y: &Scale) -> String {
    let records = points.iter().filter(|point| point.is_record);
    let mut steps: Vec<String> = records
        .enumerate()
        .map(|(index, point)| {
            let (px, py) = (x.place(point.x), y.place(point.y));
            match line {
                _ if index == 0 => format!("M{px} {py}"),
                Line::Steps => format!("H{px}V{py}"),
                Line::Straight => format!("L{px} {py}"),
            }
        })
        .collect();
    if line == Line::Steps && !steps.is_empty() {
        steps.push(format!("H{}", x.to));
    }
    steps.concat()
}

fn number(value: f64) -> String {
    let size = value.abs();
    if value != 0.0 && !(1e-3..1e6).contains(&size) {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f64, y: f64) -> Point {
        Point {
            id: "1".to_owned(),
            label: "<b>".to_owned(),
            x,
            y,
            is_record: true,
        }
    }

    #[test]
    fn any_values_stay_inside_the_frame() {
        let extremes = [0.0, -0.0, 1.0, -1.7e308, 1.7e308, 5e-324, 1e300];
        for a in extremes {
            for b in extremes {
                let svg =
                    plot(&[point(a, b), point(b, a)], Line::Steps, ("", ""), "m").into_string();
                assert!(
                    !svg.contains("NaN") && !svg.contains("inf"),
                    "{a} {b}: {svg}"
                );
            }
        }
    }

    #[test]
    fn labels_are_text() {
        let svg = plot(
            &[point(1.0, 1.0)],
            Line::Straight,
            ("<i>", ""),
            "</svg><script>",
        )
        .into_string();
        assert!(!svg.contains("<b>") && !svg.contains("<script>") && !svg.contains("<i>"));
    }
}
