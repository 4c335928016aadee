//! The cursors of stored consumers: rows that are claimed, moved and listed.
//!
//! Each call is one statement, but for a claim that has nothing to change, which only reads. A lease is two columns of the
//! row: who is at the consumer, and until when, by the database's clock where several machines share it. It is never a lock
//! of a session, which a pooler could lose.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use zeroload_clock::Clock;

use super::error::ConsumerError;
use super::follower::Standing;
use super::lag::{Lag, lag};
use super::mark::{Cursor, mark_at};
use super::row::{COLUMNS, Cell, CursorTable, RawConsumer};
use crate::reader::Reader;

/// How long a consumer is held by a process that is not heard of. A batch should take less than half of it.
pub(super) const LEASE: TimeDelta = TimeDelta::seconds(60);

/// Characters of a failure that are kept.
const MAX_FAILURE: usize = 500;

/// Bytes of a name.
const MAX_NAME: usize = 100;

const REGISTER: &str = "INSERT INTO journal_consumers (name, position, commit_id, commit_hash, paused, updated_at)
    VALUES ($2, $3, $4, $5, FALSE, {now}) ON CONFLICT (name) DO NOTHING RETURNING {columns}";
const ALL: &str = "SELECT {columns} FROM journal_consumers ORDER BY name";
const ONE: &str = "SELECT {columns} FROM journal_consumers WHERE name = $2";
/// The lease is free, over or our own, who are $3.
macro_rules! unless_held {
    ($change:literal) => {
        concat!(
            "UPDATE journal_consumers SET ",
            $change,
            " WHERE name = $2 AND (lease_holder IS NULL OR lease_holder = $3 OR lease_until <= {now}) RETURNING {columns}"
        )
    };
}
const CLAIM: &str =
    unless_held!("lease_holder = CASE WHEN paused THEN NULL ELSE $3 END, lease_until = {now} + CAST($4 AS bigint)");
const MOVE: &str = unless_held!(
    "position = $4, commit_id = $5, commit_hash = $6, failure = NULL, lease_holder = NULL, lease_until = NULL,
     updated_at = {now}"
);
/// From $4, where the effect began, or to where a save whose answer was lost has come: never back, and not where the cursor
/// was moved meanwhile.
const SAVE: &str = "UPDATE journal_consumers SET position = $5, commit_id = coalesce($6, commit_id),
      commit_hash = coalesce($7, commit_hash), lease_until = {now} + CAST($8 AS bigint), failure = NULL, updated_at = {now}
    WHERE name = $2 AND lease_holder = $3 AND position IN ($4, $5) RETURNING {columns}";
const FAIL: &str = "UPDATE journal_consumers SET failure = $4, updated_at = {now}
    WHERE name = $2 AND lease_holder = $3 RETURNING {columns}";
const RELEASE: &str = "UPDATE journal_consumers SET lease_holder = NULL, lease_until = NULL
    WHERE name = $2 AND lease_holder = $3 RETURNING {columns}";
const PAUSE: &str = "UPDATE journal_consumers SET paused = $3, updated_at = {now} WHERE name = $2 RETURNING {columns}";
const DELETE: &str = "DELETE FROM journal_consumers WHERE name = $2 RETURNING {columns}";

/// Who is at a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The process.
    pub holder: Uuid,
    pub until: DateTime<Utc>,
}

/// What is known of one consumer.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerState {
    pub name: String,
    pub cursor: Cursor,
    pub lag: Lag,
    pub lease: Option<Lease>,
    pub paused: bool,
    /// Why its last turn failed, if it did.
    pub failure: Option<String>,
    pub updated_at: DateTime<Utc>,
}

/// The cursors of one journal's consumers. A clone is the same process.
#[derive(Clone)]
pub struct ConsumerStore {
    table: Arc<dyn CursorTable>,
    reader: Reader,
    clock: Clock,
    holder: Uuid,
}

