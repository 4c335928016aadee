//! Appending to PostgreSQL: one connection, one statement per batch.
//!
//! After any error the connection is dropped, and the next batch opens a new one.

use std::collections::{BTreeSet, HashSet};

use chrono::DateTime;
use sqlx::error::Error as SqlxError;
use sqlx::postgres::{PgArguments, PgConnection, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{Connection, Row};

use super::super::append::Prepared;
use super::super::store::{Commit, Found, Outcome, WriteError, WriteStore};
use super::connection::{answered, connect, has_code, is_rolled_back, store_error};
use super::high_water_mark::{HighWaterMark, Mark};
use super::row::NewRows;
use super::settings::Settings;
use crate::error::{StoreError, StoreErrorKind};

const APPEND_ALL: &str = "SELECT first_position, recorded_at
    FROM journal_append_all($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
/// Behind a pooler, where each parameter must be of a type that the driver knows by itself: it asks the server for any
/// other with named statements, which would stay on the pooler's connection and be in the way of the next process.
const APPEND_ALL_POOLED: &str = "SELECT first_position, recorded_at
    FROM journal_append_all($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";
const APPEND: &str = "SELECT first_position, recorded_at, lost
    FROM journal_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                        $22)";
const BEGIN_WRITER: &str = "SELECT position, journal_id, journal_begin_writer(),
    (SELECT command_id FROM events WHERE events.position = journal_head.position),
    current_setting('fsync')::boolean AND current_setting('full_page_writes')::boolean FROM journal_head";
const RAISE_FENCE: &str = "SELECT journal_raise_fence($1, $2, $3)";
const END_WRITER: &str = "SELECT journal_end_writer($1)";

/// A subquery per stream is one look into the primary key. The sequence tells an append from an earlier one of the
/// same command.
const FIND: &str = "SELECT (a.at - 1)::bigint, e.position, e.recorded_at
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
        WITH ORDINALITY AS a (kind, stream, command, expected, at)
    CROSS JOIN LATERAL (SELECT position, recorded_at, command_id FROM events
        WHERE aggregate_type = a.kind AND aggregate_id = a.stream AND sequence = a.expected + 1 OFFSET 0) AS e
    WHERE e.command_id = a.command AND e.position > $5";

/// What both functions raise for a writer whose fence is gone.
const FENCED_OFF: &str = "ZL004";

/// What `journal_append_all` raises if a stream is not where it should be; for one that should be new it is PostgreSQL's
/// unique_violation.
const MOVED_ON: [&str; 2] = ["ZL007", "23505"];

type PgQuery<'q> = Query<'q, Postgres, PgArguments>;

/// See [`WriteStore`].
///
/// When the outcome of a batch is unknown, its statement may still run, or still be on its way. So a lookup first
/// raises a fence over a new connection: it waits for the head's lock, thus for what runs, and takes from the old
/// connection the right to append, thus refuses what comes later.
pub struct PostgresWriter {
    settings: Settings,
    /// `None` after a failure: the next use opens a new one.
    pub(super) connection: Option<PgConnection>,
    /// The right to append.
    pub(super) fence: i64,
    /// Someone else removed the right: it is taken anew before the next batch.
    fenced_off: bool,
    journal_id: String,
    /// A head before it lost acknowledged events.
    seen: HighWaterMark,
    /// What this writer has written, so that the list of versions is not read at each append.
    versions: HashSet<(&'static str, &'static str)>,
}

impl PostgresWriter {
    pub(super) async fn open(settings: Settings, seen: HighWaterMark) -> Result<Self, StoreError> {
        let mut connection = connect(&settings).await?;
        let (journal_id, fence) = begin_writer(&mut connection, settings.pooled, &seen).await?;
        Ok(Self {
            settings,
            connection: Some(connection),
            fence,
            fenced_off: false,
            journal_id,
            seen,
            versions: HashSet::new(),
        })
    }

    /// A new connection to the journal as it was seen: the address may lead to another server by now.
    async fn reconnect(&self) -> Result<PgConnection, StoreError> {
        let mut connection = connect(&self.settings).await?;
        self.seen.check(&mut connection, &self.journal_id).await?;
        Ok(connection)
    }

    async fn take_connection(&mut self) -> Result<PgConnection, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reconnect().await?,
        };
        if self.fenced_off {
            self.fence = begin_writer(&mut connection, self.settings.pooled, &self.seen).await?.1;
            self.fenced_off = false;
        }
        Ok(connection)
    }

    async fn append_on(&mut self, connection: &mut PgConnection, batch: &[Prepared]) -> Result<Outcome, WriteError> {
        // Taken before the batch is sent: a reader may see its events before it is known here that they are there.
        let Mark { position: known, .. } = self.seen.mark();
        // Nearly always nothing is lost: what is, is looked up only if something is.
        let pooled = self.settings.pooled;
        let mut answer = fetch(connection, pooled, append_all_query(self, known, batch)).await;
        if matches!(&answer, Err(failure) if MOVED_ON.iter().any(|code| has_code(&failure.error, code))) {
            answer = fetch(connection, pooled, append_query(self, known, batch)).await;
        }
        let rows = answer.map_err(|failure| match failure {
            Failure { error, sent } if sent && !is_rolled_back(&error) => unknown(known, error),
            Failure { error, .. } => {
                self.fenced_off = has_code(&error, FENCED_OFF);
                WriteError::Failed(store_error(error))
            }
        })?;
        let outcome = match rows.first() {
            Some(row) => outcome(row),
            None => Err(SqlxError::RowNotFound),
        };
        // It has committed: only whether this program understands the answer is open.
        let outcome = outcome.map_err(|error| unknown(known, error))?;
        if let Some(commit) = outcome.commit {
            let named = batch.iter().flat_map(|append| &append.events);
            self.versions.extend(named.map(|event| (event.event_type, event.event_version)));
            let written = batch.iter().enumerate().filter(|(index, _)| !outcome.lost.contains(index));
            let (events, last) = written.fold((0, None), |(events, _), (_, a)| (events + a.event_count(), Some(a)));
            let last_position = commit.first_position.cast_signed() + events as i64 - 1;
            last.inspect(|last| self.seen.note(last_position, &last.command_text));
        }
        Ok(outcome)
    }

    async fn find_on(
        &mut self,
        connection: &mut PgConnection,
        after: u64,
        batch: &[Prepared],
    ) -> Result<Vec<Found>, SqlxError> {
        let pooled = self.settings.pooled;
        let raise = sqlx::query(RAISE_FENCE).bind(&self.journal_id).bind(self.seen.mark().position).bind(self.fence);
        let raised = fetch(connection, pooled, raise).await.map_err(|failure| failure.error)?;
        self.fence = raised.first().ok_or(SqlxError::RowNotFound)?.try_get(0)?;
        let query = sqlx::query(FIND)
            .bind(kinds(batch))
            .bind(texts(batch, |append| &append.stream_text))
            .bind(texts(batch, |append| &append.command_text))
            .bind(batch.iter().map(|append| append.expected_sequence).collect::<Vec<_>>())
            .bind(i64::try_from(after).unwrap_or(i64::MAX));
        let rows = fetch(connection, pooled, query).await.map_err(|failure| failure.error)?;
        rows.iter().map(|row| found(row, batch)).collect()
    }
}

