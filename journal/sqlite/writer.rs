//! Appending to SQLite: one connection, one transaction per batch.
//!
//! The insert is optimistic: the trigger that lets only the next event of a stream in finds a conflict, later
//! or earlier, at the price of one seek into pages that the insert needs anyway. Only when it does, the batch
//! is begun again with the streams' sequences read first and the losers left out.
//!
//! After any error that is no conflict the connection is closed, which ends its transaction, and the next
//! batch opens a new one: no state of a failed transaction is ever carried on.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;

use chrono::DateTime;
use sqlx::error::Error as SqlxError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Row};
use zeroload_database_access::open_files::OpenFiles;

use super::super::append::Prepared;
use super::super::hash::{CommitHasher, Hash};
use super::super::store::{Commit, Found, Outcome, WriteError, WriteStore};
use super::{check, result_code, store_error};
use crate::error::{StoreError, StoreErrorKind};

/// Rows per INSERT: each size is prepared once, and a batch takes at most one statement of each but the largest. Every
/// statement is a round trip to the connection's thread.
const INSERT_ROWS: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

/// Takes the write lock, then reads what the batch builds on. The clock counts milliseconds, and is overruled
/// if it went back.
const BEGIN: &str = "BEGIN IMMEDIATE;
    SELECT position, commit_id, hash,
           max(recorded_at, CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000)
      FROM journal_head";
const COMMIT_ROW: &str = "INSERT INTO commits (commit_id, first_position, event_count, recorded_at, hash)
    VALUES (?1, ?2, ?3, ?4, ?5);
    UPDATE journal_head SET position = ?2 + ?3 - 1, commit_id = ?1, recorded_at = ?4, hash = ?5";
const SEQUENCES: &str = "SELECT coalesce((SELECT max(sequence) FROM events
                       WHERE aggregate_type = stream.value ->> 0 AND aggregate_id = stream.value ->> 1), 0)
      FROM json_each(?1) AS stream ORDER BY stream.key";
const NEW_VERSION: &str = "INSERT OR IGNORE INTO event_versions (event_type, event_version) VALUES (?1, ?2)";
const VERSIONS: &str = "SELECT event_type, event_version FROM event_versions";
const FIND: &str = "SELECT command_id, aggregate_id, min(position), recorded_at FROM events
    WHERE position > ?1 GROUP BY command_id, aggregate_id";

/// See [`WriteStore`].
pub struct SqliteWriter {
    pub(super) options: SqliteConnectOptions,
    /// `None` after a failure: the next use opens a new one.
    pub(super) connection: Option<SqliteConnection>,
    inserts: [(usize, String); INSERT_ROWS.len()],
    /// The (type, version) pairs known to be stored.
    versions: HashSet<(String, String)>,
    files: Arc<OpenFiles>,
    /// Held, never read: who has it is the one writer of this file.
    _lock: File,
}

/// What a batch builds on.
struct Base {
    position: i64,
    commit_id: i64,
    hash: Hash,
    /// µs; of this batch.
    recorded_at: i64,
}

impl SqliteWriter {
    /// A connection that has read, so that SQLite's log is there.
    pub(super) async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, SqlxError> {
        let mut connection = options.connect().await?;
        sqlx::query(VERSIONS).fetch_all(&mut connection).await?;
        Ok(connection)
    }

    pub(super) async fn open(
        options: SqliteConnectOptions,
        mut connection: SqliteConnection,
        files: Arc<OpenFiles>,
        lock: File,
    ) -> Result<Self, SqlxError> {
        let versions: Vec<(String, String)> = sqlx::query_as(VERSIONS).fetch_all(&mut connection).await?;
        Ok(Self {
            options,
            connection: Some(connection),
            inserts: INSERT_ROWS.map(|rows| (rows, insert_sql(rows))),
            versions: versions.into_iter().collect(),
            files,
            _lock: lock,
        })
    }

