//! Plots of how time and memory grow, as SVG: two panels side by side, every axis logarithmic.

use std::ops::Range;

use plotters::prelude::*;

/// One line of a panel: a name and its points.
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// One half of a plot.
pub struct Panel<'a> {
    pub title: &'a str,
    /// What the vertical axis counts, with its unit.
    pub axis: &'a str,
    pub lines: Vec<Line>,
    /// Whether a dashed line through the last point of the first line shows what growth in proportion would be.
    pub with_proportion: bool,
}

const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const GRID: RGBColor = RGBColor(0xe2, 0xe2, 0xe2);
const COLOURS: [RGBColor; 3] = [RGBColor(0x1f, 0x5f, 0xa8), RGBColor(0xc4, 0x4e, 0x2a), RGBColor(0x3b, 0x8a, 0x4f)];

/// Writes the plot to `path`.
pub fn draw(path: &str, title: &str, across: &str, panels: &[Panel<'_>; 2]) {
    let whole = SVGBackend::new(path, (960, 440)).into_drawing_area();
    whole.fill(&WHITE).expect("a plot");
    let below = whole.titled(title, ("sans-serif", 20).into_font().color(&INK)).expect("a plot");
    for (panel, area) in panels.iter().zip(below.split_evenly((1, 2))) {
        draw_panel(panel, across, &area);
    }
    whole.present().expect("room for a plot");
}

fn draw_panel(panel: &Panel<'_>, across: &str, area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) {
    let points = || panel.lines.iter().flat_map(|line| &line.points);
    let (x, mut y) = (range(points().map(|point| point.0), 1.25), range(points().map(|point| point.1), 2.0));
    // What is nearly flat shall look so.
    while y.end / y.start < 100.0 {
        y = y.start / 1.5..y.end * 1.5;
    }
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, ("sans-serif", 16, &INK))
        .margin(12)
        .margin_right(24)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d(x.clone().log_scale(), y.clone().log_scale())
        .expect("a plot");
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style(("sans-serif", 13, &INK))
        .x_labels(8)
        .y_labels(8)
        .x_desc(across)
        .y_desc(panel.axis)
        .x_label_formatter(&|value| number(*value))
        .y_label_formatter(&|value| number(*value))
        .draw()
        .expect("a plot");
    if panel.with_proportion
        && let Some(&(last_x, last_y)) = panel.lines.first().and_then(|line| line.points.last())
    {
        let least_x = x.start.max(y.start * last_x / last_y);
        let ends = [(least_x, last_y * least_x / last_x), (last_x, last_y)];
        chart
            .draw_series(DashedLineSeries::new(ends, 5, 4, INK.into()))
            .expect("a plot")
            .label("in proportion")
            .legend(|(x, y)| plotters::element::DashedPathElement::new([(x, y), (x + 18, y)], 5, 4, INK));
    }
    for (line, colour) in panel.lines.iter().zip(COLOURS) {
        chart
            .draw_series(LineSeries::new(line.points.clone(), colour.stroke_width(2)))
            .expect("a plot")
            .label(line.name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(line.points.iter().map(|point| Circle::new(*point, 4, colour.filled()))).expect("a plot");
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(GRID)
        .label_font(("sans-serif", 13, &INK))
        .draw()
        .expect("a plot");
}

/// The values with some room around them.
fn range(values: impl Iterator<Item = f64>, room: f64) -> Range<f64> {
    let (least, most) = values.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
    least / room..most * room
}

fn number(value: f64) -> String {
    match value {
        large if large >= 10_000.0 => format!("{:.0},000", large / 1000.0),
        one if one >= 1.0 => format!("{one:.0}"),
        small => format!("{small}"),
    }
}