impl WriteStore for PostgresWriter {
    async fn append(&mut self, batch: &[Prepared]) -> Result<Outcome, WriteError> {
        let mut connection = self.take_connection().await.map_err(WriteError::Failed)?;
        let outcome = self.append_on(&mut connection, batch).await;
        if outcome.is_ok() {
            self.connection = Some(connection);
        }
        outcome
    }

    async fn find(&mut self, after: u64, batch: &[Prepared]) -> Result<Vec<Found>, StoreError> {
        // Never over the connection that a batch may still be running on.
        self.connection = None;
        let mut connection = self.reconnect().await?;
        let found = self.find_on(&mut connection, after, batch).await.map_err(store_error)?;
        self.connection = Some(connection);
        Ok(found)
    }

    async fn close(self) {
        let Some(mut connection) = self.connection else { return };
        let ended = fetch(&mut connection, self.settings.pooled, sqlx::query(END_WRITER).bind(self.fence)).await;
        if let Err(Failure { error, .. }) = ended {
            tracing::warn!(%error, "the journal's writer was not signed off");
        }
        if let Err(error) = answered(connection.close()).await {
            tracing::warn!(%error, "the journal's writing connection was not closed cleanly");
        }
    }
}

fn unknown(after: i64, error: SqlxError) -> WriteError {
    WriteError::Unknown { after: after.unsigned_abs(), source: store_error(error) }
}

