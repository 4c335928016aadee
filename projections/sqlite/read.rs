//! Reads. Each answer comes from one snapshot, and none waits for the writer.

use chrono::{DateTime, Utc};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use zeroload_domain::{Bucket, CollectReason, ETag, MediaId, ObjectKey, Owner, ReleaseReason, State, Store, Tenant};

use super::{
    MEDIA, ReadModels,
    columns::{self, Columns},
};
use crate::{Checkpoint, Cursor, DueItem, Error, MediaRow, PendingItem, PendingPage, PendingQuery, Status, time_text};

/// Items of one page.
const PAGE: std::ops::RangeInclusive<u32> = 1..=1000;

impl ReadModels {
    /// Where the live version stands.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let all = self.checkpoints().await?;
        // The migration makes a live version and a swap exchanges it.
        all.into_iter().find(|c| c.status == Status::Live).ok_or(Error::Database(sqlx::Error::RowNotFound))
    }

    /// Where all versions stand, the live one and those that are being built.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        let mut tx = self.readers.begin().await?;
        checkpoints(&mut tx).await
    }

    /// A page of a tenant's pending items. Paging shows each item that stays pending exactly once; one whose deadline
    /// moves meanwhile may show twice.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unreadable`].
    pub async fn pending(&self, query: &PendingQuery) -> Result<PendingPage, Error> {
        let limit = query.limit.clamp(*PAGE.start(), *PAGE.end());
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
            // One more tells whether there is a next page.
            .bind(limit + 1);
        if let Some(owner) = &query.owner {
            rows = rows.bind(owner.as_str());
        }
        let mut tx = self.readers.begin().await?;
        let rows = rows.fetch_all(&mut *tx).await?;
        let position = live_position(&mut tx).await?;
        let mut items = rows.iter().map(pending_item).collect::<Result<Vec<_>, _>>()?;
        let limit = usize::try_from(limit).expect("a limit of at most 1000 fits");
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items
            .last()
            .filter(|_| more)
            .map(|last| Cursor { collectable_at: last.collectable_at, media_id: last.media_id });
        Ok(PendingPage { items, next_cursor, position })
    }

    /// One item as it is at the checkpoint.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unreadable`].
    pub async fn media_row(&self, id: MediaId) -> Result<Option<MediaRow>, Error> {
        let query = sqlx::query(include_str!("sql/media_by_id.sql")).bind(id.to_string());
        let row = query.fetch_optional(&self.readers).await?;
        row.as_ref().map(columns::media_row).transpose()
    }

    /// Items that may be claimed for collection, in order of `(collectable_at, media_id)`, without those that wait to be
    /// tried again. A hint: the projection may be behind, and the item's stream decides.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unreadable`].
    pub async fn due(
        &self,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<DueItem>, Error> {
        self.collectable(include_str!("sql/due.sql"), now, after, limit).await
    }

    /// Items whose collection was started and not finished, by a run that goes on or by one that crashed, in the same
    /// order and without those that wait to be tried again.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unreadable`].
    pub async fn unfinished(
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
        let place = Place::after(after);
        let query =
            sqlx::query(sql).bind(time_text::format(now)).bind(place.collectable_at).bind(place.media_id).bind(limit);
        query.fetch_all(&self.readers).await?.iter().map(due_item).collect()
    }

    /// How many items are due, counted up to `at_most`.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn due_count(&self, now: DateTime<Utc>, at_most: u32) -> Result<u64, Error> {
        let query = sqlx::query_scalar(include_str!("sql/due_count.sql")).bind(time_text::format(now)).bind(at_most);
        let count: i64 = query.fetch_one(&self.readers).await?;
        Ok(count.unsigned_abs())
    }
}

/// Sorts after every time.
const AFTER_ALL: &str = "~";

/// A place in the order of `(collectable_at, media_id)`; empty text comes before everything.
#[derive(Default)]
struct Place {
    collectable_at: String,
    media_id: String,
}

impl Place {
    fn after(item: Option<(DateTime<Utc>, MediaId)>) -> Self {
        item.map_or_else(Self::default, |(at, id)| Self {
            collectable_at: time_text::format(at),
            media_id: id.to_string(),
        })
    }
}

fn pending_item(row: &SqliteRow) -> Result<PendingItem, Error> {
    let mut columns = Columns::of(row);
    Ok(PendingItem {
        media_id: columns.value("media_id", MediaId::parse)?,
        owner: columns.value("owner", Owner::parse)?,
        state: columns.name("state", columns::state)?,
        object_key: columns.value("object_key", ObjectKey::parse)?,
        content_length: columns.size("content_length")?,
        requested_at: columns.time("requested_at")?,
        confirm_by: columns.time("confirm_by")?,
        collectable_at: columns.time("collectable_at")?,
    })
}

fn due_item(row: &SqliteRow) -> Result<DueItem, Error> {
    let mut columns = Columns::of(row);
    let media_id = columns.value("media_id", MediaId::parse)?;
    let tenant = columns.value("tenant", Tenant::parse)?;
    let state = columns.name("state", columns::state)?;
    let store = columns.value("store", Store::parse)?;
    let bucket = columns.value("bucket", Bucket::parse)?;
    let object_key = columns.value("object_key", ObjectKey::parse)?;
    let content_length = columns.size("content_length")?;
    let etag = columns.optional("etag", |text| ETag::parse(text).ok())?;
    let collectable_at = columns.time("collectable_at")?;
    let release_reason = columns.optional("release_reason", columns::release_reason_of)?;
    let collect_reason = columns.optional("collect_reason", columns::collect_reason_of)?;
    let claim = columns.claim()?;
    let sequence = columns.integer("sequence")?;
    let reason = match (state, release_reason) {
        (State::Collecting, _) => collect_reason.unwrap_or(CollectReason::Expired),
        (_, Some(ReleaseReason::Cancelled)) => CollectReason::Cancelled,
        (_, Some(ReleaseReason::Detached)) => CollectReason::Detached,
        (_, None) => CollectReason::Expired,
    };
    Ok(DueItem {
        media_id,
        tenant,
        state,
        store,
        bucket,
        object_key,
        content_length,
        etag,
        collectable_at,
        reason,
        claim,
        sequence,
    })
}

pub(super) async fn checkpoints(connection: &mut SqliteConnection) -> Result<Vec<Checkpoint>, Error> {
    let rows = sqlx::query(include_str!("sql/checkpoints.sql")).fetch_all(&mut *connection).await?;
    rows.iter().map(checkpoint).collect()
}

fn checkpoint(row: &SqliteRow) -> Result<Checkpoint, Error> {
    let mut columns = Columns::of(row);
    Ok(Checkpoint {
        name: columns.name("name", |text| Some(text.to_owned()))?,
        version: columns.small("version")?,
        status: columns.name("status", |text| Status::ALL.into_iter().find(|status| status.as_str() == text))?,
        position: columns.integer("position")?,
        recorded_at: columns.optional("recorded_at", time_text::parse)?,
    })
}

async fn live_position(connection: &mut SqliteConnection) -> Result<u64, Error> {
    let select = "SELECT position FROM projection_checkpoints WHERE name = ?1 AND status = 'live'";
    let position: i64 = sqlx::query_scalar(select).bind(MEDIA).fetch_one(&mut *connection).await?;
    Ok(position.unsigned_abs())
}
