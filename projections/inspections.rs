//! Looking again at what seemed to have ended: which items are to be looked at, and what is noted meanwhile.
//!
//! Not a projection: progress and failures are written by the service beside the read tables, and a rebuild leaves them
//! alone. Losing them means no more than looking once more.
//!
//! Progress is a position of the journal, not a time: positions have no equals, and an event that is applied late, or an
//! item that is collected once more, always comes at a position behind it.

use chrono::{DateTime, Utc};
use zeroload_domain::{Bucket, Claim, MediaId, ObjectKey, Store};

use crate::{Backoff, Error, ReadModels, models::Tables};

/// What an item is looked at for.
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

/// An item that may have to be looked at: a hint, since only the item's stream decides.
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

/// An item that could not be looked at, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutAside {
    pub media_id: MediaId,
    pub code: String,
}

/// What is to be looked at, and how far that has come.
#[derive(Clone, Copy, Debug)]
pub struct InspectionStore<'a> {
    models: &'a ReadModels,
}

impl<'a> InspectionStore<'a> {
    pub(crate) fn of(models: &'a ReadModels) -> Self {
        Self { models }
    }
}

/// Does the same on whichever database there is.
macro_rules! on_either {
    ($self:ident, $name:ident => $call:expr) => {
        match &$self.models.tables {
            Tables::Sqlite($name) => $call,
            Tables::Postgres($name) => $call,
            #[cfg(any(test, feature = "memory"))]
            Tables::Memory(_) => unimplemented!("no simulation asks for it"),
        }
    };
}

impl InspectionStore<'_> {
    /// Items that are collected, in the order in which that was recorded, from behind `position` on. Their
    /// `collected_at` never goes back from one to the next.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn collected(&self, position: u64, limit: u32) -> Result<Vec<Inspected>, Error> {
        on_either!(self, tables => tables.collected(position, limit).await)
    }

    /// How far the re-checks of one planned time have come in a bucket; 0 where there were none.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`].
    pub async fn recheck_progress(&self, store: &Store, bucket: &Bucket, after_seconds: u64) -> Result<u64, Error> {
        on_either!(self, tables => tables.recheck_progress(store, bucket, after_seconds).await)
    }

    /// Notes that everything up to `position` was looked at for these planned times. It never goes back.
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
        on_either!(self, tables => tables.advance_rechecks(store, bucket, after_seconds, position, now).await)
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
        on_either!(self, tables => tables.unsealed(store, bucket, ended, after, limit).await)
    }

    /// How many items are in use whose object is not the confirmed one, counted up to `at_most`.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`].
    pub async fn substituted_count(&self, at_most: u32) -> Result<u64, Error> {
        on_either!(self, tables => tables.substituted_count(at_most).await)
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
        on_either!(self, tables => tables.put_aside_due(inspection, now, limit).await)
    }

    /// Puts items aside, each for its own time, which grows with every failure in a row.
    ///
    /// # Errors
    /// As [`InspectionStore::advance_rechecks`]; earlier chunks of 1000 items stay.
    pub async fn put_aside(
        &self,
        inspection: Inspection,
        items: &[PutAside],
        now: DateTime<Utc>,
        backoff: Backoff,
    ) -> Result<(), Error> {
        on_either!(self, tables => tables.put_aside(inspection, items, now, backoff).await)
    }

    /// Forgets items that were put aside, since they could be looked at.
    ///
    /// # Errors
    /// As [`InspectionStore::put_aside`].
    pub async fn settle(&self, inspection: Inspection, ids: &[MediaId]) -> Result<(), Error> {
        on_either!(self, tables => tables.settle(inspection, ids).await)
    }

    /// Forgets items that have left the state in which they were to be looked at, and returns how many.
    ///
    /// # Errors
    /// As [`InspectionStore::put_aside`].
    pub async fn prune(&self) -> Result<u64, Error> {
        on_either!(self, tables => tables.prune_put_aside().await)
    }
}
