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

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use zeroload_domain::{Claim, CollectReason, MediaId, ReleaseReason, State};

use crate::{
    Applied, Backoff, Checkpoint, DueItem, Error, MediaRow, Minute, Postponed, RecordedEvent, Status, Unanswered,
    activity::{Counts, minute_of},
    batch,
    checkpoint::MEDIA,
    pages::{HeldPages, PageOf, PageRequest},
};

/// What a call waits for. An error before the work is a call that did nothing, one after it an answer that was lost.
pub type Gate = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> + Send + Sync>;

/// Rows, checkpoint and notebook, which several processes may share.
#[derive(Clone, Debug, Default)]
pub struct MemoryTables(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    media: BTreeMap<MediaId, MediaRow>,
    position: u64,
    recorded_at: Option<DateTime<Utc>>,
    retries: BTreeMap<MediaId, Waiting>,
    pages: HeldPages,
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

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One process's way to the tables.
#[derive(Clone)]
pub(crate) struct ReadModels {
    tables: MemoryTables,
    gate: Gate,
}

impl fmt::Debug for ReadModels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tables.fmt(f)
    }
}

impl ReadModels {
    pub(crate) fn new(tables: MemoryTables, gate: Gate) -> Self {
        Self { tables, gate }
    }

    async fn at_one_stroke<T>(&self, work: impl FnOnce(&mut Rows) -> T) -> Result<T, Error> {
        (self.gate)().await?;
        let done = work(&mut self.tables.rows());
        (self.gate)().await?;
        Ok(done)
    }

