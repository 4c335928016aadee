//! Whose turn it is to look again at the items of a bucket, so that several processes do not ask about the same ones.
//!
//! For each bucket and each [`Inspection`] one run has the turn. It keeps it by being heard of; one that has died holds the
//! others up until its time is over. A hint, and no lock: what may be recorded of an item the item's stream decides. Where two
//! runs take themselves for the one whose turn it is, the bucket is asked about an item twice. Not a projection; a rebuild
//! leaves it alone. On SQLite there is one process, and the turn is always its own.

use chrono::TimeDelta;
use uuid::Uuid;
use zeroload_domain::{Bucket, Store};

use crate::{Error, Inspection, ReadModels, models::Tables};

/// The turns of inspectors.
#[derive(Clone, Copy, Debug)]
pub struct TurnStore<'a> {
    models: &'a ReadModels,
}

impl<'a> TurnStore<'a> {
    pub(crate) fn of(models: &'a ReadModels) -> Self {
        Self { models }
    }

    fn shared(&self) -> Option<&'a crate::postgres::ReadModels> {
        match &self.models.tables {
            Tables::Postgres(tables) => Some(tables),
            Tables::Sqlite(_) => None,
            #[cfg(any(test, feature = "memory"))]
            Tables::Memory(_) => None,
        }
    }

    /// Whether it is the turn of the run, which then has it for so long from now.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Busy`], [`Error::Database`], [`Error::ReadOnly`]. The run may have the turn then.
    pub async fn take(
        &self,
        store: &Store,
        bucket: &Bucket,
        inspection: Inspection,
        run_id: Uuid,
        held_for: TimeDelta,
    ) -> Result<bool, Error> {
        match self.shared() {
            Some(tables) => tables.take_turn(store, bucket, inspection, run_id, held_for).await,
            None => Ok(true),
        }
    }

    /// The run goes on: the turns that it has it has for so long from now.
    ///
    /// # Errors
    /// As [`TurnStore::take`].
    pub async fn keep(&self, run_id: Uuid, held_for: TimeDelta) -> Result<(), Error> {
        match self.shared() {
            Some(tables) => tables.keep_turns(run_id, held_for).await,
            None => Ok(()),
        }
    }

    /// The run is over.
    ///
    /// # Errors
    /// As [`TurnStore::take`].
    pub async fn give_back(&self, run_id: Uuid) -> Result<(), Error> {
        match self.shared() {
            Some(tables) => tables.give_turns_back(run_id).await,
            None => Ok(()),
        }
    }
}
