//! The records of collection runs: a row of `run_records`, and how events make it.
//!
//! A run's last event says all that there is to say of it, so nothing that is stored has to be read before a batch is
//! folded. A run without an end was cut off, or is under way.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use zeroload_domain::{
    ByteSize, RunEvent,
    run::{CollectionRunEnded, CollectionRunStarted},
};

use crate::{
    Error, RecordedEvent, What,
    columns::{Cell, Cells, Columns, integer, text, time},
    time_text,
};

/// Runs of one page at most.
const PAGE: std::ops::RangeInclusive<u32> = 1..=1000;

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
pub(crate) fn changes(events: &[RecordedEvent]) -> Vec<RunRow> {
    let mut rows: Vec<RunRow> = Vec::new();
    for recorded in events {
        let What::Run(event) = &recorded.what else { continue };
        let fresh = RunRow::of(event, recorded.position);
        match rows.iter_mut().find(|row| row.run_id == fresh.run_id) {
            None => rows.push(fresh),
            Some(row) if fresh.ended.is_some() => *row = RunRow { first_position: row.first_position, ..fresh },
            Some(_) => {}
        }
    }
    rows
}

/// How many rows to ask for so that the answer tells whether there is a next page.
pub(crate) fn rows_wanted(limit: u32) -> u32 {
    limit.clamp(*PAGE.start(), *PAGE.end()) + 1
}

/// A page of what was asked for with [`rows_wanted`].
pub(crate) fn page(limit: u32, mut runs: Vec<RunRow>) -> RunPage {
    let limit = usize::try_from(rows_wanted(limit) - 1).expect("a limit of at most 1000 fits");
    let more = runs.len() > limit;
    runs.truncate(limit);
    let next = runs.last().filter(|_| more).map(|last| last.run_id);
    RunPage { runs, next }
}

/// All columns of a row in the order of the table.
pub(crate) fn cells(row: &RunRow) -> [Cell; 18] {
    let ended = row.ended.as_deref();
    let number = |value: fn(&CollectionRunEnded) -> u64| Cell::Number(ended.map(value).map(integer));
    let json = |value: Option<serde_json::Value>| Cell::Text(value.map(|value| value.to_string()));
    [
        text(row.run_id.to_string()),
        text(row.caller.as_str()),
        time(row.started_at),
        Cell::Text(ended.map(|ended| time_text::format(ended.ended_at))),
        number(|ended| ended.due),
        number(|ended| ended.collected),
        number(|ended| ended.absent),
        number(|ended| ended.in_use),
        number(|ended| ended.failed),
        number(|ended| ended.unknown),
        number(|ended| ended.bytes_freed.bytes()),
        number(|ended| u64::from(ended.more)),
        json(ended.map(|ended| serde_json::json!(ended.reasons))),
        json(ended.map(|ended| serde_json::json!(ended.failures))),
        Cell::Text(ended.and_then(|ended| ended.broken_off.clone())),
        Cell::Number(Some(integer(row.first_position))),
        Cell::Number(Some(integer(row.position))),
        number(|ended| ended.trashed),
    ]
}

/// Reads all columns of a row in the order of the table.
pub(crate) fn row(cells: &dyn Cells) -> Result<RunRow, Error> {
    let mut columns = Columns::of(cells);
    let run_id = columns.name("run_id", |text| Uuid::try_parse(text).ok())?;
    let caller = columns.name("caller", |text| Some(text.to_owned()))?;
    let started_at = columns.time("started_at")?;
    let ended_at = columns.optional("ended_at", time_text::parse)?;
    let mut count = |column| columns.optional_integer(column).map(Option::unwrap_or_default);
    let (due, collected, absent) = (count("due")?, count("collected")?, count("absent")?);
    let (in_use, failed, unknown) = (count("in_use")?, count("failed")?, count("unknown")?);
    let (bytes_freed, more) = (ByteSize::new(count("bytes_freed")?), count("more")? != 0);
    let reasons = columns.optional("reasons", |text| serde_json::from_str(text).ok())?.unwrap_or_default();
    let failures = columns.optional("failures", |text| serde_json::from_str(text).ok())?.unwrap_or_default();
    let broken_off = columns.optional("broken_off", |text| Some(text.to_owned()))?;
    let (first_position, position) = (columns.integer("first_position")?, columns.integer("position")?);
    let trashed = columns.optional_integer("trashed")?.unwrap_or_default();
    let ended = ended_at.map(|ended_at| {
        let caller = caller.clone();
        Box::new(CollectionRunEnded {
            run_id,
            caller,
            started_at,
            ended_at,
            due,
            collected,
            trashed,
            absent,
            in_use,
            failed,
            unknown,
            bytes_freed,
            more,
            reasons,
            failures,
            broken_off,
        })
    });
    Ok(RunRow { run_id, caller, started_at, ended, first_position, position })
}