    pub(crate) async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        self.at_one_stroke(|rows| Checkpoint {
            name: MEDIA.to_owned(),
            version: 1,
            status: Status::Live,
            position: rows.position,
            recorded_at: rows.recorded_at,
        })
        .await
    }

    pub(crate) async fn apply<'e>(&self, events: impl Into<Cow<'e, [RecordedEvent]>>) -> Result<Applied, Error> {
        let events = events.into();
        self.at_one_stroke(|rows| rows.apply(&events)).await?
    }

    pub(crate) async fn due(
        &self,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<DueItem>, Error> {
        self.at_one_stroke(|rows| rows.list_of(PageOf::Due, now, after, limit, &BTreeSet::new())).await
    }

    pub(crate) async fn unfinished(
        &self,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<DueItem>, Error> {
        self.at_one_stroke(|rows| rows.list_of(PageOf::Unfinished, now, after, limit, &BTreeSet::new())).await
    }

    pub(crate) async fn take_page(&self, wanted: PageRequest) -> Result<Vec<DueItem>, Error> {
        self.at_one_stroke(|rows| {
            let held = rows.pages.items(wanted.clock, rows.position);
            let listed = rows.list_of(wanted.list, wanted.now, wanted.after, wanted.limit, &held);
            if rows.forgets_pages { listed } else { rows.pages.take(&wanted, rows.position, listed) }
        })
        .await
    }

    pub(crate) async fn keep_pages(
        &self,
        run_id: Uuid,
        held_for: TimeDelta,
        clock: DateTime<Utc>,
    ) -> Result<(), Error> {
        self.at_one_stroke(|rows| rows.pages.keep(run_id, clock + held_for)).await
    }

    pub(crate) async fn give_pages_back(&self, run_id: Uuid, page: u32, position: u64) -> Result<(), Error> {
        self.at_one_stroke(|rows| rows.pages.give_back(run_id, page, position)).await
    }

    pub(crate) async fn activity(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Minute>, Error> {
        self.at_one_stroke(|rows| rows.minutes(from, until).take(limit as usize).collect()).await
    }

    pub(crate) async fn unanswered(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Unanswered, Error> {
        self.at_one_stroke(|rows| {
            let mut minutes: Vec<_> = rows.minutes(from, until).collect();
            if let Some(last) = minutes.iter().rposition(|minute| minute.confirmed > 0) {
                minutes.drain(..=last);
            }
            minutes.retain(|minute| minute.requested > 0);
            let since = minutes.first().map(|minute| minute.starts_at);
            Unanswered { requested: minutes.iter().map(|minute| minute.requested).sum(), since }
        })
        .await
    }

    pub(crate) async fn postpone(
        &self,
        items: &[Postponed],
        now: DateTime<Utc>,
        backoff: Backoff,
    ) -> Result<(), Error> {
        let times = backoff.times(now);
        self.at_one_stroke(|rows| items.iter().for_each(|item| rows.postpone(item, now, &times))).await
    }

    pub(crate) async fn clear_retries(&self, ids: &[MediaId]) -> Result<(), Error> {
        self.at_one_stroke(|rows| rows.retries.retain(|id, _| !ids.contains(id))).await
    }

    pub(crate) async fn prune_retries(&self) -> Result<u64, Error> {
        self.at_one_stroke(|rows| {
            let before = rows.retries.len();
            let is_over = |waiting: &Waiting, row: &MediaRow| match row.state {
                State::Confirmed | State::Collected => true,
                State::Trashed => waiting.claim.is_some() || Some(waiting.updated_at) < row.collection_started_at,
                _ => false,
            };
            rows.retries.retain(|id, waiting| !rows.media.get(id).is_some_and(|row| is_over(waiting, row)));
            (before - rows.retries.len()) as u64
        })
        .await
    }
}

impl Rows {
    fn apply(&mut self, events: &[RecordedEvent]) -> Result<Applied, Error> {
        let fresh = batch::fresh(events, self.position)?;
        let Some(last) = fresh.last() else { return Ok(Applied { position: self.position, applied: 0 }) };
        let stored = batch::touched(fresh).iter().filter_map(|id| self.media.get(id).cloned()).collect();
        let changes = batch::changes(fresh, stored);
        for row in changes.inserted.into_iter().chain(changes.updated) {
            self.media.insert(row.media_id, row);
        }
        (self.position, self.recorded_at) = (last.position, Some(last.recorded_at));
        Ok(Applied { position: last.position, applied: fresh.len() })
    }

    fn list_of(
        &self,
        list: PageOf,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
        without: &BTreeSet<MediaId>,
    ) -> Vec<DueItem> {
        let wanted = |row: &MediaRow| {
            let listed = match list {
                PageOf::Due => {
                    matches!(row.state, State::Pending | State::Uploaded | State::Released | State::Trashed)
                        && row.collectable_at <= now
                }
                PageOf::Unfinished => matches!(row.state, State::Collecting | State::Restoring),
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
        rows.into_iter().map(due_item).collect()
    }

    fn minutes(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> impl Iterator<Item = Minute> {
        let mut counts = Counts::default();
        self.media.values().for_each(|row| counts.add(row));
        counts
            .minutes()
            .into_iter()
            .filter(move |minute| (minute_of(from)..=minute_of(until)).contains(&minute_of(minute.starts_at)))
    }

    fn postpone(&mut self, item: &Postponed, now: DateTime<Utc>, times: &[DateTime<Utc>]) {
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

fn due_item(row: &MediaRow) -> DueItem {
    let reason = match (row.state, row.release_reason) {
        (State::Collecting, _) => row.collect_reason.unwrap_or(CollectReason::Expired),
        (_, Some(ReleaseReason::Cancelled)) => CollectReason::Cancelled,
        (_, Some(ReleaseReason::Detached)) => CollectReason::Detached,
        (_, None) => CollectReason::Expired,
    };
    DueItem {
        media_id: row.media_id,
        tenant: row.tenant.clone(),
        state: row.state,
        store: row.store.clone(),
        bucket: row.bucket.clone(),
        object_key: row.object_key.clone(),
        content_length: row.content_length,
        etag: row.etag.clone(),
        collectable_at: row.collectable_at,
        reason,
        claim: row.claim,
        sequence: row.sequence,
    }
}

#[cfg(test)]
mod tests;
