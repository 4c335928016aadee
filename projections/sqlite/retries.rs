//! Items whose collection failed wait here, each with its own time, so that one bad key never delays another.
//!
//! Not a projection: it is written by the collector, in the same file, and a rebuild leaves it alone. Losing it means no
//! more than trying again at once.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use zeroload_domain::{Claim, MediaId};

use super::{ReadModels, write::json_array};
use crate::{Error, time_text};

/// Items per statement.
const CHUNK: usize = 1000;

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
    fn times(self, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
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
}

/// An item that could not be collected this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postponed {
    pub media_id: MediaId,
    /// The claim that failed; none where it failed before a claim.
    pub claim: Option<Claim>,
    /// Why, as the bucket named it.
    pub code: String,
}

/// An item that waits to be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Why the last try failed.
    pub code: String,
    /// Failures in a row.
    pub attempts: u64,
    pub next_try_at: DateTime<Utc>,
}

/// What waits to be tried again.
#[derive(Clone, Copy, Debug)]
pub struct RetryStore<'a> {
    models: &'a ReadModels,
}

impl ReadModels {
    pub fn retries(&self) -> RetryStore<'_> {
        RetryStore { models: self }
    }
}

impl RetryStore<'_> {
    /// Puts items off. Failures of one claim in a row make the wait grow; another claim begins anew.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Full`], [`Error::Database`], [`Error::ReadOnly`]; earlier chunks of 1000 items stay.
    pub async fn postpone(&self, items: &[Postponed], now: DateTime<Utc>, backoff: Backoff) -> Result<(), Error> {
        let times = json_array(backoff.times(now).into_iter().map(|at| time_text::format(at).into()));
        for chunk in items.chunks(CHUNK) {
            let chunk = json_array(chunk.iter().map(|item| json!([item.media_id, item.claim, item.code])));
            sqlx::query(include_str!("sql/postpone.sql"))
                .bind(chunk)
                .bind(time_text::format(now))
                .bind(&times)
                .execute(self.models.writer()?)
                .await?;
        }
        Ok(())
    }

    /// Forgets items, since their collection went well.
    ///
    /// # Errors
    /// As [`RetryStore::postpone`].
    pub async fn clear(&self, ids: &[MediaId]) -> Result<(), Error> {
        for chunk in ids.chunks(CHUNK) {
            let chunk = json_array(chunk.iter().map(|id| json!(id)));
            sqlx::query(include_str!("sql/clear_retries.sql")).bind(chunk).execute(self.models.writer()?).await?;
        }
        Ok(())
    }

    /// Forgets items that are confirmed or collected by now, and returns how many: what another process has finished.
    ///
    /// # Errors
    /// As [`RetryStore::postpone`].
    pub async fn prune(&self) -> Result<u64, Error> {
        let done = sqlx::query(include_str!("sql/prune_retries.sql")).execute(self.models.writer()?).await?;
        Ok(done.rows_affected())
    }

    /// What an item waits for, if it does.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unreadable`].
    pub async fn of(&self, id: MediaId) -> Result<Option<Retry>, Error> {
        let row: Option<(String, i64, String)> = sqlx::query_as(include_str!("sql/retry_of.sql"))
            .bind(id.to_string())
            .fetch_optional(&self.models.readers)
            .await?;
        row.map(|(code, attempts, at)| {
            let next_try_at =
                time_text::parse(&at).ok_or(Error::Unreadable { column: "next_try_at", value: at.clone() })?;
            Ok(Retry { code, attempts: attempts.unsigned_abs(), next_try_at })
        })
        .transpose()
    }

    /// How many items there are for each code of their last failure.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn count_by_code(&self) -> Result<BTreeMap<String, u64>, Error> {
        let counts: Vec<(String, i64)> =
            sqlx::query_as(include_str!("sql/retries_by_code.sql")).fetch_all(&self.models.readers).await?;
        Ok(counts.into_iter().map(|(code, count)| (code, count.unsigned_abs())).collect())
    }
}

#[cfg(test)]
mod tests;
