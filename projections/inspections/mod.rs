//! Checks of items that seemed to have ended: which items are to be checked, and what is noted meanwhile.
//!
//! Not a projection: progress and failures are written by the service beside the read tables, and a rebuild leaves them
//! alone. Losing them means no more than checking once more.
//!
//! Progress is a position of the journal, not a time: positions have no equals, and an event that is applied late, or an
//! item that is collected once more, always comes at a position behind it.

pub(crate) mod turns;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use zeroload_domain::{Bucket, Claim, MediaId, ObjectKey, Store};

pub use turns::TurnStore;

use crate::{
    Backoff, Error, ReadModels,
    engine::{Cell, Index, Row, Table, row},
    query::Place,
    retries::{CHUNK, Deferred},
    values::names,
};

/// What an item is checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// Whether bytes have arrived since it was collected.
    Recheck,
    /// Whether its object is still the confirmed one.
    Seal,
}

impl Inspection {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recheck => "recheck",
            Self::Seal => "seal",
        }
    }
}

names!(Inspection: [Inspection::Recheck, Inspection::Seal]);

row! {
    /// An item that may have to be checked: a hint, since only the item's stream decides.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Inspected {
        pub media_id: MediaId,
        pub store: Store,
        pub bucket: Bucket,
        pub object_key: ObjectKey,
        /// The latest claim.
        pub claim: Option<Claim>,
        /// Of the latest claim, once proven gone.
        pub collected_at: Option<DateTime<Utc>>,
        /// Of the item's newest event, within the journal.
        pub position: u64,
        /// Of the newest ticket.
        pub ticket_expires_at: DateTime<Utc>,
    }
}

row! {
    /// A row of `recheck_progress`: how far one planned time of re-checks has come in one bucket. Every item of the bucket
    /// whose collection was recorded up to the position has been checked so long after it.
    struct ProgressRecord {
        store: Store,
        bucket: Bucket,
        /// The planned time, counted from the collection.
        after_seconds: u64,
        /// In the journal.
        position: u64,
        updated_at: DateTime<Utc>,
    }
}

pub(crate) const PROGRESS: Table = Table {
    name: "recheck_progress",
    columns: ProgressRecord::COLUMNS,
    key: &["store", "bucket", "after_seconds"],
    indexes: &[],
    without_rowid: true,
};

row! {
    /// A row of `inspection_retries`: an item that could not be checked waits for its own time, and delays no other.
    struct RetryRecord {
        inspection: Inspection,
        media_id: MediaId,
        /// Failures in a row.
        attempts: u64,
        next_try_at: DateTime<Utc>,
        /// Of the last failure.
        last_code: String,
        updated_at: DateTime<Utc>,
    }
}

pub(crate) const RETRIES: Table = Table {
    name: "inspection_retries",
    columns: RetryRecord::COLUMNS,
    key: &["inspection", "media_id"],
    indexes: &[Index { name: "due", unique: false, on: "inspection, next_try_at, media_id", filter: None }],
    without_rowid: true,
};

/// Which items are to be checked, and how far the checks have come.
#[derive(Clone, Copy, Debug)]
pub struct InspectionStore<'a> {
    models: &'a ReadModels,
}

impl<'a> InspectionStore<'a> {
    pub(crate) fn of(models: &'a ReadModels) -> Self {
        Self { models }
    }
}

