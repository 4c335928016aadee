//! The read models in memory, for simulations: the same folding and batches, over tables without a database.
//!
//! Every call passes a [`Gate`] before it does its work at one stroke, and again before it answers, so that a simulation
//! decides how long it takes, whether it fails, and whether its answer is lost.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use zeroload_domain::{Claim, MediaId, State};

use crate::{
    Applied, Checkpoint, DueItem, Error, MediaRow, Minute, PageRequest, Postponed, RecordedEvent, Status, Unanswered,
    activity::{Counts, minute_of},
    engine::{Projection, projection::fresh},
    media::{List, batch},
    models::Media,
    pages::HeldPages,
    schema::SCHEMA,
};

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

#[derive(Debug, Default)]
pub(crate) struct Rows {
    media: BTreeMap<MediaId, MediaRow>,
    position: u64,
    recorded_at: Option<DateTime<Utc>>,
    retries: BTreeMap<MediaId, Waiting>,
    pub(crate) pages: HeldPages,
    /// Pages are lost as soon as they are taken.
    forgets_pages: bool,
}

#[derive(Debug)]
struct Waiting {
    claim: Option<Claim>,
    attempts: usize,
    next_try_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
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

impl Rows {
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            name: Media::NAME.to_owned(),
            version: 1,
            status: Status::Live,
            position: self.position,
            recorded_at: self.recorded_at,
            begun_by: SCHEMA.newest(|step| step.sqlite),
        }
    }

    pub(crate) fn apply(&mut self, events: Cow<'_, [RecordedEvent]>) -> Result<Applied, Error> {
        let fresh = fresh(&events, self.position)?;
        let Some(last) = fresh.last() else { return Ok(Applied { position: self.position, applied: 0 }) };
        let stored = batch::touched(fresh).iter().filter_map(|id| self.media.get(id).cloned()).collect();
        let changes = batch::changes(fresh, stored);
        for row in changes.inserted.into_iter().chain(changes.updated) {
            self.media.insert(row.media_id, row);
        }
        (self.position, self.recorded_at) = (last.position, Some(last.recorded_at));
        Ok(Applied { position: last.position, applied: fresh.len() })
    }

    pub(crate) fn take_page(&mut self, wanted: &PageRequest) -> Vec<DueItem> {
        let held = self.pages.items(wanted.clock, self.position);
        let listed = self.list_of(wanted.list.into(), wanted.now, wanted.after, wanted.limit, &held);
        if self.forgets_pages { listed } else { self.pages.take(wanted, self.position, listed) }
    }

    pub(crate) fn unanswered(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Unanswered {
        let mut minutes: Vec<_> = self.minutes(from, until).collect();
        if let Some(last) = minutes.iter().rposition(|minute| minute.confirmed > 0) {
            minutes.drain(..=last);
        }
        minutes.retain(|minute| minute.requested > 0);
        let since = minutes.first().map(|minute| minute.starts_at);
        Unanswered { requested: minutes.iter().map(|minute| minute.requested).sum(), since }
    }

    pub(crate) fn clear_retries(&mut self, ids: &[MediaId]) {
        self.retries.retain(|id, _| !ids.contains(id));
    }

    pub(crate) fn prune_retries(&mut self) -> u64 {
        let before = self.retries.len();
        let is_over = |waiting: &Waiting, row: &MediaRow| match row.state {
            State::Confirmed | State::Collected => true,
            State::Trashed => waiting.claim.is_some() || Some(waiting.updated_at) < row.collection_started_at,
            _ => false,
        };
        self.retries.retain(|id, waiting| !self.media.get(id).is_some_and(|row| is_over(waiting, row)));
        (before - self.retries.len()) as u64
    }

    pub(crate) fn list_of(
        &self,
        list: List,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
        without: &BTreeSet<MediaId>,
    ) -> Vec<DueItem> {
        let wanted = |row: &MediaRow| {
            let listed = match list {
                List::Due => {
                    matches!(row.state, State::Pending | State::Uploaded | State::Released | State::Trashed)
                        && row.collectable_at <= now
                }
                List::Unfinished => matches!(row.state, State::Collecting | State::Restoring),
            };
            listed && !without.contains(&row.media_id)
        };
        let waits = |id| self.retries.get(id).is_some_and(|waiting| waiting.next_try_at > now);
        let place = |row: &MediaRow| (row.collectable_at, row.media_id);
        let mut rows: Vec<_> = self
            .media
            .values()
            .filter(|row| wanted(row) && after.is_none_or(|after| place(row) > after) && !waits(&row.media_id))
            .collect();
        rows.sort_by_key(|row| place(row));
        rows.truncate(limit as usize);
        rows.into_iter().map(DueItem::from).collect()
    }

    pub(crate) fn minutes(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> impl Iterator<Item = Minute> {
        let mut counts = Counts::default();
        self.media.values().for_each(|row| counts.add(row));
        counts
            .minutes()
            .into_iter()
            .filter(move |minute| (minute_of(from)..=minute_of(until)).contains(&minute_of(minute.starts_at)))
    }

    pub(crate) fn postpone(&mut self, item: &Postponed, now: DateTime<Utc>, times: &[DateTime<Utc>]) {
        let fresh = Waiting { claim: item.claim, attempts: 0, next_try_at: DateTime::<Utc>::MIN_UTC, updated_at: now };
        let waiting = self.retries.entry(item.media_id).or_insert(fresh);
        if waiting.claim != item.claim {
            (waiting.claim, waiting.attempts) = (item.claim, 0);
        }
        waiting.next_try_at = times[waiting.attempts.min(times.len() - 1)];
        waiting.attempts += 1;
        waiting.updated_at = now;
    }
}

#[cfg(test)]
mod tests;
