//! Items whose collection failed wait here, each with its own time, so that one bad key never delays another.
//!
//! Not a projection: it is written by the collector, beside the read tables, and a rebuild leaves it alone. Losing it
//! means no more than trying again at once.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use zeroload_domain::{Claim, MediaId};

use crate::{
    Error, ReadModels,
    models::{Tables, on_any, on_either},
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

impl Retry {
    /// From the columns of its row.
    pub(crate) fn of_row((code, attempts, at): (String, i64, String)) -> Result<Self, Error> {
        let next_try_at = time_text::parse(&at).ok_or(Error::Unreadable { column: "next_try_at", value: at })?;
        Ok(Self { code, attempts: attempts.unsigned_abs(), next_try_at })
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
    pub async fn postpone(&self, items: &[Postponed], now: DateTime<Utc>, backoff: Backoff) -> Result<(), Error> {
        on_any!(&self.models.tables, tables => tables.postpone(items, now, backoff).await)
    }

    /// Forgets items, since their collection went well.
    ///
    /// # Errors
    /// As [`RetryStore::postpone`].
    pub async fn clear(&self, ids: &[MediaId]) -> Result<(), Error> {
        on_any!(&self.models.tables, tables => tables.clear_retries(ids).await)
    }

    /// Forgets items that are confirmed or collected by now, or that have waited for the claim that put them into the trash,
    /// and returns how many: what another process has finished.
    ///
    /// # Errors
    /// As [`RetryStore::postpone`].
    pub async fn prune(&self) -> Result<u64, Error> {
        on_any!(&self.models.tables, tables => tables.prune_retries().await)
    }

    /// What an item waits for, if it does.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn find(&self, id: MediaId) -> Result<Option<Retry>, Error> {
        on_either!(&self.models.tables, tables => tables.find_retry(id).await)
    }

    /// How many items there are for each code of their last failure.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn count_by_code(&self) -> Result<BTreeMap<String, u64>, Error> {
        on_either!(&self.models.tables, tables => tables.count_retries_by_code().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn waits_double_up_to_the_cap() {
        let waits = |first, cap| -> Vec<i64> {
            let times = Backoff { first, cap }.times(at(0));
            times.into_iter().map(|time| (time - at(0)).num_seconds()).collect()
        };
        let seconds = TimeDelta::seconds;
        assert_eq!(waits(seconds(60), seconds(300)), [60, 120, 240, 300]);
        assert_eq!(waits(seconds(9), seconds(5)), [5]);
        assert!(waits(TimeDelta::zero(), seconds(5)).len() <= 40);
        assert!(waits(seconds(1), TimeDelta::MAX).len() <= 40);
    }
}
