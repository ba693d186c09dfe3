//! A line plot as SVG: enough for a report, without a drawing library.

use std::fmt::Write;

/// One line of a plot.
pub(crate) struct Line {
    pub(crate) label: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
/// Room for the axes' figures and the legend.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 44.0;
/// Readable beside each other, also for those who tell red and green apart badly.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// Draws the lines over one horizontal axis; both axes begin at zero.
pub(crate) fn plot(title: &str, across: &str, up: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let most_across = nice(points().map(|point| point.0).fold(0.0, f64::max));
    let most_up = nice(points().map(|point| point.1).fold(0.0, f64::max));
    let x = |value: f64| LEFT + value / most_across * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / most_up * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    let mut text = |at_x: f64, at_y: f64, anchor: &str, content: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{at_x:.1}\" y=\"{at_y:.1}\" text-anchor=\"{anchor}\">{content}</text>"
        );
    };
    text(LEFT, 16.0, "start", &format!("{title} ({up})"));
    text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8.0, "middle", across);
    for step in 0..=4 {
        let part = f64::from(step) / 4.0;
        text(x(most_across * part), HEIGHT - BOTTOM + 16.0, "middle", &figure(most_across * part));
        text(LEFT - 6.0, y(most_up * part) + 4.0, "end", &figure(most_up * part));
    }
    for (index, line) in lines.iter().enumerate() {
        let at = TOP + 10.0 + 16.0 * index as f64;
        text(WIDTH - RIGHT + 34.0, at + 4.0, "start", line.label);
    }
    for step in 0..=4 {
        let at = y(most_up * f64::from(step) / 4.0);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>",
            WIDTH - RIGHT
        );
    }
    for (index, line) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let path: Vec<String> =
            line.points.iter().map(|(a, b)| format!("{:.1},{:.1}", x(*a), y(*b))).collect();
        let key = TOP + 10.0 + 16.0 * index as f64;
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{key}\" y2=\"{key}\" stroke=\"{colour}\" \
             stroke-width=\"2\"/>",
            path.join(" "),
            WIDTH - RIGHT + 10.0,
            WIDTH - RIGHT + 28.0
        );
        for (a, b) in &line.points {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                x(*a),
                y(*b)
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// The next round figure: an axis that ends at 4000 is read faster than one that ends at 3871.
fn nice(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let magnitude = 10f64.powf(most.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * magnitude).find(|end| *end >= most).unwrap_or(most)
}

fn figure(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_point_lies_within_the_frame() {
        let lines = [Line { label: "p99", points: vec![(100.0, 1.0), (387.0, 37.0)] }];
        let svg = plot("setup", "calls/s", "ms", &lines);
        let highest = svg.rsplit("cy=\"").next().unwrap();
        let y: f64 = highest.split('"').next().unwrap().parse().unwrap();
        assert!((TOP..HEIGHT - BOTTOM).contains(&y), "{y}");
        assert_eq!(nice(387.0), 400.0);
        assert_eq!(nice(0.0), 1.0);
    }
}