impl InspectionStore<'_> {
    /// Items that are collected, in the order in which that was recorded, from behind `position` on. Their
    /// `collected_at` never goes back from one to the next.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn collected(&self, position: u64, limit: u32) -> Result<Vec<Inspected>, Error> {
        let cells = vec![Cell::number(position), Cell::number(limit)];
        self.models.database()?.select(include_str!("collected.sql"), cells).await
    }

    /// How far the re-checks of one planned time have come in a bucket; 0 where there were none.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`].
    pub async fn recheck_progress(&self, store: &Store, bucket: &Bucket, after_seconds: u64) -> Result<u64, Error> {
        let sql =
            "SELECT position AS count FROM recheck_progress WHERE store = $1 AND bucket = $2 AND after_seconds = $3";
        let cells = vec![Cell::of(store), Cell::of(bucket), Cell::number(after_seconds)];
        self.models.database()?.count(sql, cells).await
    }

    /// Notes that everything up to `position` was checked for these planned times. The position never goes back.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Full`], [`Error::Unreachable`], [`Error::Database`], [`Error::ReadOnly`].
    pub async fn advance_rechecks(
        &self,
        store: &Store,
        bucket: &Bucket,
        after_seconds: &[u64],
        position: u64,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        // In one order, so that two processes never wait for each other's rows.
        let mut planned = after_seconds.to_vec();
        planned.sort_unstable();
        let rows = planned.into_iter().map(|after| json!([after])).collect();
        let cells = vec![Cell::of(store), Cell::of(bucket), Cell::json(&rows), Cell::number(position), Cell::of(&now)];
        self.models.database()?.execute(vec![(include_str!("advance.sql").into(), cells)]).await.map(|_| ())
    }

    /// Confirmed items of a bucket whose object was not compared with the confirmed one yet and whose newest ticket had
    /// ended by `ended`, in order of `(ticket_expires_at, media_id)`; without those that were put aside.
    ///
    /// # Errors
    /// As [`InspectionStore::collected`].
    pub async fn unsealed(
        &self,
        store: &Store,
        bucket: &Bucket,
        ended: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<Inspected>, Error> {
        let Place { at, id } = Place::after(after);
        let cells = vec![Cell::of(store), Cell::of(bucket), Cell::of(&ended), at, id, Cell::number(limit)];
        self.models.database()?.select(include_str!("unsealed.sql"), cells).await
    }

    /// How many items are in use whose object is not the confirmed one, counted up to `at_most`.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`].
    pub async fn substituted_count(&self, at_most: u32) -> Result<u64, Error> {
        let sql = include_str!("substituted_count.sql");
        self.models.database()?.count(sql, vec![Cell::number(at_most)]).await
    }

    /// Items that were put aside and whose time has come, those that wait longest first.
    ///
    /// # Errors
    /// As [`InspectionStore::collected`].
    pub async fn put_aside_due(
        &self,
        inspection: Inspection,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Inspected>, Error> {
        let cells = vec![Cell::of(&inspection), Cell::of(&now), Cell::number(limit)];
        self.models.database()?.select(include_str!("put_aside_due.sql"), cells).await
    }

    /// Puts items aside, each for its own time, which grows with every failure in a row.
    ///
    /// # Errors
    /// As [`InspectionStore::advance_rechecks`]; earlier chunks of 1000 items stay.
    pub async fn put_aside(
        &self,
        inspection: Inspection,
        items: &[Deferred],
        now: DateTime<Utc>,
        backoff: Backoff,
    ) -> Result<(), Error> {
        for chunk in items.chunks(CHUNK) {
            // In order of id, so that two processes never wait for each other's rows; an item is named once.
            let chunk: BTreeMap<_, _> = chunk.iter().map(|item| (item.media_id, &item.code)).collect();
            let rows = chunk.iter().map(|(id, code)| json!([id, code])).collect();
            let cells = vec![Cell::of(&inspection), Cell::json(&rows), Cell::of(&now), backoff.cell(now)];
            self.models.database()?.execute(vec![(include_str!("put_aside.sql").into(), cells)]).await?;
        }
        Ok(())
    }

    /// Forgets items that were put aside, since they could be checked.
    ///
    /// # Errors
    /// As [`InspectionStore::put_aside`].
    pub async fn settle(&self, inspection: Inspection, ids: &[MediaId]) -> Result<(), Error> {
        for chunk in ids.chunks(CHUNK) {
            let sql = "DELETE FROM inspection_retries WHERE inspection = $1 AND media_id {in $2}";
            let cells = vec![Cell::of(&inspection), Cell::json(&json!(chunk))];
            self.models.database()?.execute(vec![(sql.into(), cells)]).await?;
        }
        Ok(())
    }

    /// Forgets items that have left the state in which they were to be checked, and returns how many.
    ///
    /// # Errors
    /// As [`InspectionStore::put_aside`].
    pub async fn prune(&self) -> Result<u64, Error> {
        self.models.database()?.sweep(include_str!("prune.sql")).await
    }
}

#[cfg(test)]
mod tests;
