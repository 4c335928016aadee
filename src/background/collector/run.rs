//! The state of a run.

use chrono::{DateTime, Utc};
use zeroload_clock::watch::Moment;

use super::RunReport;
use crate::media::commands::Origin;

/// Why a run broke off, as its record says.
pub(super) const FEWER_REQUESTS: &str = "the bucket asked for fewer requests";
const WITHHELD: &str = "it was not certain that what is claimed can be deleted, or that it is due";

/// One run: the time and identity that all its decisions share.
pub(super) struct Run {
    pub now: DateTime<Utc>,
    /// The moment, by the wall clock and the steady clock, at which the run began.
    pub began: Moment,
    pub origin: Origin,
    pub caller: String,
    pub started_at: DateTime<Utc>,
    pub report: RunReport,
    /// Whether `CollectionRunStarted` is in the journal.
    pub recorded: bool,
    pub handled: usize,
    /// The number of the run's last page.
    pub page: u32,
    /// The position of the last event that the run has appended or met.
    pub reached: u64,
    /// Why the run ends before its work is done.
    pub broken_off: Option<&'static str>,
    /// Items due after this time were not judged by the brake, and wait for a later run.
    pub judged_until: DateTime<Utc>,
}

impl Run {
    pub fn reach(&mut self, position: u64) {
        self.reached = self.reached.max(position);
    }

    /// Ends the run without a further claim, and puts the reason into the report.
    pub fn withhold(&mut self, why: String) {
        self.broken_off.get_or_insert(WITHHELD);
        self.report.withheld = Some(why);
    }

    /// Ends the run after the current page, since the bucket asks for fewer requests.
    pub fn leave_the_bucket_alone(&mut self) {
        self.broken_off.get_or_insert(FEWER_REQUESTS);
        self.report.more = true;
    }
}

/// Which items a pass handles: those that earlier runs left unfinished, or those that are due.
#[derive(Clone, Copy)]
pub(super) enum Pass {
    Finish,
    Collect,
}