    async fn take_connection(&mut self) -> Result<SqliteConnection, SqlxError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.options.connect().await,
        }
    }

    async fn append_on(&self, connection: &mut SqliteConnection, batch: &[Prepared]) -> Result<Outcome, WriteError> {
        let base = begin(connection).await.map_err(failed)?;
        let all: Vec<&Prepared> = batch.iter().collect();
        match self.insert(connection, &base, &all).await {
            Ok(()) => Ok(Outcome { commit: Some(self.commit(connection, &base, &all).await?), lost: Vec::new() }),
            Err(error) if is_conflict(&error) => self.append_checked(connection, batch).await,
            Err(error) => Err(failed(error)),
        }
    }

    /// Begins again, and leaves out whose stream is not where it expects it. Nobody else can write between
    /// the check and the commit.
    async fn append_checked(
        &self,
        connection: &mut SqliteConnection,
        batch: &[Prepared],
    ) -> Result<Outcome, WriteError> {
        sqlx::query("ROLLBACK").execute(&mut *connection).await.map_err(failed)?;
        let base = begin(connection).await.map_err(failed)?;
        let streams: Vec<_> = batch.iter().map(|append| [append.kind.as_str(), append.stream_text.as_str()]).collect();
        let current: Vec<i64> = sqlx::query_scalar(SEQUENCES)
            .bind(serde_json::json!(streams).to_string())
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
        let (mut winners, mut lost) = (Vec::new(), Vec::new());
        for (index, (append, current)) in batch.iter().zip(current).enumerate() {
            if append.expected_sequence == current {
                winners.push(append);
            } else {
                lost.push(index);
            }
        }
        if winners.is_empty() {
            sqlx::query("ROLLBACK").execute(connection).await.map_err(failed)?;
            return Ok(Outcome { commit: None, lost });
        }
        // A conflict now is none: the tables contradict each other, for instance an event beyond the head.
        self.insert(connection, &base, &winners).await.map_err(|error| match is_conflict(&error) {
            true => WriteError::Failed(StoreError::new(StoreErrorKind::Corrupt, error)),
            false => failed(error),
        })?;
        Ok(Outcome { commit: Some(self.commit(connection, &base, &winners).await?), lost })
    }

    async fn insert(
        &self,
        connection: &mut SqliteConnection,
        base: &Base,
        batch: &[&Prepared],
    ) -> Result<(), SqlxError> {
        let rows: Vec<_> = batch.iter().flat_map(|append| append.rows().map(move |row| (append, row))).collect();
        let (mut rest, mut position) = (rows.as_slice(), base.position);
        for (size, sql) in &self.inserts {
            while rest.len() >= *size {
                let chunk;
                (chunk, rest) = rest.split_at(*size);
                let query = chunk.iter().fold(sqlx::query(sql), |query, (append, (sequence, event, leaf))| {
                    position += 1;
                    query
                        .bind(position)
                        .bind(base.commit_id + 1)
                        .bind(base.recorded_at)
                        .bind(leaf.as_bytes().as_slice())
                        .bind(append.tenant.as_str())
                        .bind(append.command_text.as_str())
                        .bind(append.kind.as_str())
                        .bind(append.stream_text.as_str())
                        .bind(*sequence)
                        .bind(event.event_type)
                        .bind(event.event_version)
                        .bind(event.payload.as_str())
                        .bind(append.metadata.as_str())
                });
                query.execute(&mut *connection).await?;
            }
        }
        Ok(())
    }

    async fn commit(
        &self,
        connection: &mut SqliteConnection,
        base: &Base,
        batch: &[&Prepared],
    ) -> Result<Commit, WriteError> {
        for event in batch.iter().flat_map(|append| &append.events) {
            let version = (event.event_type.to_owned(), event.event_version.to_owned());
            if !self.versions.contains(&version) {
                sqlx::query(NEW_VERSION)
                    .bind(event.event_type)
                    .bind(event.event_version)
                    .execute(&mut *connection)
                    .await
                    .map_err(failed)?;
            }
        }
        let first_position = base.position + 1;
        let count = batch.iter().map(|append| append.event_count() as i64).sum();
        let mut hasher = CommitHasher::new(&base.hash, base.commit_id + 1, first_position, count, base.recorded_at);
        batch.iter().flat_map(|append| &append.leaves).for_each(|leaf| hasher.leaf(leaf.as_bytes()));
        sqlx::query(COMMIT_ROW)
            .bind(base.commit_id + 1)
            .bind(first_position)
            .bind(count)
            .bind(base.recorded_at)
            .bind(hasher.finish().as_bytes().as_slice())
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        let recorded_at = DateTime::from_timestamp_micros(base.recorded_at)
            .ok_or_else(|| WriteError::Failed(StoreError::new(StoreErrorKind::Corrupt, "its time is out of range")))?;
        // From here until the answer a failure leaves both possible.
        sqlx::query("COMMIT")
            .execute(connection)
            .await
            .map_err(|error| WriteError::Unknown { after: base.position.unsigned_abs(), source: store_error(error) })?;
        Ok(Commit { first_position: first_position.unsigned_abs(), recorded_at })
    }

    fn remember_versions(&mut self, batch: &[Prepared], lost: &[usize]) {
        let written = batch.iter().enumerate().filter(|(index, _)| !lost.contains(index));
        for event in written.flat_map(|(_, append)| &append.events) {
            self.versions.insert((event.event_type.to_owned(), event.event_version.to_owned()));
        }
    }
}

