//! The PENDING view of a tenant, page by page.

mod cursor;

use chrono::{DateTime, Utc};
use zeroload_domain::{ByteSize, MediaId, ObjectKey, Owner, State, Tenant};

pub use cursor::{Cursor, InvalidCursor};

use crate::{
    Error, ReadModels,
    engine::{Cell, row},
    query::{AFTER_ALL, Place, at_most},
};

/// Which pending items: requested or uploaded, and neither confirmed nor being collected.
#[derive(Clone, Debug)]
pub struct PendingQuery {
    pub tenant: Tenant,
    pub owner: Option<Owner>,
    /// Only items that become collectable before this.
    pub due_before: Option<DateTime<Utc>>,
    /// Items per page, 1 … 1000; what is outside is taken as the nearest bound.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

/// A page of pending items in order of `(collectable_at, media_id)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingPage {
    pub items: Vec<PendingItem>,
    /// Absent on the last page.
    pub next_cursor: Option<Cursor>,
    /// The checkpoint at which the page was read.
    pub position: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingItem {
    pub media_id: MediaId,
    pub owner: Owner,
    /// `pending` or `uploaded`.
    pub state: State,
    pub object_key: ObjectKey,
    pub content_length: ByteSize,
    pub requested_at: DateTime<Utc>,
    pub confirm_by: DateTime<Utc>,
    pub collectable_at: DateTime<Utc>,
}

row! {
    /// The checkpoint, and an item if there is one.
    struct PendingRecord {
        position: u64,
        media_id: Option<MediaId>,
        owner: Option<Owner>,
        state: Option<State>,
        object_key: Option<ObjectKey>,
        content_length: Option<ByteSize>,
        requested_at: Option<DateTime<Utc>>,
        confirm_by: Option<DateTime<Utc>>,
        collectable_at: Option<DateTime<Utc>>,
    }
}

impl PendingRecord {
    /// None of an empty page.
    fn item(self) -> Option<PendingItem> {
        Some(PendingItem {
            media_id: self.media_id?,
            owner: self.owner?,
            state: self.state?,
            object_key: self.object_key?,
            content_length: self.content_length?,
            requested_at: self.requested_at?,
            confirm_by: self.confirm_by?,
            collectable_at: self.collectable_at?,
        })
    }
}

/// With and without an owner: the index holds the owner, so that other owners' items are passed over within it.
pub(crate) fn statement(of_owner: bool) -> String {
    include_str!("../pending.sql").replace("{of_owner}", if of_owner { "AND owner = $6" } else { "" })
}

impl ReadModels {
    /// A page of a tenant's pending items. Paging shows each item that stays pending exactly once; one whose deadline
    /// moves meanwhile may show twice.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Database`], [`Error::Unreadable`].
    pub async fn pending(&self, query: &PendingQuery) -> Result<PendingPage, Error> {
        let Place { at, id } = Place::after(query.cursor.map(|cursor| (cursor.collectable_at, cursor.media_id)));
        let due_before = query.due_before.map_or(Cell::text(AFTER_ALL), |at| Cell::of(&at));
        let limit = at_most(query.limit);
        let mut cells = vec![Cell::of(&query.tenant), at, id, due_before, Cell::number(limit + 1)];
        cells.extend(query.owner.as_ref().map(Cell::of));
        let records: Vec<PendingRecord> = self.database()?.select(&statement(query.owner.is_some()), cells).await?;
        // The migration makes a live version and a swap exchanges it.
        let position = records.first().ok_or(Error::Database(sqlx::Error::RowNotFound))?.position;
        let mut items: Vec<_> = records.into_iter().filter_map(PendingRecord::item).collect();
        items.sort_by_key(|item| (item.collectable_at, item.media_id));
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(|last| Cursor { collectable_at: last.collectable_at, media_id: last.media_id });
        Ok(PendingPage { items, next_cursor, position })
    }
}
