//! A figure that is taken once in each round, and how two of them compare.

use std::fmt;

/// One figure for each round.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<f64>);

impl Series {
    pub fn one(figure: f64) -> Self {
        Self(vec![figure])
    }

    pub fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// Round by round: the machine is not the same from one to the next, and both sides of one are taken close together.
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one / other).collect())
    }

    /// Absent where nothing was measured.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let [lower, upper] = [sorted.len().checked_sub(1)? / 2, sorted.len() / 2];
        Some(f64::midpoint(sorted[lower], sorted[upper]))
    }
}

/// The median, and between which figures it lies.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(median) = self.median() else { return Ok(()) };
        let digits = f.precision().unwrap_or(if median < 100.0 { 2 } else { 0 });
        write!(f, "{median:.digits$}")?;
        if self.0.len() > 1 {
            let [least, most] = [f64::min, f64::max].map(|end| self.0.iter().copied().reduce(end).unwrap_or(median));
            write!(f, " ({least:.digits$} to {most:.digits$})")?;
        }
        Ok(())
    }
}