impl WriteStore for SqliteWriter {
    async fn append(&mut self, batch: &[Prepared]) -> Result<Outcome, WriteError> {
        check(&self.files).map_err(WriteError::Failed)?;
        let mut connection = self.take_connection().await.map_err(failed)?;
        let outcome = self.append_on(&mut connection, batch).await;
        match &outcome {
            Ok(outcome) => {
                self.connection = Some(connection);
                self.remember_versions(batch, &outcome.lost);
                // Between the check above and the commit the file may have gone, and the commit with it: it counts once the
                // file is back.
                if let (Some(commit), Err(source)) = (outcome.commit, check(&self.files)) {
                    return Err(WriteError::Unknown { after: commit.first_position - 1, source });
                }
            }
            // Waits until the connection is closed: what it began has ended when a lookup follows.
            Err(_) => drop(connection.close().await),
        }
        outcome
    }

    async fn find(&mut self, after: u64, batch: &[Prepared]) -> Result<Vec<Found>, StoreError> {
        check(&self.files)?;
        let mut connection = self.take_connection().await.map_err(store_error)?;
        let rows = sqlx::query(FIND)
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .fetch_all(&mut connection)
            .await
            .map_err(store_error)?;
        self.connection = Some(connection);
        let found = rows.iter().map(|row| {
            let key: (String, String) = (row.try_get(0)?, row.try_get(1)?);
            Ok((key, (row.try_get(2)?, row.try_get(3)?)))
        });
        let found: HashMap<(String, String), (i64, i64)> = found.collect::<Result<_, _>>().map_err(store_error)?;
        let found = batch.iter().filter_map(|append| {
            let key = (append.command_text.clone(), append.stream_text.clone());
            let (position, recorded_at) = found.get(&key)?;
            Some(Found {
                command_id: append.command_id,
                stream: append.stream,
                first_position: position.unsigned_abs(),
                recorded_at: DateTime::from_timestamp_micros(*recorded_at)?,
            })
        });
        Ok(found.collect())
    }

    async fn close(self) {
        let Some(mut connection) = self.connection else { return };
        // So that the file alone is the whole journal after a stop: readers that close later cannot do it.
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await {
            tracing::warn!(%error, "the journal's log was not folded into its file");
        }
        if let Err(error) = connection.close().await {
            tracing::warn!(%error, "the journal's writing connection was not closed cleanly");
        }
    }
}

/// No parameter has a number: sqlx asks SQLite for the name of each, and SQLite looks for it among all that have one.
/// With numbers, that search was a twentieth of the service's time.
fn insert_sql(rows: usize) -> String {
    let values = vec!["(?,?,?,?,?,?,?,?,?,?,?,?,?)"; rows];
    format!(
        "INSERT INTO events (position,commit_id,recorded_at,leaf_hash,tenant,command_id,aggregate_type,aggregate_id,\
         sequence,event_type,event_version,payload,metadata) VALUES {}",
        values.join(",")
    )
}

async fn begin(connection: &mut SqliteConnection) -> Result<Base, SqlxError> {
    let row = sqlx::query(BEGIN).fetch_one(connection).await?;
    let hash: Vec<u8> = row.try_get(2)?;
    let hash = hash
        .try_into()
        .map_err(|hash: Vec<u8>| SqlxError::Decode(format!("the head's hash has {} bytes", hash.len()).into()))?;
    Ok(Base {
        position: row.try_get(0)?,
        commit_id: row.try_get(1)?,
        hash: Hash::from_bytes(hash),
        recorded_at: row.try_get(3)?,
    })
}

/// SQLITE_CONSTRAINT_TRIGGER: not the next event of its stream; _PRIMARYKEY and _UNIQUE: the same, should the
/// trigger be missing.
fn is_conflict(error: &SqlxError) -> bool {
    matches!(result_code(error), Some(1811 | 1555 | 2067))
}

/// For every failure before COMMIT was sent: the transaction ends with its connection.
fn failed(error: SqlxError) -> WriteError {
    WriteError::Failed(store_error(error))
}
