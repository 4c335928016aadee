//! Items whose collection failed wait here, each with its own time, so that one bad key never delays another.
//!
//! Not a projection: it is written by the collector, beside the read tables, and a rebuild leaves it alone. Losing it
//! means no more than trying again at once.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use zeroload_domain::{Claim, MediaId};

use crate::{
    Error, ReadModels,
    engine::{Cell, Row, Table, row},
    time_text,
};

/// Items per statement.
pub(crate) const CHUNK: usize = 1000;

/// Failures after which the wait no longer grows, whatever its cap.
const MOST_DOUBLINGS: u32 = 32;

/// How long to wait after a failure: `first`, then twice as long each time, up to `cap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub first: TimeDelta,
    pub cap: TimeDelta,
}

impl Backoff {
    /// The times to try again after the first, second … failure in a row, up to the first at the cap.
    pub(crate) fn times(self, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let mut wait = self.first.min(self.cap);
        let mut times = Vec::new();
        for _ in 0..=MOST_DOUBLINGS {
            times.push(now.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC));
            if wait >= self.cap {
                break;
            }
            wait = wait.checked_add(&wait).unwrap_or(self.cap).min(self.cap);
        }
        times
    }

    /// The times, as a statement's parameter.
    pub(crate) fn cell(self, now: DateTime<Utc>) -> Cell {
        Cell::json(&self.times(now).into_iter().map(time_text::format).collect())
    }
}

/// An item that could not be collected, or not be inspected, this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deferred {
    pub media_id: MediaId,
    /// The claim that failed; none where it failed before a claim, and of an inspection.
    pub claim: Option<Claim>,
    /// Why, as the bucket named it.
    pub code: String,
}

row! {
    /// A row of `collection_retries`.
    struct RetryRecord {
        media_id: MediaId,
        /// The claim that failed, NULL where it failed before a claim.
        claim: Option<Claim>,
        /// Failures of this claim in a row.
        attempts: u64,
        next_try_at: DateTime<Utc>,
        /// Of the last failure, as the bucket named it.
        last_code: String,
        updated_at: DateTime<Utc>,
    }
}

pub(crate) const TABLE: Table = Table {
    name: "collection_retries",
    columns: RetryRecord::COLUMNS,
    key: &["media_id"],
    indexes: &[],
    without_rowid: true,
};

row! {
    /// An item that waits to be tried again.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Retry {
        /// Why the last try failed.
        pub code: String,
        /// Failures in a row.
        pub attempts: u64,
        pub next_try_at: DateTime<Utc>,
    }
}

row! {
    struct CodeCount {
        code: String,
        count: u64,
    }
}

/// What waits to be tried again.
#[derive(Clone, Copy, Debug)]
pub struct RetryStore<'a> {
    models: &'a ReadModels,
}

impl<'a> RetryStore<'a> {
    pub(crate) fn of(models: &'a ReadModels) -> Self {
        Self { models }
    }
}

impl RetryStore<'_> {
    /// Puts items off. Failures of one claim in a row make the wait grow; another claim begins anew.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Full`], [`Error::Database`], [`Error::ReadOnly`]; earlier chunks of 1000 items stay.
    pub async fn postpone(&self, items: &[Deferred], now: DateTime<Utc>, backoff: Backoff) -> Result<(), Error> {
        for chunk in items.chunks(CHUNK) {
            // In order of id, so that two processes never wait for each other's rows; an item is named once.
            let chunk: BTreeMap<_, _> = chunk.iter().map(|item| (item.media_id, item)).collect();
            #[cfg(any(test, feature = "memory"))]
            if let Some(memory) = self.models.memory() {
                let times = backoff.times(now);
                memory.at_one_stroke(|rows| chunk.values().for_each(|item| rows.postpone(item, now, &times))).await?;
                continue;
            }
            let rows = chunk.values().map(|item| json!([item.media_id, item.claim, item.code])).collect();
            let cells = vec![Cell::json(&rows), Cell::of(&now), backoff.cell(now)];
            self.models.database()?.execute(vec![(include_str!("postpone.sql").into(), cells)]).await?;
        }
        Ok(())
    }

    /// Forgets items, since their collection went well.
    ///
    /// # Errors
    /// As [`RetryStore::postpone`].
    pub async fn clear(&self, ids: &[MediaId]) -> Result<(), Error> {
        #[cfg(any(test, feature = "memory"))]
        if let Some(memory) = self.models.memory() {
            return memory.at_one_stroke(|rows| rows.clear_retries(ids)).await;
        }
        for chunk in ids.chunks(CHUNK) {
            let sql = "DELETE FROM collection_retries WHERE media_id {in $1}";
            self.models.database()?.execute(vec![(sql.into(), vec![Cell::json(&json!(chunk))])]).await?;
        }
        Ok(())
    }

    /// Forgets items that are confirmed or collected by now, or that have waited for the claim that put them into the trash,
    /// and returns how many: what another process has finished.
    ///
    /// # Errors
    /// As [`RetryStore::postpone`].
    pub async fn prune(&self) -> Result<u64, Error> {
        #[cfg(any(test, feature = "memory"))]
        if let Some(memory) = self.models.memory() {
            return memory.at_one_stroke(crate::memory::Rows::prune_retries).await;
        }
        self.models.database()?.sweep(include_str!("prune.sql")).await
    }

    /// What an item waits for, if it does.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn find(&self, id: MediaId) -> Result<Option<Retry>, Error> {
        let sql = "SELECT last_code AS code, attempts, next_try_at FROM collection_retries WHERE media_id = $1";
        self.models.database()?.find(sql, vec![Cell::of(&id)]).await
    }

    /// How many items there are for each code of their last failure.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn count_by_code(&self) -> Result<BTreeMap<String, u64>, Error> {
        let sql = "SELECT last_code AS code, count(*) AS count FROM collection_retries GROUP BY last_code";
        let counts: Vec<CodeCount> = self.models.database()?.select(sql, vec![]).await?;
        Ok(counts.into_iter().map(|row| (row.code, row.count)).collect())
    }
}

#[cfg(any(test, feature = "memory"))]
impl crate::memory::Rows {
    pub(crate) fn postpone(&mut self, item: &Deferred, now: DateTime<Utc>, times: &[DateTime<Utc>]) {
        let fresh = crate::memory::Waiting {
            claim: item.claim,
            attempts: 0,
            next_try_at: DateTime::<Utc>::MIN_UTC,
            updated_at: now,
        };
        let waiting = self.retries.entry(item.media_id).or_insert(fresh);
        if waiting.claim != item.claim {
            (waiting.claim, waiting.attempts) = (item.claim, 0);
        }
        waiting.next_try_at = times[waiting.attempts.min(times.len() - 1)];
        waiting.attempts += 1;
        waiting.updated_at = now;
    }

    pub(crate) fn clear_retries(&mut self, ids: &[MediaId]) {
        self.retries.retain(|id, _| !ids.contains(id));
    }

    pub(crate) fn prune_retries(&mut self) -> u64 {
        let before = self.retries.len();
        let is_over = |waiting: &crate::memory::Waiting, row: &crate::MediaRow| match row.state {
            zeroload_domain::State::Confirmed | zeroload_domain::State::Collected => true,
            zeroload_domain::State::Trashed => {
                waiting.claim.is_some() || Some(waiting.updated_at) < row.collection_started_at
            }
            _ => false,
        };
        self.retries.retain(|id, waiting| !self.media.get(id).is_some_and(|row| is_over(waiting, row)));
        (before - self.retries.len()) as u64
    }
}

#[cfg(test)]
mod tests;
