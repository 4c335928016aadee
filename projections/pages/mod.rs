//! Which items a run of a collector works on, so that the runs of several processes divide the work.
//!
//! A run takes its items a page at a time, and no other run is given an item of a page that is held. A page is held until its
//! run gives it back, or has not been heard of for a while: a process that dies keeps nobody waiting for long. What was given
//! back stays held until the read models have come to where its work was recorded: before that they would offer it again.
//!
//! A hint, and no lock: what a run may do with an item the item's stream decides. Losing a page means that two processes ask
//! the bucket about the same items. Not a projection; a rebuild leaves it alone. On SQLite one process has all pages, and
//! keeps them in memory.

pub(crate) mod held;
mod postgres;

use std::sync::{MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use zeroload_domain::MediaId;

pub(crate) use postgres::{CREATE, TABLE};

use held::HeldPages;

use crate::{
    DueItem, Error, ReadModels,
    engine::{Cell, Database},
    media::{DueRecord, List},
    query::Place,
};

/// A list that pages are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageOf {
    /// What may be claimed: [`ReadModels::due`].
    Due,
    /// What is claimed and not finished: [`ReadModels::unfinished`].
    Unfinished,
}

impl From<PageOf> for List {
    fn from(list: PageOf) -> Self {
        match list {
            PageOf::Due => Self::Due,
            PageOf::Unfinished => Self::Unfinished,
        }
    }
}

/// The next items of a list, and who wants them.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    pub list: PageOf,
    /// The time as of which items are due.
    pub now: DateTime<Utc>,
    pub after: Option<(DateTime<Utc>, MediaId)>,
    pub limit: u32,
    pub run_id: Uuid,
    /// Of this run: one that it has not taken yet.
    pub page: u32,
    /// How long it is held if nothing is heard of the run.
    pub held_for: TimeDelta,
    /// The present, which on Postgres the database tells.
    pub clock: DateTime<Utc>,
}

impl PageRequest {
    /// Holds those of the items that nobody holds, and answers with them.
    fn hold(&self, pages: &mut HeldPages, position: u64, mut items: Vec<DueItem>) -> Vec<DueItem> {
        let held = pages.items(self.clock, position);
        items.retain(|item| !held.contains(&item.media_id));
        let ids = items.iter().map(|item| item.media_id).collect();
        pages.hold((self.run_id, self.page), ids, self.clock + self.held_for);
        items
    }
}

/// The pages that runs hold.
#[derive(Clone, Copy, Debug)]
pub struct PageStore<'a> {
    models: &'a ReadModels,
}

impl<'a> PageStore<'a> {
    pub(crate) fn of(models: &'a ReadModels) -> Self {
        Self { models }
    }
}

impl PageStore<'_> {
    /// Takes the next items that nobody holds, in the order of the list. An empty page is not held.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Busy`], [`Error::Database`], [`Error::Unreadable`], [`Error::ReadOnly`]. The page may
    /// be held then, for as long as was wanted.
    pub async fn take(&self, wanted: PageRequest) -> Result<Vec<DueItem>, Error> {
        #[cfg(any(test, feature = "memory"))]
        if let Some(memory) = self.models.memory() {
            return memory.at_one_stroke(|rows| rows.take_page(&wanted)).await;
        }
        match self.models.database()? {
            Database::Sqlite(_) => self.take_held(wanted).await,
            Database::Postgres(database) => postgres::take(database, wanted).await,
        }
    }

    /// The run goes on: what it holds it holds for so long from now.
    ///
    /// # Errors
    /// As [`PageStore::take`].
    pub async fn keep(&self, run_id: Uuid, held_for: TimeDelta, clock: DateTime<Utc>) -> Result<(), Error> {
        #[cfg(any(test, feature = "memory"))]
        if let Some(memory) = self.models.memory() {
            return memory.at_one_stroke(|rows| rows.pages.keep(run_id, clock + held_for)).await;
        }
        match self.models.database()? {
            Database::Sqlite(_) => self.held().keep(run_id, clock + held_for),
            database @ Database::Postgres(_) => postgres::keep(database, run_id, held_for).await?,
        }
        Ok(())
    }

    /// The run has done with its pages up to this one. All that it recorded is at or before `position`.
    ///
    /// # Errors
    /// As [`PageStore::take`].
    pub async fn give_back(&self, run_id: Uuid, page: u32, position: u64) -> Result<(), Error> {
        #[cfg(any(test, feature = "memory"))]
        if let Some(memory) = self.models.memory() {
            return memory.at_one_stroke(|rows| rows.pages.give_back(run_id, page, position)).await;
        }
        match self.models.database()? {
            Database::Sqlite(_) => self.held().give_back(run_id, page, position),
            database @ Database::Postgres(_) => postgres::give_back(database, run_id, page, position).await?,
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, HeldPages> {
        self.models.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where one process has all pages, in its memory.
    async fn take_held(&self, wanted: PageRequest) -> Result<Vec<DueItem>, Error> {
        let sql = List::from(wanted.list).without("{not in $5}");
        loop {
            // Before the list is read: what it shows is at least as new.
            let position = self.models.checkpoint().await?.position;
            let held = serde_json::json!(self.held().items(wanted.clock, position));
            let Place { at, id } = Place::after(wanted.after);
            let cells = vec![Cell::of(&wanted.now), at, id, Cell::number(wanted.limit), Cell::json(&held)];
            let listed: Vec<DueRecord> = self.models.database()?.select(&sql, cells).await?;
            let none = listed.is_empty();
            let taken = wanted.hold(&mut self.held(), position, listed.into_iter().map(DueItem::from).collect());
            // Others may have taken all of it meanwhile.
            if none || !taken.is_empty() {
                return Ok(taken);
            }
        }
    }
}

#[cfg(any(test, feature = "memory"))]
impl crate::memory::Rows {
    pub(crate) fn take_page(&mut self, wanted: &PageRequest) -> Vec<DueItem> {
        let held = self.pages.items(wanted.clock, self.position);
        let listed = self.list_of(wanted.list.into(), wanted.now, wanted.after, wanted.limit, &held);
        if self.forgets_pages { listed } else { wanted.hold(&mut self.pages, self.position, listed) }
    }
}

#[cfg(test)]
mod tests;
