//! What a run knows of itself.

use chrono::{DateTime, Utc};
use zeroload_clock::watch::Moment;

use super::RunReport;
use crate::media::commands::Origin;

/// Why a run is broken off.
pub(super) const FEWER_REQUESTS: &str = "the bucket asked for fewer requests";
const WITHHELD: &str = "it was not certain that what is claimed can be deleted, or that it is due";

/// One run: the time and identity that all its decisions share.
pub(super) struct Run {
    pub now: DateTime<Utc>,
    /// When `now` was read.
    pub began: Moment,
    pub origin: Origin,
    pub caller: String,
    pub started_at: DateTime<Utc>,
    pub report: RunReport,
    /// That it has begun is in the journal.
    pub recorded: bool,
    pub handled: usize,
    /// Its last page.
    pub page: u32,
    /// All that it has recorded is at or before this position.
    pub reached: u64,
    /// Why it ends before its work is done.
    pub broken_off: Option<&'static str>,
    /// What is due later was not judged, and waits.
    pub judged_until: DateTime<Utc>,
}

impl Run {
    pub fn reach(&mut self, position: u64) {
        self.reached = self.reached.max(position);
    }

    /// Ends the run, with nothing more claimed.
    pub fn withhold(&mut self, why: String) {
        self.broken_off.get_or_insert(WITHHELD);
        self.report.withheld = Some(why);
    }

    /// It ends after its page.
    pub fn leave_the_bucket_alone(&mut self) {
        self.broken_off.get_or_insert(FEWER_REQUESTS);
        self.report.more = true;
    }
}

/// Which items a pass is about.
#[derive(Clone, Copy)]
pub(super) enum Pass {
    Finish,
    Collect,
}
