//! Rates and percentiles.

use std::time::Duration;

/// How long each of many equal steps took.
pub struct Samples {
    /// Ascending.
    micros: Vec<u32>,
    /// From the beginning of the first to the end of the last; steps may have run side by side.
    elapsed: Duration,
}

impl Samples {
    pub fn new(mut micros: Vec<u32>, elapsed: Duration) -> Self {
        micros.sort_unstable();
        Self { micros, elapsed }
    }

    pub fn count(&self) -> u64 {
        self.micros.len() as u64
    }

    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    pub fn per_second(&self) -> f64 {
        self.count() as f64 / self.elapsed.as_secs_f64()
    }

    /// In milliseconds: `share` of the steps took no longer.
    pub fn percentile(&self, share: f64) -> f64 {
        let last = self.micros.len().saturating_sub(1) as f64;
        self.micros.get((last * share).round() as usize).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }
}

/// As a sample; an hour and more all the same.
pub fn micros(length: Duration) -> u32 {
    u32::try_from(length.as_micros()).unwrap_or(u32::MAX)
}
