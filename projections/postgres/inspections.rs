//! What is to be looked at again, and the notes about it in the same database.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::Row;
use zeroload_domain::{Bucket, MediaId, Store};

use super::{Mode, ReadModels};
use crate::{
    Backoff, Error, Inspected, Inspection, PutAside,
    answers::{self, Place},
    columns,
    retries::CHUNK,
    time_text,
};

impl ReadModels {
    pub(crate) async fn collected(&self, position: u64, limit: u32) -> Result<Vec<Inspected>, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.read().await?;
            let query = tx.query(include_str!("sql/collected.sql"));
            let rows = query.bind(columns::integer(position)).bind(i64::from(limit)).fetch_all(&mut *tx).await?;
            tx.commit().await?;
            rows.iter().map(|row| answers::inspected(row)).collect()
        })
        .await
    }

    pub(crate) async fn recheck_progress(
        &self,
        store: &Store,
        bucket: &Bucket,
        after_seconds: u64,
    ) -> Result<u64, Error> {
        let (models, store, bucket) = (self.clone(), store.to_string(), bucket.to_string());
        self.run(async move {
            let mut tx = models.read().await?;
            let query = tx.query(include_str!("sql/recheck_progress.sql"));
            let query = query.bind(store).bind(bucket).bind(columns::integer(after_seconds));
            let row = query.fetch_optional(&mut *tx).await?;
            tx.commit().await?;
            let Some(row) = row else { return Ok(0) };
            Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
        })
        .await
    }

    pub(crate) async fn advance_rechecks(
        &self,
        store: &Store,
        bucket: &Bucket,
        after_seconds: &[u64],
        position: u64,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let (models, store, bucket) = (self.clone(), store.to_string(), bucket.to_string());
        // In one order, so that two processes never wait for each other's rows.
        let mut planned: Vec<_> = after_seconds.iter().map(|after| columns::integer(*after)).collect();
        planned.sort_unstable();
        self.run(async move {
            let mut tx = models.write(Mode::Rows).await?;
            tx.query(include_str!("sql/advance_rechecks.sql"))
                .bind(store)
                .bind(bucket)
                .bind(planned)
                .bind(columns::integer(position))
                .bind(time_text::format(now))
                .execute(&mut *tx)
                .await?;
            tx.commit().await
        })
        .await
    }

    pub(crate) async fn unsealed(
        &self,
        store: &Store,
        bucket: &Bucket,
        ended: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<Inspected>, Error> {
        let (models, store, bucket) = (self.clone(), store.to_string(), bucket.to_string());
        self.run(async move {
            let place = Place::after(after);
            let mut tx = models.read().await?;
            let query = tx.query(include_str!("sql/unsealed.sql")).bind(store).bind(bucket);
            let query = query.bind(time_text::format(ended)).bind(place.collectable_at).bind(place.media_id);
            let rows = query.bind(i64::from(limit)).fetch_all(&mut *tx).await?;
            tx.commit().await?;
            rows.iter().map(|row| answers::inspected(row)).collect()
        })
        .await
    }

    pub(crate) async fn substituted_count(&self, at_most: u32) -> Result<u64, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.read().await?;
            let query = tx.query(include_str!("sql/substituted_count.sql")).bind(i64::from(at_most));
            let row = query.fetch_one(&mut *tx).await?;
            tx.commit().await?;
            Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
        })
        .await
    }

    pub(crate) async fn put_aside_due(
        &self,
        inspection: Inspection,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Inspected>, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.read().await?;
            let query = tx.query(include_str!("sql/put_aside_due.sql"));
            let query = query.bind(inspection.as_str()).bind(time_text::format(now)).bind(i64::from(limit));
            let rows = query.fetch_all(&mut *tx).await?;
            tx.commit().await?;
            rows.iter().map(|row| answers::inspected(row)).collect()
        })
        .await
    }

    pub(crate) async fn put_aside(
        &self,
        inspection: Inspection,
        items: &[PutAside],
        now: DateTime<Utc>,
        backoff: Backoff,
    ) -> Result<(), Error> {
        let times: Vec<_> = backoff.times(now).into_iter().map(time_text::format).collect();
        for chunk in items.chunks(CHUNK) {
            // In order of id, so that two processes never wait for each other's rows; an item is named once.
            let chunk: BTreeMap<_, _> = chunk.iter().map(|item| (item.media_id, item.code.clone())).collect();
            let (models, times) = (self.clone(), times.clone());
            self.run(async move {
                let mut tx = models.write(Mode::Rows).await?;
                tx.query(include_str!("sql/put_aside.sql"))
                    .bind(inspection.as_str())
                    .bind(chunk.keys().map(ToString::to_string).collect::<Vec<_>>())
                    .bind(chunk.into_values().collect::<Vec<_>>())
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

    pub(crate) async fn settle(&self, inspection: Inspection, ids: &[MediaId]) -> Result<(), Error> {
        for chunk in ids.chunks(CHUNK) {
            let (models, ids) = (self.clone(), chunk.iter().map(ToString::to_string).collect::<Vec<_>>());
            self.run(async move {
                let mut tx = models.write(Mode::Rows).await?;
                let query = tx.query(include_str!("sql/settle.sql")).bind(inspection.as_str()).bind(ids);
                query.execute(&mut *tx).await?;
                tx.commit().await
            })
            .await?;
        }
        Ok(())
    }

    pub(crate) async fn prune_put_aside(&self) -> Result<u64, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.write(Mode::Rows).await?;
            let done = tx.query(include_str!("sql/prune_put_aside.sql")).execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(done.rows_affected())
        })
        .await
    }
}
