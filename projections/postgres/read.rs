//! Reads. Each answer is one statement, so it comes from one snapshot and, as a statement keeps its view from being
//! exchanged, from one version.

use chrono::{DateTime, Utc};
use sqlx::Row;
use uuid::Uuid;
use zeroload_domain::MediaId;

use super::{ReadModels, Transaction};
use crate::{
    Checkpoint, DueItem, Error, MediaRow, PendingPage, PendingQuery, RunPage, RunRow,
    answers::{self, AFTER_ALL, Place},
    columns, runs, time_text,
};

/// Of the position in an answer of `pending.sql`.
const POSITION: usize = 8;

impl ReadModels {
    pub(crate) async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        answers::live(self.checkpoints().await?)
    }

    pub(crate) async fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.read().await?;
            let all = checkpoints(&mut tx).await?;
            tx.commit().await?;
            Ok(all)
        })
        .await
    }

    pub(crate) async fn pending(&self, query: &PendingQuery) -> Result<PendingPage, Error> {
        let (models, query) = (self.clone(), query.clone());
        self.run(async move { models.pending_page(&query).await }).await
    }

    async fn pending_page(&self, query: &PendingQuery) -> Result<PendingPage, Error> {
        let place = Place::after(query.cursor.map(|c| (c.collectable_at, c.media_id)));
        let due_before = query.due_before.map_or(AFTER_ALL.to_owned(), time_text::format);
        let sql = match query.owner {
            Some(_) => include_str!("sql/pending_of_owner.sql"),
            None => include_str!("sql/pending.sql"),
        };
        let mut tx = self.read().await?;
        let mut select = tx
            .query(sql)
            .bind(query.tenant.as_str())
            .bind(place.collectable_at)
            .bind(place.media_id)
            .bind(due_before)
            .bind(i64::from(answers::rows_wanted(query)));
        if let Some(owner) = &query.owner {
            select = select.bind(owner.as_str());
        }
        let rows = select.fetch_all(&mut *tx).await?;
        tx.commit().await?;
        // The migration makes a live version and a swap exchanges it.
        let first = rows.first().ok_or(Error::Database(sqlx::Error::RowNotFound))?;
        let position = first.try_get::<i64, _>(POSITION)?.unsigned_abs();
        let mut items = Vec::with_capacity(rows.len());
        for row in &rows {
            // An empty page is a position without an item.
            if row.try_get::<Option<&str>, _>(0)?.is_some() {
                items.push(answers::pending_item(row)?);
            }
        }
        Ok(answers::page(query, items, position))
    }

    pub(crate) async fn media_row(&self, id: MediaId) -> Result<Option<MediaRow>, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.read().await?;
            let query = tx.query(include_str!("sql/media_by_id.sql")).bind(id.to_string());
            let row = query.fetch_optional(&mut *tx).await?;
            tx.commit().await?;
            row.as_ref().map(|row| columns::media_row(row)).transpose()
        })
        .await
    }

    pub(crate) async fn run_records(&self, before: Option<Uuid>, limit: u32) -> Result<RunPage, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.read().await?;
            let query = tx.query(include_str!("sql/run_records.sql"));
            let query = query.bind(before.map_or(AFTER_ALL.to_owned(), |id| id.to_string()));
            let rows = query.bind(i64::from(runs::rows_wanted(limit))).fetch_all(&mut *tx).await?;
            tx.commit().await?;
            Ok(runs::page(limit, rows.iter().map(|row| runs::row(row)).collect::<Result<_, _>>()?))
        })
        .await
    }

    pub(crate) async fn run_record(&self, id: Uuid) -> Result<Option<RunRow>, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.read().await?;
            let query = tx.query(include_str!("sql/run_record.sql")).bind(id.to_string());
            let row = query.fetch_optional(&mut *tx).await?;
            tx.commit().await?;
            row.as_ref().map(|row| runs::row(row)).transpose()
        })
        .await
    }

    pub(crate) async fn due(
        &self,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<DueItem>, Error> {
        self.collectable(include_str!("sql/due.sql"), now, after, limit).await
    }

    pub(crate) async fn unfinished(
        &self,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<DueItem>, Error> {
        self.collectable(include_str!("sql/unfinished.sql"), now, after, limit).await
    }

    async fn collectable(
        &self,
        sql: &'static str,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<DueItem>, Error> {
        let models = self.clone();
        self.run(async move {
            let place = Place::after(after);
            let mut tx = models.read().await?;
            let rows = tx
                .query(sql)
                .bind(time_text::format(now))
                .bind(place.collectable_at)
                .bind(place.media_id)
                .bind(i64::from(limit))
                .fetch_all(&mut *tx)
                .await?;
            tx.commit().await?;
            rows.iter().map(|row| answers::due_item(row)).collect()
        })
        .await
    }

    pub(crate) async fn due_count(&self, now: DateTime<Utc>, at_most: u32) -> Result<u64, Error> {
        let models = self.clone();
        self.run(async move {
            let mut tx = models.read().await?;
            let query = tx.query(include_str!("sql/due_count.sql"));
            let row = query.bind(time_text::format(now)).bind(i64::from(at_most)).fetch_one(&mut *tx).await?;
            tx.commit().await?;
            Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
        })
        .await
    }
}

pub(super) async fn checkpoints(tx: &mut Transaction) -> Result<Vec<Checkpoint>, Error> {
    let rows = tx.query(include_str!("sql/checkpoints.sql")).fetch_all(&mut **tx).await?;
    rows.iter().map(|row| answers::checkpoint(row)).collect()
}
