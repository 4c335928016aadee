//! What is to be looked at again, and the notes about it in the same file.

use chrono::{DateTime, Utc};
use serde_json::json;
use zeroload_domain::{Bucket, MediaId, Store};

use super::{ReadModels, write::json_array};
use crate::{
    Backoff, Error, Inspected, Inspection, PutAside,
    answers::{self, Place},
    columns,
    retries::CHUNK,
    time_text,
};

impl ReadModels {
    pub(crate) async fn collected(&self, position: u64, limit: u32) -> Result<Vec<Inspected>, Error> {
        let query = sqlx::query(include_str!("sql/collected.sql")).bind(columns::integer(position)).bind(limit);
        query.fetch_all(&self.readers).await?.iter().map(|row| answers::inspected(row)).collect()
    }

    pub(crate) async fn recheck_progress(
        &self,
        store: &Store,
        bucket: &Bucket,
        after_seconds: u64,
    ) -> Result<u64, Error> {
        let position: Option<i64> = sqlx::query_scalar(include_str!("sql/recheck_progress.sql"))
            .bind(store.as_str())
            .bind(bucket.as_str())
            .bind(columns::integer(after_seconds))
            .fetch_optional(&self.readers)
            .await?;
        Ok(position.map_or(0, i64::unsigned_abs))
    }

    pub(crate) async fn advance_rechecks(
        &self,
        store: &Store,
        bucket: &Bucket,
        after_seconds: &[u64],
        position: u64,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        sqlx::query(include_str!("sql/advance_rechecks.sql"))
            .bind(store.as_str())
            .bind(bucket.as_str())
            .bind(json_array(after_seconds.iter().map(|after| json!(after))))
            .bind(columns::integer(position))
            .bind(time_text::format(now))
            .execute(self.writer()?)
            .await?;
        Ok(())
    }

    pub(crate) async fn unsealed(
        &self,
        store: &Store,
        bucket: &Bucket,
        ended: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<Inspected>, Error> {
        let place = Place::after(after);
        let query = sqlx::query(include_str!("sql/unsealed.sql"))
            .bind(store.as_str())
            .bind(bucket.as_str())
            .bind(time_text::format(ended))
            .bind(place.collectable_at)
            .bind(place.media_id)
            .bind(limit);
        query.fetch_all(&self.readers).await?.iter().map(|row| answers::inspected(row)).collect()
    }

    pub(crate) async fn substituted_count(&self, at_most: u32) -> Result<u64, Error> {
        let query = sqlx::query_scalar(include_str!("sql/substituted_count.sql")).bind(at_most);
        let count: i64 = query.fetch_one(&self.readers).await?;
        Ok(count.unsigned_abs())
    }

    pub(crate) async fn put_aside_due(
        &self,
        inspection: Inspection,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Inspected>, Error> {
        let query = sqlx::query(include_str!("sql/put_aside_due.sql"))
            .bind(inspection.as_str())
            .bind(time_text::format(now))
            .bind(limit);
        query.fetch_all(&self.readers).await?.iter().map(|row| answers::inspected(row)).collect()
    }

    pub(crate) async fn put_aside(
        &self,
        inspection: Inspection,
        items: &[PutAside],
        now: DateTime<Utc>,
        backoff: Backoff,
    ) -> Result<(), Error> {
        let times = json_array(backoff.times(now).into_iter().map(|at| time_text::format(at).into()));
        for chunk in items.chunks(CHUNK) {
            sqlx::query(include_str!("sql/put_aside.sql"))
                .bind(inspection.as_str())
                .bind(json_array(chunk.iter().map(|item| json!([item.media_id, item.code]))))
                .bind(time_text::format(now))
                .bind(&times)
                .execute(self.writer()?)
                .await?;
        }
        Ok(())
    }

    pub(crate) async fn settle(&self, inspection: Inspection, ids: &[MediaId]) -> Result<(), Error> {
        for chunk in ids.chunks(CHUNK) {
            let chunk = json_array(chunk.iter().map(|id| json!(id)));
            let query = sqlx::query(include_str!("sql/settle.sql")).bind(inspection.as_str()).bind(chunk);
            query.execute(self.writer()?).await?;
        }
        Ok(())
    }

    pub(crate) async fn prune_put_aside(&self) -> Result<u64, Error> {
        let done = sqlx::query(include_str!("sql/prune_put_aside.sql")).execute(self.writer()?).await?;
        Ok(done.rows_affected())
    }
}
