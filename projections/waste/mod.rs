//! What was stored, never confirmed and removed: by day of the removal, tenant and reason.
//!
//! Each removal of an object counts once, on its day (UTC). An item whose bytes came again after they had been removed counts
//! again when those are removed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use zeroload_domain::{CollectReason, Tenant, time_text};

use crate::{
    MediaRow,
    engine::{
        Derived, Folded, Merge, Row, Scalar, Sink, Table,
        field::Kind,
        projection::{Rows, rows},
        row,
    },
};

/// Characters of a day: `2026-11-22`.
const DAY: usize = 10;

row! {
    /// A row of `waste_per_day`, or what a batch adds to one.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct WasteRow {
        /// UTC, of the removal.
        day: Day,
        tenant: Tenant,
        /// Why the item was collected.
        reason: CollectReason,
        /// Objects that were removed.
        items: u64,
        /// Bytes that this has freed, as far as they are known.
        bytes: u64,
        /// Each object's bytes, times the whole seconds from when the object was first known to be there to its removal.
        byte_seconds: u64,
    }
}

/// A day as its column has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Day(String);

impl Day {
    fn of(at: DateTime<Utc>) -> Self {
        let mut text = time_text::format(at);
        text.truncate(DAY);
        Self(text)
    }
}

impl Scalar for Day {
    const KIND: Kind = Kind::Text;

    fn write(&self, sink: &mut dyn Sink) {
        sink.text(Some(&self.0));
    }

    fn of_text(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }
}

pub(crate) const TABLE: Table = Table {
    name: "waste_per_day",
    columns: WasteRow::COLUMNS,
    key: &["day", "tenant", "reason"],
    indexes: &[],
    without_rowid: true,
};

pub(crate) const WASTE: Derived<MediaRow> = Derived { table: &TABLE, rows: removed, merge: Merge::Accumulate };

fn removed(batch: &Folded<'_, MediaRow>) -> Rows {
    rows(sums(&batch.passed))
}

/// One row for each day, tenant and reason, of items as they were when their object was proven gone.
fn sums(collected: &[MediaRow]) -> Vec<WasteRow> {
    let mut sums = BTreeMap::new();
    for wasted in collected.iter().filter_map(WasteRow::of) {
        let key = (wasted.day.clone(), wasted.tenant.as_str().to_owned(), wasted.reason.as_str());
        sums.entry(key).and_modify(|sum: &mut WasteRow| sum.add(&wasted)).or_insert(wasted);
    }
    sums.into_values().collect()
}

impl WasteRow {
    /// None of an item that was confirmed, or whose object nobody has ever seen.
    fn of(row: &MediaRow) -> Option<Self> {
        let (collected_at, arrived_at) = (row.collected_at?, row.arrived_at?);
        if row.confirmed_at.is_some() {
            return None;
        }
        let bytes = row.bytes_freed?.bytes();
        let seconds = (collected_at - arrived_at).num_seconds().max(0).unsigned_abs();
        Some(Self {
            day: Day::of(collected_at),
            tenant: row.tenant.clone(),
            reason: row.collect_reason?,
            items: 1,
            bytes: bounded(bytes),
            byte_seconds: bounded(bytes.saturating_mul(seconds)),
        })
    }

    fn add(&mut self, other: &Self) {
        self.items = bounded(self.items.saturating_add(other.items));
        self.bytes = bounded(self.bytes.saturating_add(other.bytes));
        self.byte_seconds = bounded(self.byte_seconds.saturating_add(other.byte_seconds));
    }
}

/// A number stops at the largest that a column holds: a petabyte for ten thousand days comes close.
fn bounded(number: u64) -> u64 {
    number.min(i64::MAX.unsigned_abs())
}

#[cfg(test)]
mod tests;
