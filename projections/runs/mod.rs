//! The records of collection runs: a row of `run_records`, and how events make it.
//!
//! A run's last event says all that there is to say of it, so nothing that is stored has to be read before a batch is
//! folded. A run without an end was cut off, or is under way.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use zeroload_domain::{
    ByteSize, RunEvent,
    run::{CollectionRunEnded, CollectionRunStarted},
};

use crate::{
    Error, MediaRow, ReadModels, RecordedBody, RecordedEvent,
    engine::{Cell, Derived, Folded, Merge, Row, Table, View, projection::rows as written, row},
    query::{AFTER_ALL, Page, at_most},
};

/// One run of the collector that found something due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    pub run_id: Uuid,
    /// Who asked: `timer`, the name of an API key, or the subcommand.
    pub caller: String,
    pub started_at: DateTime<Utc>,
    /// What it did, once it has ended.
    pub ended: Option<Box<CollectionRunEnded>>,
    /// Of its first event: what it claimed stands behind it.
    pub first_position: u64,
    /// Of its newest event: where it has ended, what it did stands before it.
    pub position: u64,
}

/// Runs, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPage {
    pub runs: Vec<RunRow>,
    /// The last of this page, if there are more behind it.
    pub next: Option<Uuid>,
}

impl RunRow {
    fn of(event: &RunEvent, position: u64) -> Self {
        let (caller, started_at, ended) = match event {
            RunEvent::CollectionRunStarted(CollectionRunStarted { caller, started_at, .. }) => {
                (caller.clone(), *started_at, None)
            }
            RunEvent::CollectionRunEnded(ended) => (ended.caller.clone(), ended.started_at, Some(ended.clone())),
        };
        Self { run_id: event.run_id(), caller, started_at, ended, first_position: position, position }
    }
}

/// The rows that `events` make, one for each run in them. A row with an end replaces what is stored but its
/// `first_position`; one without never does.
fn changes(events: &[RecordedEvent]) -> Vec<RunRow> {
    let mut rows: Vec<RunRow> = Vec::new();
    for recorded in events {
        let RecordedBody::Run(event) = &recorded.what else { continue };
        let fresh = RunRow::of(event, recorded.position);
        match rows.iter_mut().find(|row| row.run_id == fresh.run_id) {
            None => rows.push(fresh),
            Some(row) if fresh.ended.is_some() => *row = RunRow { first_position: row.first_position, ..fresh },
            Some(_) => {}
        }
    }
    rows
}

row! {
    /// A row of `run_records`: what the run did is NULL until it has ended. reasons and failures are JSON objects of counts.
    pub(crate) struct RunRecord {
        run_id: Uuid,
        caller: String,
        started_at: DateTime<Utc>,
        ended_at: Option<DateTime<Utc>>,
        due: Option<u64>,
        collected: Option<u64>,
        absent: Option<u64>,
        in_use: Option<u64>,
        failed: Option<u64>,
        unknown: Option<u64>,
        bytes_freed: Option<ByteSize>,
        more: Option<bool>,
        reasons: Option<BTreeMap<String, u64>>,
        failures: Option<BTreeMap<String, u64>>,
        broken_off: Option<String>,
        first_position: u64,
        position: u64,
        trashed: Option<u64>,
    }
}

impl From<RunRow> for RunRecord {
    fn from(row: RunRow) -> Self {
        let RunRow { run_id, caller, started_at, ended, first_position, position } = row;
        let ended = ended.map(|ended| *ended);
        let count = |of: fn(&CollectionRunEnded) -> u64| ended.as_ref().map(of);
        Self {
            run_id,
            caller,
            started_at,
            ended_at: ended.as_ref().map(|ended| ended.ended_at),
            due: count(|ended| ended.due),
            collected: count(|ended| ended.collected),
            absent: count(|ended| ended.absent),
            in_use: count(|ended| ended.in_use),
            failed: count(|ended| ended.failed),
            unknown: count(|ended| ended.unknown),
            bytes_freed: ended.as_ref().map(|ended| ended.bytes_freed),
            more: ended.as_ref().map(|ended| ended.more),
            reasons: ended.as_ref().map(|ended| ended.reasons.clone()),
            failures: ended.as_ref().map(|ended| ended.failures.clone()),
            trashed: count(|ended| ended.trashed),
            broken_off: ended.and_then(|ended| ended.broken_off),
            first_position,
            position,
        }
    }
}

impl From<RunRecord> for RunRow {
    fn from(record: RunRecord) -> Self {
        let RunRecord { run_id, caller, started_at, first_position, position, .. } = record;
        let ended = record.ended_at.map(|ended_at| {
            Box::new(CollectionRunEnded {
                run_id,
                caller: caller.clone(),
                started_at,
                ended_at,
                due: record.due.unwrap_or_default(),
                collected: record.collected.unwrap_or_default(),
                trashed: record.trashed.unwrap_or_default(),
                absent: record.absent.unwrap_or_default(),
                in_use: record.in_use.unwrap_or_default(),
                failed: record.failed.unwrap_or_default(),
                unknown: record.unknown.unwrap_or_default(),
                bytes_freed: record.bytes_freed.unwrap_or(ByteSize::new(0)),
                more: record.more.unwrap_or_default(),
                reasons: record.reasons.unwrap_or_default(),
                failures: record.failures.unwrap_or_default(),
                broken_off: record.broken_off,
            })
        });
        Self { run_id, caller, started_at, ended, first_position, position }
    }
}

/// One row per run of the collector that found something due.
pub(crate) const TABLE: Table =
    Table { name: "run_records", columns: RunRecord::COLUMNS, key: &["run_id"], indexes: &[], without_rowid: true };

/// An end replaces what is there, and a beginning never does.
pub(crate) const RUNS: Derived<MediaRow> = Derived {
    table: &TABLE,
    rows: recorded,
    merge: Merge::Replace { keep: &["first_position"], when: "excluded.ended_at IS NOT NULL" },
};

pub(crate) const COLLECTION_RUNS: View = View { name: "collection_runs", query: include_str!("collection_runs.sql") };

fn recorded(batch: &Folded<'_, MediaRow>) -> Option<String> {
    written(changes(batch.events).into_iter().map(RunRecord::from).collect())
}

impl ReadModels {
    /// The records of collection runs, newest first, up to `limit` (1 to 1000) of them; those before the run `before` if
    /// one is named.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn run_records(&self, before: Option<Uuid>, limit: u32) -> Result<RunPage, Error> {
        let before = before.map_or(Cell::text(AFTER_ALL), |id| Cell::of(&id));
        let cells = vec![before, Cell::number(at_most(limit) + 1)];
        let records: Vec<RunRecord> = self.database()?.select(include_str!("before.sql"), cells).await?;
        let runs = records.into_iter().map(RunRow::from).collect();
        let Page { items: runs, next } = Page::of(limit, runs, |row: &RunRow| row.run_id);
        Ok(RunPage { runs, next })
    }

    /// The record of one run, if it has one.
    ///
    /// # Errors
    /// As [`ReadModels::run_records`].
    pub async fn run_record(&self, id: Uuid) -> Result<Option<RunRow>, Error> {
        let sql = "SELECT {columns} FROM run_records WHERE run_id = $1";
        let found: Option<RunRecord> = self.database()?.find(sql, vec![Cell::of(&id)]).await?;
        Ok(found.map(RunRow::from))
    }
}

#[cfg(test)]
mod tests;
