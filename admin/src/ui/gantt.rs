//! Bars on a time axis: who rang when. Drawn as SVG with percentages, because the content policy
//! of the pages allows no inline style.

/// One row of the picture.
pub(crate) struct Lane {
    /// At its left.
    pub(crate) name: String,
    /// The whole name, when it is cut.
    pub(crate) title: String,
    /// The lane in words, for those who do not see it.
    pub(crate) label: String,
    /// Its bars.
    pub(crate) bars: Vec<Bar>,
}

/// One bar.
pub(crate) struct Bar {
    /// `wait`, `ring` or `talk`.
    pub(crate) tone: &'static str,
    /// Percent of the axis.
    pub(crate) start: String,
    /// Percent of the axis.
    pub(crate) width: String,
    /// What it shows, for the pointer.
    pub(crate) title: String,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    from: i64,
    length: i64,
}

impl Axis {
    /// From one millisecond to another; an axis of no length shows one second.
    pub(crate) fn new(from: i64, to: i64) -> Self {
        Axis { from, length: to.saturating_sub(from).max(1000) }
    }

    /// A bar between two milliseconds, cut to the axis and wide enough to be seen; none when it
    /// ends before it begins.
    pub(crate) fn bar(&self, tone: &'static str, from: i64, to: i64, title: String) -> Option<Bar> {
        if to < from {
            return None;
        }
        let percent = |at: i64| {
            (at.saturating_sub(self.from) as f64 / self.length as f64 * 100.0).clamp(0.0, 100.0)
        };
        let start = percent(from).min(100.0 - MINIMUM);
        let width = (percent(to) - start).max(MINIMUM);
        Some(Bar { tone, start: format!("{start:.2}"), width: format!("{width:.2}"), title })
    }
}

/// Percent of the axis below which a bar would vanish on a phone.
const MINIMUM: f64 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(axis: Axis, from: i64, to: i64) -> Option<(String, String)> {
        axis.bar("ring", from, to, String::new()).map(|bar| (bar.start, bar.width))
    }

    #[test]
    fn bars_are_in_proportion_and_stay_on_the_axis() {
        let axis = Axis::new(1_000, 11_000);
        assert_eq!(at(axis, 1_000, 6_000), Some(("0.00".into(), "50.00".into())));
        assert_eq!(at(axis, 6_000, 99_000), Some(("50.00".into(), "50.00".into())));
        assert_eq!(at(axis, 11_000, 11_000), Some(("99.40".into(), "0.60".into())));
        assert_eq!(at(axis, 6_000, 5_999), None);
    }

    #[test]
    fn an_axis_without_length_divides_by_nothing() {
        assert_eq!(at(Axis::new(5, 5), 5, 5), Some(("0.00".into(), "0.60".into())));
    }
}