/// The journal's id and a new right to append.
async fn begin_writer(
    connection: &mut PgConnection,
    pooled: bool,
    seen: &HighWaterMark,
) -> Result<(String, i64), StoreError> {
    let begun = fetch(connection, pooled, sqlx::query(BEGIN_WRITER)).await;
    let begun = begun.map_err(|failure| store_error(failure.error))?;
    let no_head = || StoreError::new(StoreErrorKind::Corrupt, "the journal has no head");
    let row = begun.first().ok_or_else(no_head)?;
    let read = || {
        seen.note(row.try_get(0)?, row.try_get::<Option<String>, _>(3)?.unwrap_or_default());
        if !row.try_get::<bool, _>(4)? {
            tracing::warn!(
                "the server runs with fsync or full_page_writes off: it may forget what it has acknowledged"
            );
        }
        Ok((row.try_get(1)?, row.try_get(2)?))
    };
    read().map_err(store_error)
}

/// Why there is no answer.
struct Failure {
    error: SqlxError,
    /// Whether something that commits may have reached the server.
    sent: bool,
}

/// One statement that commits by itself; behind a pooler, which may change the session between two messages, in a
/// transaction.
async fn fetch(connection: &mut PgConnection, pooled: bool, query: PgQuery<'_>) -> Result<Vec<PgRow>, Failure> {
    let sent = |error| Failure { error, sent: true };
    if !pooled {
        return answered(query.fetch_all(connection)).await.map_err(sent);
    }
    let unsent = |error| Failure { error, sent: false };
    let mut transaction = answered(connection.begin()).await.map_err(unsent)?;
    let rows = answered(query.persistent(false).fetch_all(&mut *transaction)).await.map_err(unsent)?;
    answered(transaction.commit()).await.map_err(sent)?;
    Ok(rows)
}

fn append_all_query<'q>(writer: &'q PostgresWriter, known_position: i64, batch: &'q [Prepared]) -> PgQuery<'q> {
    let pooled = writer.settings.pooled;
    let query = sqlx::query(if pooled { APPEND_ALL_POOLED } else { APPEND_ALL });
    let query = query.bind(writer.fence).bind(&writer.journal_id).bind(known_position);
    let query = bind_known(query, batch);
    let query = bind_new_types(query, writer, batch);
    let query = if pooled { bind_events(query, batch) } else { query.bind(NewRows(batch)) };
    bind_joined(query, batch)
}

fn append_query<'q>(writer: &'q PostgresWriter, known_position: i64, batch: &'q [Prepared]) -> PgQuery<'q> {
    let owners = (0_i32..).zip(batch);
    let known_owners = owners.clone().filter(|(_, append)| is_known(append)).map(|(owner, _)| owner);
    let event_owners = owners.flat_map(|(owner, append)| append.events.iter().map(move |_| owner));
    let query = sqlx::query(APPEND).bind(writer.fence).bind(&writer.journal_id).bind(known_position).bind(true);
    let query = bind_known(query, batch).bind(list(known_owners));
    let query = bind_new_types(query, writer, batch);
    bind_joined(bind_events(query, batch).bind(list(event_owners)), batch)
}

/// Whether the append goes on with a stream.
fn is_known(append: &&Prepared) -> bool {
    append.expected_sequence > 0
}

