//! What the collector works on.

use chrono::{DateTime, Utc};
use zeroload_domain::{
    Bucket, ByteSize, Claim, CollectReason, ETag, MediaId, ObjectKey, ReleaseReason, State, Store, Tenant,
};

use super::MediaRow;
use crate::{
    Error, ReadModels,
    engine::{Cell, row},
    query::Place,
};

/// An item that the collector may have to work on: a hint, since only the item's stream decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueItem {
    pub media_id: MediaId,
    pub tenant: Tenant,
    /// `pending`, `uploaded` or `released`; `collecting` for unfinished ones.
    pub state: State,
    pub store: Store,
    pub bucket: Bucket,
    pub object_key: ObjectKey,
    /// Bytes, as requested.
    pub content_length: ByteSize,
    /// Of the object when it was last seen.
    pub etag: Option<ETag>,
    pub collectable_at: DateTime<Utc>,
    /// Why it is collected, or would be.
    pub reason: CollectReason,
    /// The open claim of an unfinished item.
    pub claim: Option<Claim>,
    pub sequence: u64,
}

row! {
    /// What a [`DueItem`] is made of.
    pub(crate) struct DueRecord {
        pub media_id: MediaId,
        pub tenant: Tenant,
        pub state: State,
        pub store: Store,
        pub bucket: Bucket,
        pub object_key: ObjectKey,
        pub content_length: ByteSize,
        pub etag: Option<ETag>,
        pub collectable_at: DateTime<Utc>,
        pub release_reason: Option<ReleaseReason>,
        pub collect_reason: Option<CollectReason>,
        pub claim: Option<Claim>,
        pub sequence: u64,
    }
}

impl From<DueRecord> for DueItem {
    fn from(record: DueRecord) -> Self {
        let reason = match (record.state, record.release_reason) {
            (State::Collecting, _) => record.collect_reason.unwrap_or(CollectReason::Expired),
            (_, Some(ReleaseReason::Cancelled)) => CollectReason::Cancelled,
            (_, Some(ReleaseReason::Detached)) => CollectReason::Detached,
            (_, None) => CollectReason::Expired,
        };
        let DueRecord { media_id, tenant, state, store, bucket, object_key, content_length, etag, .. } = record;
        Self {
            media_id,
            tenant,
            state,
            store,
            bucket,
            object_key,
            content_length,
            etag,
            collectable_at: record.collectable_at,
            reason,
            claim: record.claim,
            sequence: record.sequence,
        }
    }
}

impl From<&MediaRow> for DueItem {
    fn from(row: &MediaRow) -> Self {
        Self::from(DueRecord {
            media_id: row.media_id,
            tenant: row.tenant.clone(),
            state: row.state,
            store: row.store.clone(),
            bucket: row.bucket.clone(),
            object_key: row.object_key.clone(),
            content_length: row.content_length,
            etag: row.etag.clone(),
            collectable_at: row.collectable_at,
            release_reason: row.release_reason,
            collect_reason: row.collect_reason,
            claim: row.claim,
            sequence: row.sequence,
        })
    }
}

/// A list of the collector, in order of `(collectable_at, media_id)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// What may be claimed.
    Due,
    /// What is claimed or restored, and not finished.
    Unfinished,
}

impl List {
    /// The statement that reads the list without the ids that `held` says, in SQL.
    pub(crate) fn without(self, held: &str) -> String {
        let sql = match self {
            Self::Due => include_str!("due.sql"),
            Self::Unfinished => include_str!("unfinished.sql"),
        };
        sql.replace("{held}", held)
    }

    fn of_all(self) -> String {
        self.without("IS NOT NULL")
    }
}

impl ReadModels {
    /// Items that may be claimed for collection, in order of `(collectable_at, media_id)`, without those that wait to be
    /// tried again. A hint: the projection may be behind, and the item's stream decides.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn due(
        &self,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<DueItem>, Error> {
        self.list(List::Due, now, after, limit).await
    }

    /// Items whose collection was started and not finished, by a run that goes on or by one that crashed, in the same
    /// order and without those that wait to be tried again.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn unfinished(
        &self,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<DueItem>, Error> {
        self.list(List::Unfinished, now, after, limit).await
    }

    async fn list(
        &self,
        list: List,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
    ) -> Result<Vec<DueItem>, Error> {
        #[cfg(any(test, feature = "memory"))]
        if let Some(memory) = self.memory() {
            return memory.at_one_stroke(|rows| rows.list_of(list, now, after, limit, &<_>::default())).await;
        }
        let Place { at, id } = Place::after(after);
        let cells = vec![Cell::of(&now), at, id, Cell::number(limit)];
        let records = self.database()?.select::<DueRecord>(&list.of_all(), cells).await?;
        Ok(records.into_iter().map(DueItem::from).collect())
    }

    /// How many items are due, counted up to `at_most`.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`].
    pub async fn due_count(&self, now: DateTime<Utc>, at_most: u32) -> Result<u64, Error> {
        self.database()?.count(include_str!("due_count.sql"), vec![Cell::of(&now), Cell::number(at_most)]).await
    }
}

#[cfg(any(test, feature = "memory"))]
impl crate::memory::Rows {
    pub(crate) fn list_of(
        &self,
        list: List,
        now: DateTime<Utc>,
        after: Option<(DateTime<Utc>, MediaId)>,
        limit: u32,
        without: &std::collections::BTreeSet<MediaId>,
    ) -> Vec<DueItem> {
        let wanted = |row: &MediaRow| {
            let listed = match list {
                List::Due => {
                    matches!(row.state, State::Pending | State::Uploaded | State::Released | State::Trashed)
                        && row.collectable_at <= now
                }
                List::Unfinished => matches!(row.state, State::Collecting | State::Restoring),
            };
            listed && !without.contains(&row.media_id)
        };
        let waits = |id| self.retries.get(id).is_some_and(|waiting| waiting.next_try_at > now);
        let place = |row: &MediaRow| (row.collectable_at, row.media_id);
        let mut rows: Vec<_> = self
            .media
            .values()
            .filter(|row| wanted(row) && after.is_none_or(|after| place(row) > after) && !waits(&row.media_id))
            .collect();
        rows.sort_by_key(|row| place(row));
        rows.truncate(limit as usize);
        rows.into_iter().map(DueItem::from).collect()
    }
}
