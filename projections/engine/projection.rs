//! What a projection says of itself: its tables, and how events change them.

use super::{
    row::{self, Row},
    schema::Schema,
    table::{Table, View},
};
use crate::{Error, RecordedEvent};

/// Tables that are a fold of the journal, with one checkpoint for all of them.
///
/// One table has a row per subject, which is read before it is folded into. The others follow from the batch alone: what an
/// event adds to them depends on no row of theirs.
pub(crate) trait Projection: Copy + Send + Sync + 'static {
    /// As checkpoints show it.
    const NAME: &'static str;
    /// A row of the table that is folded into.
    type Row: Row + Clone + std::fmt::Debug;
    /// Its key is its first column.
    const TABLE: &'static Table;
    /// Those that follow.
    const DERIVED: &'static [Derived<Self::Row>];
    /// What analysts ask, in an order in which each knows those before it.
    const VIEWS: &'static [View];
    /// How its tables, and those beside them, came to be what they are.
    const SCHEMA: &'static Schema;

    fn key(row: &Self::Row) -> String;

    /// The rows that must be read before `events` can be folded.
    fn touched(events: &[RecordedEvent]) -> Vec<String>;

    /// Folds `events` over the rows of [`Projection::touched`].
    fn fold<'e>(events: &'e [RecordedEvent], stored: Vec<Self::Row>) -> Folded<'e, Self::Row>;
}

/// What a batch does to the table that is folded into.
#[derive(Debug)]
pub(crate) struct Folded<'e, R> {
    pub events: &'e [RecordedEvent],
    /// Rows that were there before, as they were.
    pub before: Vec<R>,
    /// The same rows, as they are now.
    pub updated: Vec<R>,
    /// Rows of subjects that had none.
    pub inserted: Vec<R>,
    /// Rows as they were inside the batch, where a table that follows needs them: right after what the projection says.
    pub passed: Vec<R>,
}

/// A table that follows from each batch.
#[derive(Debug)]
pub(crate) struct Derived<R: 'static> {
    pub table: &'static Table,
    /// The rows that a batch adds, one for each key.
    pub rows: fn(&Folded<'_, R>) -> Rows,
    pub merge: Merge,
}

/// What becomes of a row whose key is there already when it is added once more.
#[derive(Debug)]
pub(crate) enum Merge {
    /// Its numbers are added.
    Add,
    /// Its numbers are added; none is negative, and a sum stops at the largest that the column holds.
    Accumulate,
    /// The new row takes its place, but for the columns that it keeps; only if this is true of `excluded`, the new row.
    Replace { keep: &'static [&'static str], when: &'static str },
}

/// Rows of a table, as JSON; none where nothing is to be written.
pub(crate) type Rows = Option<String>;

/// [`Rows`] of values.
pub(crate) fn rows<R: Row>(rows: Vec<R>) -> Rows {
    if rows.is_empty() { None } else { Some(row::json(rows)) }
}

/// A statement that adds rows of a table that follows, and the rows.
#[derive(Debug)]
pub(crate) struct Upsert {
    pub sql: String,
    pub rows: String,
}

/// What the batch does to the tables that follow, in one version.
pub(crate) fn upserts<P: Projection>(folded: &Folded<'_, P::Row>, version: u32) -> Vec<Upsert> {
    let of = |derived: &Derived<P::Row>| {
        let rows = (derived.rows)(folded)?;
        Some(Upsert { sql: derived.upsert(version), rows })
    };
    P::DERIVED.iter().filter_map(of).collect()
}

impl<R> Derived<R> {
    fn upsert(&self, version: u32) -> String {
        let kind = |column: &row::Column| match column.kind {
            super::field::Kind::Text => format!("{} text", column.name),
            super::field::Kind::Integer => format!("{} integer", column.name),
        };
        let (table, names, key) = (self.table.of_version(version), self.table.names(), self.table.key.join(", "));
        let columns = self.table.columns.iter().map(kind).collect::<Vec<_>>().join(", ");
        let merge = self.merge();
        format!(
            "INSERT INTO {table} AS known ({names})\nSELECT {names} FROM {{rows $1: {columns}}}\nWHERE true\n\
             ON CONFLICT ({key}) DO UPDATE SET {merge}"
        )
    }

