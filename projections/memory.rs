//! The read models in memory, for simulations: the same folding and batches, over tables without a database.
//!
//! Every call passes a [`Gate`] before it does its work at one stroke, and again before it answers, so that a simulation
//! decides how long it takes, whether it fails, and whether its answer is lost.

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use zeroload_domain::{Claim, MediaId};

use crate::{Error, Mark, media::row::MediaRow, pages::held::HeldPages};

/// What a call waits for. An error before the work is a call that did nothing, one after it an answer that was lost.
pub type Gate = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> + Send + Sync>;

/// Rows, checkpoint and notebook, which several processes may share.
#[derive(Clone, Debug, Default)]
pub struct MemoryTables(Arc<Mutex<Rows>>);

impl MemoryTables {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One process's way to the tables.
#[derive(Clone)]
pub(crate) struct Memory {
    tables: MemoryTables,
    gate: Gate,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tables.fmt(f)
    }
}

impl Memory {
    pub(crate) fn new(tables: MemoryTables, gate: Gate) -> Self {
        Self { tables, gate }
    }

    pub(crate) async fn at_one_stroke<T>(&self, work: impl FnOnce(&mut Rows) -> T) -> Result<T, Error> {
        (self.gate)().await?;
        let done = work(&mut self.tables.rows());
        (self.gate)().await?;
        Ok(done)
    }
}

/// What each folder reads and writes in its own way.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) media: BTreeMap<MediaId, MediaRow>,
    pub(crate) position: u64,
    pub(crate) recorded_at: Option<DateTime<Utc>>,
    pub(crate) mark: Option<Mark>,
    pub(crate) retries: BTreeMap<MediaId, Waiting>,
    pub(crate) pages: HeldPages,
    /// Pages are lost as soon as they are taken.
    pub(crate) forgets_pages: bool,
}

/// An item whose collection failed.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) claim: Option<Claim>,
    pub(crate) attempts: usize,
    pub(crate) next_try_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl MemoryTables {
    /// The checkpoint, and all rows in order of id.
    pub fn contents(&self) -> (u64, Vec<MediaRow>) {
        let rows = self.rows();
        (rows.position, rows.media.values().cloned().collect())
    }

    /// Tables that divide no work: what is held is a hint, without which everything must go well too.
    #[must_use]
    pub fn forgetting_pages(self) -> Self {
        self.rows().forgets_pages = true;
        self
    }
}

#[cfg(test)]
mod tests;
