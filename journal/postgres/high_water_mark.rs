//! What this process has seen of the journal: by that it recognises an older copy that took its place, as after the
//! promotion of a standby that was behind, or when a primary that was replaced comes back.
//!
//! Positions alone would not do: an older copy that others went on with soon has as many. So the mark is an event, the
//! last that was written or read here; the command id in it is like no other.

use std::sync::{Arc, Mutex, PoisonError};

use sqlx::Row;
use sqlx::error::Error as SqlxError;
use sqlx::postgres::{PgConnection, PgRow};

use super::connection::{answered, store_error};
use crate::error::{StoreError, StoreErrorKind};

/// Whether the event of a [`Mark`] stands where it stood: a condition with the numbers of two parameters, its position and
/// its command. One read at the end of an index.
macro_rules! holds {
    ($position:literal, $command:literal) => {
        concat!(
            "($",
            $position,
            "::bigint = 0 OR EXISTS (SELECT FROM events AS known WHERE known.position = $",
            $position,
            " AND known.command_id = $",
            $command,
            "))"
        )
    };
}
pub(super) use holds;

/// An event that is missing below the head is no sign of an older copy: that is a hole, which readers find.
pub(super) const CHECK: &str = concat!(
    "SELECT journal_id, ",
    holds!(1, 2),
    " OR position >= $1 AND NOT EXISTS (SELECT FROM events AS other WHERE other.position = $1) FROM journal_head"
);

/// Shared by all that read and write in this process.
#[derive(Clone, Default)]
pub(super) struct HighWaterMark(Arc<Mutex<Mark>>);

/// The event at the highest position that was seen; 0 where there was none.
#[derive(Clone, Default)]
pub(super) struct Mark {
    pub position: i64,
    pub command: String,
}

impl HighWaterMark {
    pub fn mark(&self) -> Mark {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn note(&self, position: i64, command: impl Into<String>) {
        let mut mark = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if position > mark.position {
            *mark = Mark { position, command: command.into() };
        }
    }

    /// Checks over a new connection that it leads to the same journal, with all that was seen.
    pub async fn check(&self, connection: &mut PgConnection, journal_id: &str) -> Result<(), StoreError> {
        let mark = self.mark();
        let check = sqlx::query(CHECK).persistent(false).bind(mark.position).bind(&mark.command);
        let row = answered(check.fetch_one(connection)).await.map_err(store_error)?;
        let found: String = row.try_get(0).map_err(store_error)?;
        if found != journal_id {
            return Err(StoreError::new(StoreErrorKind::OtherJournal, format!("this is journal {found}")));
        }
        mark.held_by(&row)
    }
}

impl Mark {
    /// For the answer to [`CHECK`].
    pub fn held_by(&self, row: &PgRow) -> Result<(), StoreError> {
        match row.try_get(1) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.is_missing()),
            Err(error) => Err(store_error(error)),
        }
    }

    fn is_missing(&self) -> StoreError {
        let what = format!("command {} is not at position {}, where it was", self.command, self.position);
        StoreError::new(StoreErrorKind::WentBack, SqlxError::Protocol(what))
    }
}