    fn merge(&self) -> String {
        let columns = self.table.besides_key();
        let set = |assignments: Vec<String>| assignments.join(", ");
        match &self.merge {
            Merge::Add => set(columns.map(|name| format!("{name} = known.{name} + excluded.{name}")).collect()),
            Merge::Accumulate => {
                let largest = i64::MAX;
                set(columns
                    .map(|name| {
                        format!(
                            "{name} = CASE WHEN known.{name} > {largest} - excluded.{name} THEN {largest}
                             ELSE known.{name} + excluded.{name} END"
                        )
                    })
                    .collect())
            }
            Merge::Replace { keep, when } => {
                let replaced = columns.filter(|name| !keep.contains(name));
                let set = set(replaced.map(|name| format!("{name} = excluded.{name}")).collect());
                format!("{set} WHERE {when}")
            }
        }
    }
}

/// All tables of a projection.
pub(crate) fn tables<P: Projection>() -> impl Iterator<Item = &'static Table> {
    std::iter::once(P::TABLE).chain(P::DERIVED.iter().map(|derived| derived.table))
}

/// The part of `events` that comes after `position`. What is at or before it was applied already, by us or by another
/// process, and is skipped.
///
/// # Errors
/// [`Error::Hole`] unless the rest goes on at `position + 1` without gaps: skipping an event would be forgotten for ever.
pub(crate) fn fresh(events: &[RecordedEvent], position: u64) -> Result<&[RecordedEvent], Error> {
    let start = events.iter().position(|e| e.position > position).unwrap_or(events.len());
    let fresh = &events[start..];
    for (expected, event) in (position + 1..).zip(fresh) {
        if event.position != expected {
            return Err(Error::Hole { expected, found: event.position });
        }
    }
    Ok(fresh)
}

/// A page of all rows of a version in order of their key, behind the key `$1`, at most `$2` of them.
pub(crate) fn page_of<P: Projection>(version: u32) -> String {
    let (table, names, key) = (P::TABLE.of_version(version), P::TABLE.names(), P::TABLE.key.join(", "));
    format!("SELECT {names} FROM {table} WHERE {key} > $1 ORDER BY {key} LIMIT $2")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Journal;

    #[test]
    fn what_was_applied_already_is_skipped() {
        let journal = Journal::requests(5);
        assert_eq!(fresh(&journal.events, 0).unwrap().len(), 5);
        assert_eq!(fresh(&journal.events, 3).unwrap()[0].position, 4);
        assert!(fresh(&journal.events, 5).unwrap().is_empty());
        assert!(fresh(&journal.events, 9).unwrap().is_empty());
        assert!(fresh(&[], 0).unwrap().is_empty());
    }

    #[test]
    fn a_hole_is_an_error_wherever_it_is() {
        let journal = Journal::requests(5);
        let holes = |events: &[RecordedEvent], position| match fresh(events, position) {
            Err(Error::Hole { expected, found }) => Some((expected, found)),
            _ => None,
        };
        assert_eq!(holes(&journal.events[1..], 0), Some((1, 2)));
        let mut torn = journal.events.clone();
        torn.remove(2);
        assert_eq!(holes(&torn, 0), Some((3, 4)));
        assert_eq!(holes(&torn, 1), Some((3, 4)));
        let mut disordered = journal.events.clone();
        disordered.swap(3, 4);
        assert_eq!(holes(&disordered, 1), Some((4, 5)));
        let mut repeated = journal.events;
        repeated[4] = repeated[3].clone();
        assert_eq!(holes(&repeated, 0), Some((5, 4)));
    }
}