impl ConsumerStore {
    /// `holder` names this process, and is like no other's.
    pub fn new(table: impl CursorTable, reader: Reader, clock: Clock, holder: Uuid) -> Self {
        Self { table: Arc::new(table), reader, clock, holder }
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Makes a consumer that begins behind `position`, unless there is one of that name, which stays as it is.
    ///
    /// # Errors
    /// [`ConsumerError::Name`], [`ConsumerError::Beyond`], and where journal or cursors cannot be reached.
    pub async fn register(&self, name: &str, position: u64) -> Result<(), ConsumerError> {
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_plain) {
            return Err(ConsumerError::Name { length: name.len() });
        }
        let cursor = self.cursor_at(position).await?;
        self.table.make().await?;
        self.rows(REGISTER, [vec![Cell::Text(name.to_owned())], cells(&cursor)].concat()).await?;
        Ok(())
    }

    /// Takes the lease, if it is free, over or our own, and renews the last when half of it is gone.
    ///
    /// # Errors
    /// [`ConsumerError::Unknown`], and where the cursors cannot be reached.
    pub async fn claim(&self, name: &str) -> Result<Standing, ConsumerError> {
        let found = self.one(ONE, name, vec![Cell::Text(name.to_owned())]).await?;
        let half = LEASE.num_microseconds().unwrap_or_default() / 2;
        let row = match found.lease() {
            Some((holder, _)) if holder != self.holder => return Ok(standing_beside(&found)),
            None if found.paused => return Ok(Standing::Paused),
            Some((_, left)) if left > half && !found.paused => found,
            _ => {
                let claimed = self.rows(CLAIM, [self.own(name), vec![lease()]].concat()).await?;
                match claimed.into_iter().next() {
                    Some(row) if row.paused => return Ok(Standing::Paused),
                    Some(row) => row,
                    None => return Ok(Standing::HeldByAnother),
                }
            }
        };
        Ok(Standing::At(row.cursor()?))
    }

    /// Moves the cursor from where a batch began to where it ended, renews the lease and forgets the last failure. Says
    /// whether the consumer may go on: it may have been paused.
    ///
    /// # Errors
    /// [`ConsumerError::Lost`], and where the cursors cannot be reached: then it may be saved.
    pub async fn save(&self, name: &str, from: u64, to: &Cursor) -> Result<bool, ConsumerError> {
        if to.position < from {
            return Err(ConsumerError::Lost { name: name.to_owned() });
        }
        let from = Cell::Number(Some(from.cast_signed()));
        let cells = [self.own(name), vec![from], cells(to), vec![lease()]].concat();
        match self.rows(SAVE, cells).await?.into_iter().next() {
            Some(row) => Ok(!row.paused),
            None => Err(ConsumerError::Lost { name: name.to_owned() }),
        }
    }

    /// Keeps why a turn has failed, where this process is at the consumer.
    ///
    /// # Errors
    /// The cursors cannot be reached.
    pub async fn fail(&self, name: &str, failure: &str) -> Result<(), ConsumerError> {
        let failure = Cell::Text(failure.chars().take(MAX_FAILURE).collect());
        self.rows(FAIL, [self.own(name), vec![failure]].concat()).await?;
        Ok(())
    }

    /// Gives the lease back, if it is ours.
    ///
    /// # Errors
    /// The cursors cannot be reached.
    pub async fn release(&self, name: &str) -> Result<(), ConsumerError> {
        self.rows(RELEASE, self.own(name)).await?;
        Ok(())
    }

    /// Whoever is at the consumer ends its batch and leaves off.
    ///
    /// # Errors
    /// [`ConsumerError::Unknown`], and where the cursors cannot be reached.
    pub async fn pause(&self, name: &str) -> Result<(), ConsumerError> {
        self.one(PAUSE, name, vec![Cell::Text(name.to_owned()), Cell::Flag(true)]).await.map(drop)
    }

