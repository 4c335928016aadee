//! The collector's notebook of failures, in the same file.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use zeroload_domain::MediaId;

use super::{ReadModels, write::json_array};
use crate::{Backoff, Error, Postponed, Retry, retries::CHUNK, time_text};

impl ReadModels {
    pub(crate) async fn postpone(
        &self,
        items: &[Postponed],
        now: DateTime<Utc>,
        backoff: Backoff,
    ) -> Result<(), Error> {
        let times = json_array(backoff.times(now).into_iter().map(|at| time_text::format(at).into()));
        for chunk in items.chunks(CHUNK) {
            let chunk = json_array(chunk.iter().map(|item| json!([item.media_id, item.claim, item.code])));
            sqlx::query(include_str!("sql/postpone.sql"))
                .bind(chunk)
                .bind(time_text::format(now))
                .bind(&times)
                .execute(self.writer()?)
                .await?;
        }
        Ok(())
    }

    pub(crate) async fn clear_retries(&self, ids: &[MediaId]) -> Result<(), Error> {
        for chunk in ids.chunks(CHUNK) {
            let chunk = json_array(chunk.iter().map(|id| json!(id)));
            sqlx::query(include_str!("sql/clear_retries.sql")).bind(chunk).execute(self.writer()?).await?;
        }
        Ok(())
    }

    pub(crate) async fn prune_retries(&self) -> Result<u64, Error> {
        let done = sqlx::query(include_str!("sql/prune_retries.sql")).execute(self.writer()?).await?;
        Ok(done.rows_affected())
    }

    pub(crate) async fn find_retry(&self, id: MediaId) -> Result<Option<Retry>, Error> {
        let row = sqlx::query_as(include_str!("sql/retry_of.sql")).bind(id.to_string());
        row.fetch_optional(&self.readers).await?.map(Retry::of_row).transpose()
    }

    pub(crate) async fn count_retries_by_code(&self) -> Result<BTreeMap<String, u64>, Error> {
        let counts: Vec<(String, i64)> =
            sqlx::query_as(include_str!("sql/retries_by_code.sql")).fetch_all(&self.readers).await?;
        Ok(counts.into_iter().map(|(code, count)| (code, count.unsigned_abs())).collect())
    }
}
