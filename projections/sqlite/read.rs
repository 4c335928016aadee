//! Reads. Each answer comes from one snapshot, and none waits for the writer.

use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;
use uuid::Uuid;
use zeroload_domain::MediaId;

use super::{MEDIA, ReadModels};
use crate::{
    Checkpoint, DueItem, Error, MediaRow, PendingPage, PendingQuery, RunPage, RunRow,
    answers::{self, AFTER_ALL, Place},
    columns, runs, time_text,
};

/// A JSON array of no ids.
const NONE: &str = "[]";

impl ReadModels {
    pub(crate) async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        answers::live(self.checkpoints().await?)
    }

    pub(crate) async fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        let mut tx = self.readers.begin().await?;
        checkpoints(&mut tx).await
    }

    pub(crate) async fn pending(&self, query: &PendingQuery) -> Result<PendingPage, Error> {
        let place = Place::after(query.cursor.map(|c| (c.collectable_at, c.media_id)));
        let due_before = query.due_before.map_or(AFTER_ALL.to_owned(), time_text::format);
        let sql = match query.owner {
            Some(_) => include_str!("sql/pending_of_owner.sql"),
            None => include_str!("sql/pending.sql"),
        };
        let mut rows = sqlx::query(sql)
            .bind(query.tenant.as_str())
            .bind(place.collectable_at)
            .bind(place.media_id)
            .bind(due_before)
            .bind(answers::rows_wanted(query));
        if let Some(owner) = &query.owner {
            rows = rows.bind(owner.as_str());
        }
        let mut tx = self.readers.begin().await?;
        let rows = rows.fetch_all(&mut *tx).await?;
        let position = live_position(&mut tx).await?;
        let items = rows.iter().map(|row| answers::pending_item(row)).collect::<Result<Vec<_>, _>>()?;
        Ok(answers::page(query, items, position))
    }

    pub(crate) async fn media_row(&self, id: MediaId) -> Result<Option<MediaRow>, Error> {
        let query = sqlx::query(include_str!("sql/media_by_id.sql")).bind(id.to_string());
        let row = query.fetch_optional(&self.readers).await?;
        row.as_ref().map(|row| columns::media_row(row)).transpose()
    }

    pub(crate) async fn run_records(&self, before: Option<Uuid>, limit: u32) -> Result<RunPage, Error> {
        let query = sqlx::query(include_str!("sql/run_records.sql"))
            .bind(before.map_or(AFTER_ALL.to_owned(), |id| id.to_string()))
            .bind(runs::rows_wanted(limit));
        let rows = query.fetch_all(&self.readers).await?;
        Ok(runs::page(limit, rows.iter().map(|row| runs::row(row)).collect::<Result<_, _>>()?))
    }

    pub(crate) async fn run_record(&self, id: Uuid) -> Result<Option<RunRow>, Error> {
        let query = sqlx::query(include_str!("sql/run_record.sql")).bind(id.to_string());
        query.fetch_optional(&self.readers).await?.as_ref().map(|row| runs::row(row)).transpose()
    }

    pub(crate) async fn due(
        &self,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<DueItem>, Error> {
        self.collectable(include_str!("sql/due.sql"), now, after, limit, NONE).await
    }

    pub(crate) async fn unfinished(
        &self,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<DueItem>, Error> {
        self.collectable(include_str!("sql/unfinished.sql"), now, after, limit, NONE).await
    }

    /// `without` is a JSON array of ids.
    pub(super) async fn collectable(
        &self,
        sql: &'static str,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
        without: &str,
    ) -> Result<Vec<DueItem>, Error> {
        let place = Place::after(after);
        let query = sqlx::query(sql).bind(time_text::format(now)).bind(place.collectable_at).bind(place.media_id);
        let query = query.bind(limit).bind(without);
        query.fetch_all(&self.readers).await?.iter().map(|row| answers::due_item(row)).collect()
    }

    pub(crate) async fn due_count(&self, now: DateTime<Utc>, at_most: u32) -> Result<u64, Error> {
        let query = sqlx::query_scalar(include_str!("sql/due_count.sql")).bind(time_text::format(now)).bind(at_most);
        let count: i64 = query.fetch_one(&self.readers).await?;
        Ok(count.unsigned_abs())
    }
}

pub(super) async fn checkpoints(connection: &mut SqliteConnection) -> Result<Vec<Checkpoint>, Error> {
    let rows = sqlx::query(include_str!("sql/checkpoints.sql")).fetch_all(&mut *connection).await?;
    rows.iter().map(|row| answers::checkpoint(row)).collect()
}

async fn live_position(connection: &mut SqliteConnection) -> Result<u64, Error> {
    let select = "SELECT position FROM projection_checkpoints WHERE name = ?1 AND status = 'live'";
    let position: i64 = sqlx::query_scalar(select).bind(MEDIA).fetch_one(&mut *connection).await?;
    Ok(position.unsigned_abs())
}