    /// # Errors
    /// As [`ConsumerStore::pause`].
    pub async fn resume(&self, name: &str) -> Result<(), ConsumerError> {
        self.one(PAUSE, name, vec![Cell::Text(name.to_owned()), Cell::Flag(false)]).await.map(drop)
    }

    /// Puts the cursor at `position` of the journal as it is now: further back, and events are consumed once more; also where
    /// the consumer has stopped because the journal was restored.
    ///
    /// # Errors
    /// [`ConsumerError::Held`], [`ConsumerError::Beyond`], [`ConsumerError::Unknown`], and where journal or cursors cannot be
    /// reached.
    pub async fn move_to(&self, name: &str, position: u64) -> Result<(), ConsumerError> {
        let cursor = self.cursor_at(position).await?;
        if self.rows(MOVE, [self.own(name), cells(&cursor)].concat()).await?.is_empty() {
            self.one(ONE, name, vec![Cell::Text(name.to_owned())]).await?;
            return Err(ConsumerError::Held { name: name.to_owned() });
        }
        Ok(())
    }

    /// # Errors
    /// [`ConsumerError::Unknown`], and where the cursors cannot be reached.
    pub async fn delete(&self, name: &str) -> Result<(), ConsumerError> {
        self.one(DELETE, name, vec![Cell::Text(name.to_owned())]).await.map(drop)
    }

    /// All consumers by name, with their lag.
    ///
    /// # Errors
    /// Journal or cursors cannot be reached.
    pub async fn list(&self) -> Result<Vec<ConsumerState>, ConsumerError> {
        let rows = self.rows(ALL, vec![]).await?;
        let head = self.reader.head().await?.position;
        let mut states = Vec::with_capacity(rows.len());
        for row in rows {
            let (cursor, now) = (row.cursor()?, time(row.now));
            let lease = row.lease().map(|(holder, left)| Lease { holder, until: time(row.now + left) });
            states.push(ConsumerState {
                lag: lag(&self.reader, head, cursor.position, now).await?,
                cursor,
                lease,
                paused: row.paused,
                failure: row.failure,
                updated_at: time(row.updated_at),
                name: row.name,
            });
        }
        Ok(states)
    }

    /// Gives the connections back; later calls fail.
    pub async fn close(&self) {
        self.table.close().await;
    }

    /// A cursor in the journal as it is now.
    async fn cursor_at(&self, position: u64) -> Result<Cursor, ConsumerError> {
        let head = self.reader.head().await?;
        if position > head.position {
            return Err(ConsumerError::Beyond { position, head: head.position });
        }
        Ok(Cursor { position, mark: mark_at(&self.reader, &head, position, None).await? })
    }

    fn own(&self, name: &str) -> Vec<Cell> {
        vec![Cell::Text(name.to_owned()), Cell::Text(self.holder.to_string())]
    }

    async fn one(&self, sql: &str, name: &str, cells: Vec<Cell>) -> Result<RawConsumer, ConsumerError> {
        let found = self.rows(sql, cells).await?.into_iter().next();
        found.ok_or_else(|| ConsumerError::Unknown { name: name.to_owned() })
    }

    async fn rows(&self, sql: &str, cells: Vec<Cell>) -> Result<Vec<RawConsumer>, ConsumerError> {
        let sql = sql.replace("{columns}", COLUMNS);
        Ok(self.table.rows(&sql, self.clock.now().timestamp_micros(), cells).await?)
    }
}

fn standing_beside(row: &RawConsumer) -> Standing {
    if row.paused { Standing::Paused } else { Standing::HeldByAnother }
}

fn lease() -> Cell {
    Cell::Number(LEASE.num_microseconds())
}

/// The databases' integers are signed. No position comes near their end.
fn cells(cursor: &Cursor) -> Vec<Cell> {
    vec![
        Cell::Number(Some(cursor.position.cast_signed())),
        Cell::Number(cursor.mark.map(|mark| mark.commit_id.cast_signed())),
        Cell::Bytes(cursor.mark.map(|mark| mark.hash.as_bytes().to_vec())),
    ]
}

fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}
