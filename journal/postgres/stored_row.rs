//! What is stored, from the rows that PostgreSQL answers with.

use sqlx::error::Error as SqlxError;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::super::stored::{Edges, RawCommit, RawDecisionEvent, RawEvent, RawHead};

/// The bytes of a text or json column as the server sends them, which is as they are stored.
fn bytes(row: &PgRow, column: usize) -> Result<Vec<u8>, SqlxError> {
    row.try_get_unchecked(column)
}

impl FromRow<'_, PgRow> for RawEvent {
    fn from_row(row: &PgRow) -> Result<Self, SqlxError> {
        Ok(Self {
            position: row.try_get(0)?,
            commit_id: row.try_get(1)?,
            recorded_at: row.try_get(2)?,
            leaf_hash: row.try_get(3)?,
            tenant: bytes(row, 4)?,
            command_id: bytes(row, 5)?,
            aggregate_type: bytes(row, 6)?,
            aggregate_id: bytes(row, 7)?,
            sequence: row.try_get(8)?,
            event_type: bytes(row, 9)?,
            event_version: bytes(row, 10)?,
            payload: bytes(row, 11)?,
            metadata: bytes(row, 12)?,
        })
    }
}

impl FromRow<'_, PgRow> for RawDecisionEvent {
    fn from_row(row: &PgRow) -> Result<Self, SqlxError> {
        Ok(Self {
            position: row.try_get(0)?,
            command_id: bytes(row, 1)?,
            sequence: row.try_get(2)?,
            event_type: bytes(row, 3)?,
            event_version: bytes(row, 4)?,
            payload: bytes(row, 5)?,
        })
    }
}

impl FromRow<'_, PgRow> for RawCommit {
    fn from_row(row: &PgRow) -> Result<Self, SqlxError> {
        Ok(Self {
            commit_id: row.try_get(0)?,
            first_position: row.try_get(1)?,
            event_count: row.try_get(2)?,
            recorded_at: row.try_get(3)?,
            hash: row.try_get(4)?,
        })
    }
}

impl FromRow<'_, PgRow> for RawHead {
    fn from_row(row: &PgRow) -> Result<Self, SqlxError> {
        Ok(Self {
            position: row.try_get(0)?,
            commit_id: row.try_get(1)?,
            recorded_at: row.try_get(2)?,
            hash: row.try_get(3)?,
            journal_id: bytes(row, 4)?,
        })
    }
}

impl FromRow<'_, PgRow> for Edges {
    fn from_row(row: &PgRow) -> Result<Self, SqlxError> {
        Ok(Self {
            head: RawHead::from_row(row)?,
            last_position: row.try_get(6)?,
            last_commit: row.try_get(7)?,
            strays: row.try_get(8)?,
        })
    }
}
