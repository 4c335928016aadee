//! What happened in each minute, so that whoever asks how many confirms there were lately counts no items.
//!
//! Each row of `media` counts in the minutes of its times, and a change of the row takes back what it counted before. So the
//! counts are a function of the rows, as the rows are of the journal (P-4), and a batch changes a handful of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use zeroload_domain::{Claim, CollectReason, State};

use crate::{
    Error, MediaRow, ReadModels,
    engine::{Cell, Derived, Folded, Merge, Row, Scalar, Sink, Table, field::Kind, projection::rows as written, row},
    time_text,
};

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

row! {
    /// A row of `activity`, or by how much one changes.
    #[derive(Clone, Debug)]
    pub(crate) struct Counted {
        minute: StartOfMinute,
        requested: i64,
        confirmed: i64,
        open: i64,
        kept: i64,
        expired: i64,
    }
}

impl From<Counted> for Minute {
    fn from(counted: Counted) -> Self {
        Self {
            starts_at: counted.minute.0,
            requested: counted.requested.unsigned_abs(),
            confirmed: counted.confirmed.unsigned_abs(),
            open: counted.open.unsigned_abs(),
            kept: counted.kept.unsigned_abs(),
            expired: counted.expired.unsigned_abs(),
        }
    }
}

/// A minute as its column has it: `2026-11-22T08:42`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartOfMinute(DateTime<Utc>);

impl Scalar for StartOfMinute {
    const KIND: Kind = Kind::Text;

    fn write(&self, sink: &mut dyn Sink) {
        sink.text(Some(&minute_of(self.0)));
    }

    fn of_text(text: &str) -> Option<Self> {
        time_text::parse(&format!("{text}:00.000000Z")).map(Self)
    }
}

/// One row per minute (UTC), all tenants together. A minute in which nothing is left to count may be missing or hold zeros.
pub(crate) const TABLE: Table =
    Table { name: "activity", columns: Counted::COLUMNS, key: &["minute"], indexes: &[], without_rowid: true };

pub(crate) const ACTIVITY: Derived<MediaRow> = Derived { table: &TABLE, rows: changed, merge: Merge::Add };

fn changed(batch: &Folded<'_, MediaRow>) -> Option<String> {
    let mut counts = Counts::default();
    batch.before.iter().for_each(|row| counts.take_back(row));
    batch.updated.iter().chain(&batch.inserted).for_each(|row| counts.add(row));
    written(counts.changes())
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
        self.changes().into_iter().map(Minute::from).collect()
    }

    /// Without those that come to nothing.
    fn changes(&self) -> Vec<Counted> {
        let changed = self.0.iter().filter(|(_, changes)| changes.iter().any(|change| *change != 0));
        let row = |(minute, changes): (&i64, &[i64; 5])| {
            let [requested, confirmed, open, kept, expired] = *changes;
            let starts_at = DateTime::from_timestamp(minute * 60, 0).unwrap_or_default();
            Counted { minute: StartOfMinute(starts_at), requested, confirmed, open, kept, expired }
        };
        changed.map(row).collect()
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

row! {
    struct Requests {
        requested: u64,
        since: Option<StartOfMinute>,
    }
}

fn cell(minute: DateTime<Utc>) -> Cell {
    Cell::of(&StartOfMinute(minute))
}

impl ReadModels {
    /// The minutes from the one of `from` to the one of `until` in which anything happened, in their order; at most `limit`.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn activity(&self, from: DateTime<Utc>, until: DateTime<Utc>, limit: u32) -> Result<Vec<Minute>, Error> {
        #[cfg(any(test, feature = "memory"))]
        if let Some(memory) = self.memory() {
            return memory.at_one_stroke(|rows| rows.minutes(from, until).take(limit as usize).collect()).await;
        }
        let cells = vec![cell(from), cell(until), Cell::number(limit)];
        let rows: Vec<Counted> = self.database()?.select(include_str!("minutes.sql"), cells).await?;
        Ok(rows.into_iter().map(Minute::from).collect())
    }

    /// The requests between `from` and `until` that came after the last confirm between them, in whole minutes.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn unanswered(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Unanswered, Error> {
        #[cfg(any(test, feature = "memory"))]
        if let Some(memory) = self.memory() {
            return memory.at_one_stroke(|rows| rows.unanswered(from, until)).await;
        }
        let sql = include_str!("unanswered.sql");
        let found: Option<Requests> = self.database()?.find(sql, vec![cell(from), cell(until)]).await?;
        Ok(found.map_or_else(Unanswered::default, |found| Unanswered {
            requested: found.requested,
            since: found.since.map(|minute| minute.0),
        }))
    }
}

#[cfg(any(test, feature = "memory"))]
impl crate::memory::Rows {
    pub(crate) fn minutes(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> impl Iterator<Item = Minute> {
        let mut counts = Counts::default();
        self.media.values().for_each(|row| counts.add(row));
        counts
            .minutes()
            .into_iter()
            .filter(move |minute| (minute_of(from)..=minute_of(until)).contains(&minute_of(minute.starts_at)))
    }

    pub(crate) fn unanswered(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Unanswered {
        let mut minutes: Vec<_> = self.minutes(from, until).collect();
        if let Some(last) = minutes.iter().rposition(|minute| minute.confirmed > 0) {
            minutes.drain(..=last);
        }
        minutes.retain(|minute| minute.requested > 0);
        let since = minutes.first().map(|minute| minute.starts_at);
        Unanswered { requested: minutes.iter().map(|minute| minute.requested).sum(), since }
    }
}

#[cfg(test)]
mod tests;
