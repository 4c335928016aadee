//! How many lines of the log were lost since the process began: counted where they are written, shown as a metric.

use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// One more line that standard error did not take.
pub fn one_more() {
    COUNT.fetch_add(1, Ordering::Relaxed);
}

/// All so far.
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}
