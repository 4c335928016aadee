//! The collector's notebook of failures, in the same database.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::Row;
use zeroload_domain::{Claim, MediaId};

use super::{Mode, ReadModels};
use crate::{Backoff, Error, Postponed, Retry, retries::CHUNK, time_text};

impl ReadModels {
    pub(crate) async fn postpone(
        &self,
        items: &[Postponed],
        now: DateTime<Utc>,
        backoff: Backoff,
    ) -> Result<(), Error> {
        let times: Vec<_> = backoff.times(now).into_iter().map(time_text::format).collect();
        for chunk in items.chunks(CHUNK) {
            // In order of id, so that two processes never wait for each other's rows; an item is named once.
            let chunk: BTreeMap<_, _> = chunk.iter().map(|item| (item.media_id, item.clone())).collect();
            let (models, times) = (self.clone(), times.clone());
            self.run(async move {
                let mut tx = models.write(Mode::Rows).await?;
                tx.query(include_str!("sql/postpone.sql"))
                    .bind(chunk.keys().map(ToString::to_string).collect::<Vec<_>>())
                    .bind(chunk.values().map(|i| i.claim.map(Claim::number).map(i64::from)).collect::<Vec<_>>())
                    .bind(chunk.into_values().map(|item| item.code).collect::<Vec<_>>())
                    .bind(time_text::format(now))
                    .bind(times)
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await
            })
            .await?;
        }
        Ok(())
    }

    pub(crate) async fn clear_retries(&self, ids: &[MediaId]) -> Result<(), Error> {
        for chunk in ids.chunks(CHUNK) {
            let (models, ids) = (self.clone(), chunk.iter().map(ToString::to_string).collect::<Vec<_>>());
            self.run(async move {
                let mut tx = models.write(Mode::Rows).await?;
                tx.query(include_str!("sql/clear_retries.sql")).bind(ids).execute(&mut *tx).await?;
                tx.commit().await
            })
            .await?;
        }
        Ok(())
    }

    pub(crate) async fn prune_retries(&self) -> Result<u64, Error> {
        let models = self.clone();
        self.run(async move {
            // Seldom anything is there: then there is no commit that could wait for the disk.
            let mut tx = models.write(Mode::Statement).await?;
            let done = tx.query(include_str!("sql/prune_retries.sql")).execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(done.rows_affected())
        })
        .await
    }

    pub(crate) async fn find_retry(&self, id: MediaId) -> Result<Option<Retry>, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.read().await?;
            let row = tx.query(include_str!("sql/retry_of.sql")).bind(id.to_string()).fetch_optional(&mut *tx).await?;
            tx.commit().await?;
            row.map(|row| Retry::of_row((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).transpose()
        })
        .await
    }

    pub(crate) async fn count_retries_by_code(&self) -> Result<BTreeMap<String, u64>, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.read().await?;
            let rows = tx.query(include_str!("sql/retries_by_code.sql")).fetch_all(&mut *tx).await?;
            tx.commit().await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<i64, _>(1)?.unsigned_abs()))).collect()
        })
        .await
    }
}
