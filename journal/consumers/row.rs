//! A stored consumer as its row, and the trait behind which the databases lie.

use futures_util::future::BoxFuture;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use uuid::Uuid;

use super::mark::{Cursor, Mark};
use crate::error::{StoreError, StoreErrorKind};
use crate::hash::Hash;

/// A parameter of a statement.
#[derive(Debug, Clone)]
pub enum Cell {
    Text(String),
    Number(Option<i64>),
    Bytes(Option<Vec<u8>>),
    Flag(bool),
}

/// The table of the cursors on one database.
pub trait CursorTable: Send + Sync + 'static {
    /// Makes the table where it is missing.
    fn make(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Carries out one statement, whose parameters are `cells` from `$2` on, and answers with its rows. In its text
    /// `{now}` is the time in µs: `now`, or the database's own clock where several machines share it. Nothing is done,
    /// and there are no rows, where the table was never made.
    ///
    /// Dropping the future leaves all of the statement or nothing.
    fn rows(&self, sql: &str, now: i64, cells: Vec<Cell>) -> BoxFuture<'_, Result<Vec<RawConsumer>, StoreError>>;

    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What each statement answers with, in this order.
pub(super) const COLUMNS: &str =
    "name, position, commit_id, commit_hash, lease_holder, lease_until, paused, failure, updated_at, {now} AS now";

/// A row as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawConsumer {
    pub name: String,
    pub position: i64,
    pub commit_id: Option<i64>,
    pub commit_hash: Option<Vec<u8>>,
    pub lease_holder: Option<String>,
    /// µs since 1970-01-01T00:00:00Z, as the other times.
    pub lease_until: Option<i64>,
    pub paused: bool,
    pub failure: Option<String>,
    pub updated_at: i64,
    /// When the statement was carried out.
    pub now: i64,
}

impl RawConsumer {
    pub(super) fn cursor(&self) -> Result<Cursor, StoreError> {
        let corrupt = |what: &str| {
            StoreError::new(StoreErrorKind::Corrupt, format!("the row of consumer {} has no {what}", self.name))
        };
        let position = u64::try_from(self.position).map_err(|_| corrupt("position"))?;
        let mark = match (self.commit_id, &self.commit_hash) {
            (None, _) => None,
            (Some(commit_id), hash) => {
                let hash = hash.as_deref().and_then(|hash| hash.try_into().ok()).ok_or_else(|| corrupt("hash"))?;
                let commit_id = u64::try_from(commit_id).map_err(|_| corrupt("commit"))?;
                Some(Mark { commit_id, hash: Hash::from_bytes(hash) })
            }
        };
        Ok(Cursor { position, mark })
    }

    /// Who is at the consumer, and how long at least in µs.
    pub(super) fn lease(&self) -> Option<(Uuid, i64)> {
        let holder = Uuid::try_parse(self.lease_holder.as_deref()?).ok()?;
        let left = self.lease_until? - self.now;
        (left > 0).then_some((holder, left))
    }
}

impl<'r, R> FromRow<'r, R> for RawConsumer
where
    R: Row,
    usize: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            name: row.try_get(0)?,
            position: row.try_get(1)?,
            commit_id: row.try_get(2)?,
            commit_hash: row.try_get(3)?,
            lease_holder: row.try_get(4)?,
            lease_until: row.try_get(5)?,
            paused: row.try_get(6)?,
            failure: row.try_get(7)?,
            updated_at: row.try_get(8)?,
            now: row.try_get(9)?,
        })
    }
}
