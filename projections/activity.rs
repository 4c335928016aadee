//! What happened in each minute, so that whoever asks how many confirms there were lately counts no items.
//!
//! Each row of `media` counts in the minutes of its times, and a change of the row takes back what it counted before. So the
//! counts are a function of the rows, as the rows are of the journal (P-4), and a batch changes a handful of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use zeroload_domain::{Claim, CollectReason, State};

use crate::{Error, MediaRow, columns::Cells, columns::Columns, time_text};

/// Characters of a minute: `2026-11-22T08:42`.
const MINUTE: usize = 16;

/// One minute (UTC) of all tenants together. `open`, `kept` and `expired` are about items whose time for a confirm ended in
/// it (`collectable_at`); one that its backend has released is in none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute {
    pub starts_at: DateTime<Utc>,
    /// Items that were requested in it.
    pub requested: u64,
    /// Items that were confirmed in it, without those that were brought back from the trash.
    pub confirmed: u64,
    /// Items whose time ended in it and that are neither confirmed nor claimed.
    pub open: u64,
    /// Items whose time would have ended in it, and that are confirmed.
    pub kept: u64,
    /// Items whose time ended in it and that were claimed because nobody had confirmed them.
    pub expired: u64,
}

/// Requests since the last confirm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unanswered {
    pub requested: u64,
    /// The minute of the first of them.
    pub since: Option<DateTime<Utc>>,
}

/// By how much a batch changes the counts of each minute, in the order of the columns.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts(BTreeMap<i64, [i64; 5]>);

const REQUESTED: usize = 0;
const CONFIRMED: usize = 1;
const OPEN: usize = 2;
const KEPT: usize = 3;
const EXPIRED: usize = 4;

impl Counts {
    /// What `row` counts from now on.
    pub(crate) fn add(&mut self, row: &MediaRow) {
        self.count(row, 1);
    }

    /// What `row` has counted so far.
    pub(crate) fn take_back(&mut self, row: &MediaRow) {
        self.count(row, -1);
    }

    fn count(&mut self, row: &MediaRow, by: i64) {
        self.at(row.requested_at)[REQUESTED] += by;
        // What an operator brings back from the trash is no sign that confirms arrive.
        if let Some(at) = row.confirmed_at.filter(|_| !row.object_key.is_restored()) {
            self.at(at)[CONFIRMED] += by;
        }
        let fate = match row.state {
            // Its backend has said that it may go, whatever became of it since.
            _ if row.release_reason.is_some() => return,
            State::Pending | State::Uploaded => OPEN,
            State::Confirmed => KEPT,
            State::Collecting | State::Trashed | State::Restoring | State::Collected => EXPIRED,
            State::Released | State::Unrequested => return,
        };
        self.at(time_to_confirm(row))[fate] += by;
    }

    fn at(&mut self, at: DateTime<Utc>) -> &mut [i64; 5] {
        self.0.entry(at.timestamp().div_euclid(60)).or_default()
    }

    /// What they come to where nothing was counted before.
    #[cfg(any(test, feature = "memory"))]
    pub(crate) fn minutes(&self) -> Vec<Minute> {
        let minute = |(minute, counts): (String, [i64; 5])| {
            let [requested, confirmed, open, kept, expired] = counts.map(i64::unsigned_abs);
            let starts_at = parse(&minute).expect("it was made from a time");
            Minute { starts_at, requested, confirmed, open, kept, expired }
        };
        self.rows().map(minute).collect()
    }

    /// Minute and changes, without those that come to nothing.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (String, [i64; 5])> {
        let changed = self.0.iter().filter(|(_, changes)| changes.iter().any(|change| *change != 0));
        changed.map(|(minute, changes)| {
            (minute_of(DateTime::from_timestamp(minute * 60, 0).unwrap_or_default()), *changes)
        })
    }
}

/// When the time for a confirm ended, or will end. The trash moves `collectable_at` to its own end.
fn time_to_confirm(row: &MediaRow) -> DateTime<Utc> {
    let in_trash = match row.state {
        State::Trashed | State::Restoring => true,
        State::Confirmed => row.claim.is_some(),
        _ => {
            let again = row.claim.is_some_and(|claim| claim > Claim::FIRST);
            again && row.collect_reason != Some(CollectReason::LateUpload)
        }
    };
    if in_trash { row.confirm_by } else { row.collectable_at }
}

/// The column's text for the minute that `at` is in.
pub(crate) fn minute_of(at: DateTime<Utc>) -> String {
    let mut text = time_text::format(at);
    text.truncate(MINUTE);
    text
}

fn parse(text: &str) -> Option<DateTime<Utc>> {
    time_text::parse(&format!("{text}:00.000000Z"))
}

pub(crate) fn minute(row: &dyn Cells) -> Result<Minute, Error> {
    let mut columns = Columns::of(row);
    Ok(Minute {
        starts_at: columns.name("minute", parse)?,
        requested: columns.integer("requested")?,
        confirmed: columns.integer("confirmed")?,
        open: columns.integer("open")?,
        kept: columns.integer("kept")?,
        expired: columns.integer("expired")?,
    })
}

pub(crate) fn unanswered(row: &dyn Cells) -> Result<Unanswered, Error> {
    let mut columns = Columns::of(row);
    Ok(Unanswered { requested: columns.integer("requested")?, since: columns.optional("since", parse)? })
}