/// The streams that should exist, one element each.
fn bind_known<'q>(query: PgQuery<'q>, batch: &'q [Prepared]) -> PgQuery<'q> {
    let known = || batch.iter().filter(is_known);
    query
        .bind(list(known().map(|append| append.kind.as_str())))
        .bind(list(known().map(|append| append.stream_text.as_str())))
        .bind(list(known().map(|append| append.expected_sequence)))
}

fn bind_new_types<'q>(query: PgQuery<'q>, writer: &PostgresWriter, batch: &'q [Prepared]) -> PgQuery<'q> {
    let named = batch.iter().flat_map(|append| &append.events).map(|event| (event.event_type, event.event_version));
    let new = named.filter(|version| !writer.versions.contains(version)).collect::<BTreeSet<_>>();
    let (types, versions): (Vec<_>, Vec<_>) = new.into_iter().unzip();
    query.bind(types).bind(versions)
}

/// Each event with its append, one element each.
fn bind_events<'q>(query: PgQuery<'q>, batch: &'q [Prepared]) -> PgQuery<'q> {
    let rows = || batch.iter().flat_map(|append| append.rows().map(move |row| (append, row)));
    query
        .bind(list(rows().map(|(append, _)| append.kind.as_str())))
        .bind(list(rows().map(|(append, _)| append.stream_text.as_str())))
        .bind(list(rows().map(|(_, (sequence, ..))| sequence)))
        .bind(list(rows().map(|(_, (_, event, _))| event.event_type)))
        .bind(list(rows().map(|(_, (_, event, _))| event.event_version)))
        .bind(list(rows().map(|(_, (_, event, _))| event.payload.as_str())))
        .bind(list(rows().map(|(append, _)| append.metadata.as_str())))
        .bind(list(rows().map(|(append, _)| append.tenant.as_str())))
        .bind(list(rows().map(|(append, _)| append.command_text.as_str())))
        .bind(list(rows().map(|(_, (.., leaf))| leaf.as_bytes().as_slice())))
}

/// All leaves in one.
fn bind_joined<'q>(query: PgQuery<'q>, batch: &'q [Prepared]) -> PgQuery<'q> {
    let leaves = batch.iter().flat_map(|append| &append.leaves);
    query.bind(leaves.flat_map(|leaf| leaf.as_bytes()).copied().collect::<Vec<u8>>())
}

fn list<T>(elements: impl Iterator<Item = T>) -> Vec<T> {
    elements.collect()
}

fn kinds(batch: &[Prepared]) -> Vec<&'static str> {
    batch.iter().map(|append| append.kind.as_str()).collect()
}

fn texts<'q>(batch: &'q [Prepared], text: impl Fn(&'q Prepared) -> &'q String) -> Vec<&'q str> {
    batch.iter().map(|append| text(append).as_str()).collect()
}

/// Of the answer of either function: only one of them names what is lost.
fn outcome(row: &PgRow) -> Result<Outcome, SqlxError> {
    let lost: Vec<i32> = if row.len() > 2 { row.try_get(2)? } else { Vec::new() };
    let lost = lost.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
    let mut lost = lost.map_err(decode)?;
    lost.sort_unstable();
    let first: Option<i64> = row.try_get(0)?;
    let commit = match first {
        None => None,
        Some(first) => Some(Commit { first_position: first.unsigned_abs(), recorded_at: time(row.try_get(1)?)? }),
    };
    Ok(Outcome { commit, lost })
}

fn found(row: &PgRow, batch: &[Prepared]) -> Result<Found, SqlxError> {
    let index = usize::try_from(row.try_get::<i64, _>(0)?).map_err(decode)?;
    let append = batch.get(index).ok_or_else(|| decode("an append that was not asked for"))?;
    Ok(Found {
        command_id: append.command_id,
        stream: append.stream,
        first_position: row.try_get::<i64, _>(1)?.unsigned_abs(),
        recorded_at: time(row.try_get(2)?)?,
    })
}

fn time(micros: i64) -> Result<DateTime<chrono::Utc>, SqlxError> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| decode("its time is out of range"))
}

fn decode(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SqlxError {
    SqlxError::Decode(error.into())
}
